package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The patience with servers.
const (
	startTimeout = 2 * time.Minute // until one is ready; lonja hashes the file
	startPoll    = 20 * time.Millisecond
	stopTimeout  = 10 * time.Second
)

// A server is a program that runs beside the transfers, with all that it starts.
type server struct {
	name  string
	cmd   *exec.Cmd
	said  string // the file with its output
	ended chan struct{}
	err   error // how it ended; read it after ended
}

// startServer starts a program whose output goes to a file in dir. The caller
// stops it.
func startServer(dir string, cmd *exec.Cmd) (*server, error) {
	out, err := os.CreateTemp(dir, "said-")
	if err != nil {
		return nil, err
	}
	defer out.Close() // it has its own
	s := &server{name: filepath.Base(cmd.Path), cmd: cmd, said: out.Name(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's ^C is for us to pass on
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.ended)
		s.err = cmd.Wait()
	}()
	return s, nil
}

// await waits until what the server says matches, and returns the first group.
func (s *server) await(ctx context.Context, what *regexp.Regexp) (match string, err error) {
	err = s.until(ctx, func() bool {
		said, _ := os.ReadFile(s.said) // it is read again
		groups := what.FindSubmatch(said)
		if groups == nil {
			return false
		}
		match = string(groups[len(groups)-1])
		return true
	})
	return match, err
}

// awaitPort waits until something listens there.
func (s *server) awaitPort(ctx context.Context, address string) error {
	return s.until(ctx, func() bool {
		conn, err := net.DialTimeout("tcp", address, startPoll)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

func (s *server) until(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-s.ended:
			return s.failed(errors.Join(errors.New("it ended"), s.err))
		case <-ctx.Done():
			return s.failed(ctx.Err())
		}
	}
	return nil
}

func (s *server) failed(why error) error {
	said, _ := os.ReadFile(s.said)
	return fmt.Errorf("%s: %w; it said %q", s.name, why, lastPart(said))
}

// lastPart returns the end of what a program has said.
func lastPart(said []byte) string {
	const shown = 2000
	return strings.ToValidUTF8(string(bytes.TrimSpace(said[max(0, len(said)-shown):])), "?")
}

// stop ends the server, with all in its process group, and waits for it.
func (s *server) stop() {
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM)
	late := time.NewTimer(stopTimeout)
	defer late.Stop()
	select {
	case <-s.ended:
	case <-late.C:
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-s.ended
	}
}

// freePort returns a port that nobody listens at on the loopback address.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// A usage is what processes have taken.
type usage struct {
	cpu    time.Duration // in user and in system mode
	memory int64         // the most that one of them held, in bytes
}

func (u *usage) add(v usage) {
	u.cpu += v.cpu
	u.memory = max(u.memory, v.memory)
}

// used returns what the server has taken so far. One that ends by itself when it
// has sent the file is asked in vain just then, so it is waited for.
func (s *server) used() (usage, error) {
	u, err := used(s.cmd.Process.Pid)
	if err == nil {
		return u, nil
	}
	select {
	case <-s.ended:
		return usedUntilEnd(s.cmd.ProcessState), s.err
	case <-time.After(stopTimeout):
		return u, err
	}
}

// clockTick is the unit of times in /proc, USER_HZ, the same on all architectures
// that Go knows.
const clockTick = 10 * time.Millisecond

// used returns what a process and its descendants have taken so far: those that
// are there, and those that ended and were waited for (proc_pid_stat(5)).
func used(pid int) (sum usage, err error) {
	children := map[int][]int{}
	spent := map[int]time.Duration{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return sum, err
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		id, parent, cpu, err := parseStat(string(text))
		if err != nil {
			return sum, err
		}
		children[parent] = append(children[parent], id)
		spent[id] = cpu
	}
	if _, there := spent[pid]; !there {
		return sum, fmt.Errorf("process %d has ended", pid)
	}
	for all := []int{pid}; len(all) > 0; all = all[1:] {
		sum.add(usage{spent[all[0]], peak(all[0])})
		all = append(all, children[all[0]]...)
	}
	return sum, nil
}

// parseStat reads the number, the parent and the processor time of a process, of
// its dead children too, from the text of /proc/PID/stat. The name in it may have
// blanks and brackets.
func parseStat(text string) (id, parent int, cpu time.Duration, err error) {
	end := strings.LastIndexByte(text, ')')
	before, _, _ := strings.Cut(text, " ")
	fields := strings.Fields(text[end+1:])
	const ppid, utime, cstime = 4 - 3, 14 - 3, 17 - 3
	if end < 0 || len(fields) <= cstime {
		return 0, 0, 0, fmt.Errorf("%.60q is not the stat of a process", text)
	}
	if id, err = strconv.Atoi(before); err != nil {
		return 0, 0, 0, err
	}
	if parent, err = strconv.Atoi(fields[ppid]); err != nil {
		return 0, 0, 0, err
	}
	for _, field := range fields[utime : cstime+1] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, 0, err
		}
		cpu += time.Duration(ticks) * clockTick
	}
	return id, parent, cpu, nil
}

// peak returns the most memory that a process has held, or 0 if it has ended.
func peak(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 53)
			return kib << 10
		}
	}
	return 0
}
