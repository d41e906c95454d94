package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds what these tests wait for; nothing takes that long.
const patience = 30 * time.Second

// binary is the real program, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "lonja-test-")
	if err == nil {
		binary = filepath.Join(dir, "lonja")
		build := exec.Command("go", "build", "-o", binary, ".")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		err = build.Run()
	}
	status := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot build the program under test:", err)
	} else {
		status = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// A process is a running lonja whose output can be waited for. It is killed at
// the end of the test.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr lockedBuffer

	mu     sync.Mutex
	out    []byte
	grew   *sync.Cond // on mu: out grew, or ended
	ended  bool
	exited chan struct{}
}

// apart returns the environment of a lonja that knows of this machine's user only
// what is in home, and leaves the router alone.
func apart(home string) []string {
	return append(os.Environ(), "HOME="+home,
		"XDG_CONFIG_HOME="+filepath.Join(home, ".config"), "XDG_DATA_HOME="+filepath.Join(home, ".local", "share"),
		"XDG_STATE_HOME="+filepath.Join(home, ".local", "state"), "XDG_CACHE_HOME="+filepath.Join(home, ".cache"),
		"XDG_RUNTIME_DIR="+home, "LONJA_ADMIN=off", "LONJA_PORT_MAPPING=off")
}

// start runs lonja with args; set changes the command before it starts.
func start(t *testing.T, set func(*exec.Cmd), args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, args...), exited: make(chan struct{})}
	p.grew = sync.NewCond(&p.mu)
	p.cmd.Env = apart(t.TempDir())
	if set != nil {
		set(p.cmd)
	}
	p.cmd.Stderr = &p.stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.collect(stdout)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() && p.stderr.String() != "" {
			t.Logf("%v wrote to standard error:\n%s", args, p.stderr.String())
		}
	})
	return p
}

func (p *process) collect(stdout io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := stdout.Read(buf)
		p.mu.Lock()
		p.out = append(p.out, buf[:n]...)
		p.ended = err != nil
		p.grew.Broadcast()
		p.mu.Unlock()
		if err != nil {
			_ = p.cmd.Wait() // its status is in ProcessState
			close(p.exited)
			return
		}
	}
}

// waitOutput waits until done is content with the output so far, and returns it.
func (p *process) waitOutput(what string, done func(out []byte) bool) string {
	p.t.Helper()
	timer := time.AfterFunc(patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ended = true
		p.grew.Broadcast()
	})
	defer timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !done(p.out) {
		if p.ended {
			p.t.Fatalf("waiting for %s: the output ended with\n%s\nand standard error was\n%s", what, p.out, p.stderr.String())
		}
		p.grew.Wait()
	}
	return string(p.out)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.out)
}

// firstLine waits for the first line of output.
func (p *process) firstLine() string {
	p.t.Helper()
	out := p.waitOutput("a line", func(out []byte) bool { return bytes.ContainsRune(out, '\n') })
	return out[:strings.IndexByte(out, '\n')]
}

// waitStderr waits for a line on standard error that contains s.
func (p *process) waitStderr(s string) string {
	p.t.Helper()
	late := time.After(patience)
	for {
		grew := p.stderr.grew()
		for line := range strings.Lines(p.stderr.String()) {
			if strings.Contains(line, s) {
				return line
			}
		}
		select {
		case <-grew:
		case <-late:
			p.t.Fatalf("no %q on standard error:\n%s", s, p.stderr.String())
		}
	}
}

// end sends a signal and returns the exit status.
func (p *process) end(signal os.Signal) int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil && p.cmd.ProcessState == nil {
		p.t.Errorf("signal %v: %v", signal, err)
	}
	return p.wait()
}

// wait returns the exit status once the program has ended.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%v does not end", p.cmd.Args)
		return -1
	}
}

// stop ends a service as an operator would.
func (p *process) stop() {
	p.t.Helper()
	if status := p.end(syscall.SIGTERM); status != 0 {
		p.t.Errorf("%v ended with status %d", p.cmd.Args[1:], status)
	}
}

// A lockedBuffer is written by a process while a test reads it.
type lockedBuffer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{}
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.more != nil {
		close(b.more)
		b.more = nil
	}
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// grew returns a channel that is closed at the next Write.
func (b *lockedBuffer) grew() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.more == nil {
		b.more = make(chan struct{})
	}
	return b.more
}
