//go:build interop

// Package interop_test pairs the classic system with programs that are not
// ours, and those with each other: it starts real processes on real sockets.
//
// This file knows how to start, watch and end a process, and nothing of what
// it is. What runs on Debian only is required, not skipped: a missing program
// fails the test and names its package.
package interop_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for another process. It is long because it only
// matters when something is broken.
const patience = 60 * time.Second

// nobody is the user and group without rights, on Debian.
const nobody = 65534

// A program says what to start, and how.
type program struct {
	argv  []string
	dir   string    // where; empty is the test's own directory
	env   []string  // added to the test's environment
	stdin io.Reader // nil is an empty input

	in           *namespace // the network to run in; nil is the machine's
	unprivileged bool       // as nobody, when the test itself runs as root
}

// A process is a program that runs, or ran, in a process group of its own. The
// end of the test kills the group. Its methods belong to the test's goroutine.
type process struct {
	t              *testing.T
	name           string
	cmd            *exec.Cmd
	stdout, stderr transcript
	exited         chan struct{} // closed once it has ended and its output is complete
}

// start starts a program. A failure to do so ends the test.
func start(t *testing.T, prog program) *process {
	t.Helper()
	argv := prog.in.enter(prog.argv)
	p := &process{t: t, name: strings.Join(prog.argv, " "), exited: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir, p.cmd.Stdin = prog.dir, prog.stdin
	p.cmd.Env = append(os.Environ(), prog.env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.WaitDelay = patience // for a child of its that keeps the pipes open
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if prog.unprivileged && os.Geteuid() == 0 {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // how it ended is in cmd.ProcessState
	}()
	t.Cleanup(p.kill)
	return p
}

// waitLine waits for a line of standard output that the pattern matches, and
// returns the match and its groups. Lines up to that one are passed: the next
// call looks behind it.
func (p *process) waitLine(pattern string) []string {
	p.t.Helper()
	return p.waitOn(&p.stdout, pattern)
}

// waitErrorLine is waitLine for standard error.
func (p *process) waitErrorLine(pattern string) []string {
	p.t.Helper()
	return p.waitOn(&p.stderr, pattern)
}

func (p *process) waitOn(out *transcript, pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	var found []string
	if !p.waitUntil(out, func() bool { found = out.takeLine(re); return found != nil }) {
		p.t.Fatalf("%s printed no line like %q, but:\n%s", p.name, pattern, p.output())
	}
	return found
}

// waitBytes waits until standard output contains the marker.
func (p *process) waitBytes(marker []byte) {
	p.t.Helper()
	if !p.waitUntil(&p.stdout, func() bool { return bytes.Contains(p.stdout.bytes(), marker) }) {
		p.t.Fatalf("%s never wrote %q", p.name, marker)
	}
}

// waitUntil tries the condition whenever there is more output. It is false
// when the process ends, or patience does, before the condition is true.
func (p *process) waitUntil(out *transcript, condition func() bool) bool {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		grown, ended := out.watch(), p.hasEnded()
		switch {
		case condition():
			return true
		case ended:
			return false
		}
		select {
		case <-grown:
		case <-p.exited:
		case <-deadline.C:
			return false
		}
	}
}

func (p *process) hasEnded() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// wait waits for the process to end by itself and returns its exit status, or
// -1 when a signal ended it.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s does not end; it printed:\n%s", p.name, p.output())
		return -1
	}
}

// stop asks the process to end (SIGTERM), waits until it has, and returns what
// wait does.
func (p *process) stop() int {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	return p.wait()
}

// signal sends a signal to the process and its children. One that has ended
// already gets none.
func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if p.hasEnded() {
		return
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		p.t.Errorf("signal %s: %v", p.name, err)
	}
}

// kill ends the process and its children at once. When the test has failed it
// shows what they printed.
func (p *process) kill() {
	// Not only while it runs: its children may have outlived it.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.exited
	if printed := p.output(); p.t.Failed() && printed != "" {
		p.t.Logf("%s printed:\n%s", p.name, printed)
	}
}

// output returns what was printed so far, as text: standard output, then
// standard error.
func (p *process) output() string {
	return asText(p.stdout.bytes()) + asText(p.stderr.bytes())
}

// asText makes output fit to be shown.
func asText(b []byte) string {
	if bytes.IndexByte(b, 0) >= 0 {
		return fmt.Sprintf("(%d bytes that are no text)\n", len(b))
	}
	return strings.ToValidUTF8(string(b), "?")
}

// A result is what a program that has ended left.
type result struct {
	stdout, stderr string
	status         int
}

// run starts a program and waits for its end.
func run(t *testing.T, prog program) result {
	t.Helper()
	p := start(t, prog)
	status := p.wait()
	return result{string(p.stdout.bytes()), string(p.stderr.bytes()), status}
}

// require returns the path of a program that the tests cannot do without, and
// fails the test when it is missing.
func require(t *testing.T, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: it is in Debian's package %s", name, debianPackage)
	}
	return path
}

// A transcript collects output. It may be written and read at the same time.
type transcript struct {
	mu    sync.Mutex
	text  []byte
	taken int           // how much of text takeLine has passed
	grown chan struct{} // closed at the next write, if anybody watches
}

// Write appends output. It never fails.
func (o *transcript) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	if o.grown != nil {
		close(o.grown)
		o.grown = nil
	}
	return len(b), nil
}

// watch returns a channel that is closed at the next write. Who takes it and
// then looks at the text misses nothing.
func (o *transcript) watch() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grown == nil {
		o.grown = make(chan struct{})
	}
	return o.grown
}

func (o *transcript) bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.text)
}

// takeLine passes whole lines up to one that the pattern matches and returns
// that match with its groups. When no line does, it passes them all and
// returns nil.
func (o *transcript) takeLine(re *regexp.Regexp) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		end := bytes.IndexByte(o.text[o.taken:], '\n')
		if end < 0 {
			return nil
		}
		line := string(o.text[o.taken : o.taken+end])
		o.taken += end + 1
		if match := re.FindStringSubmatch(line); match != nil {
			return match
		}
	}
}
