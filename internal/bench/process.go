package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"lonja"
)

// The patience with a process of ours.
const (
	startTimeout = 10 * time.Second     // until it says where it listens
	startPoll    = 2 * time.Millisecond // between two looks whether it has
	stopTimeout  = 10 * time.Second     // the default of process.patience
	shownOutput  = 1 << 10              // bytes of what it said, when it failed
)

// A process is a running subcommand of lonja, in a directory of its own. What
// it prints goes to a file there: reading a pipe would cost this process, whose
// clients are being timed, more than the file costs that one.
type process struct {
	name     string
	dir      string
	cmd      *exec.Cmd
	patience time.Duration // from asking it to end to killing it
	ended    chan struct{}
	endErr   error // why; read it after ended
}

// startProcess starts the program with args and the variables in env beside
// those of this process. The caller stops it.
func startProcess(program string, env []string, args ...string) (*process, error) {
	return startProcessIn("", program, env, args...)
}

// startProcessIn is startProcess for one whose directory is below base, as
// DiskDir says. What args name without a slash in front is in that directory.
func startProcessIn(base, program string, env []string, args ...string) (*process, error) {
	name := "lonja " + args[0]
	dir, err := DiskDir(base)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, dir: dir, patience: stopTimeout, ended: make(chan struct{})}
	if err := p.start(program, env, args); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) start(program string, env, args []string) error {
	out, err := os.Create(p.file("stdout"))
	if err != nil {
		return err
	}
	defer out.Close() // the process has its own
	diagnostics, err := os.Create(p.file("stderr"))
	if err != nil {
		return err
	}
	defer diagnostics.Close()
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir = p.dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, diagnostics
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(p.ended)
		p.endErr = p.cmd.Wait()
	}()
	return nil
}

func (p *process) file(stream string) string { return filepath.Join(p.dir, stream) }

// pid returns the process's number. It stays ours until stop.
func (p *process) pid() int { return p.cmd.Process.Pid }

// await waits until what the process prints matches, on either stream, and
// returns the first group of the match.
func (p *process) await(ctx context.Context, what *regexp.Regexp) (string, error) {
	return p.awaitFor(ctx, startTimeout, what)
}

// awaitFor is await for what may take longer, or must not.
func (p *process) awaitFor(ctx context.Context, patience time.Duration, what *regexp.Regexp) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(startPoll)
	defer ticker.Stop()
	for {
		for _, stream := range []string{"stdout", "stderr"} {
			if match := what.FindSubmatch(p.read(stream)); match != nil {
				return string(match[1]), nil
			}
		}
		select {
		case <-ticker.C:
		case <-p.ended:
			return "", p.failed(p.endErr)
		case <-ctx.Done():
			return "", p.failed(ctx.Err())
		}
	}
}

func (p *process) read(stream string) []byte {
	b, err := os.ReadFile(p.file(stream))
	if err != nil {
		return nil // it is looked for again
	}
	return b
}

// failed returns the error of a process that is not as it should be.
func (p *process) failed(cause error) error {
	said := bytes.TrimSpace(p.read("stderr"))
	if len(said) > shownOutput {
		said = said[len(said)-shownOutput:]
	}
	if cause == nil {
		cause = fmt.Errorf("it ended by itself")
	}
	return fmt.Errorf("%s: %w; it said %q", p.name, cause, lonja.Printable(string(said)))
}

// suspend stops the process's clock: it keeps its sockets and does nothing.
func (p *process) suspend() error {
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("suspend %s: %w", p.name, err)
	}
	return nil
}

// terminate asks the process to end.
func (p *process) terminate() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended already
	_ = p.cmd.Process.Signal(syscall.SIGCONT) // a suspended one could not obey
}

// stop ends the process, waits for that, and removes what it left. The error
// means that it had ended before, ended badly, or had to be killed. It is
// called once.
func (p *process) stop() error {
	defer os.RemoveAll(p.dir)
	select {
	case <-p.ended:
		return p.failed(p.endErr)
	default:
	}
	p.terminate()
	timer := time.NewTimer(p.patience)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.ended
		return p.failed(fmt.Errorf("it did not end within %s", p.patience))
	}
	if p.endErr != nil {
		return p.failed(p.endErr)
	}
	return nil
}
