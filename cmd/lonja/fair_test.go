package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lonja/internal/dirclient"
)

// A fair is a directory that speaks both dialects, and the homes of its users, each
// as on a machine of its own.
type fair struct {
	*testing.T
	server *process
	at     string // host:port
}

func openFair(t *testing.T, args ...string) *fair {
	t.Helper()
	server := start(t, nil, append([]string{"server", "--host", "127.0.0.1", "-p", "0", "--data", filepath.Join(t.TempDir(), "data")}, args...)...)
	line := server.firstLine()
	return &fair{t, server, "127.0.0.1" + line[strings.LastIndexByte(line, ':'):]}
}

func (f *fair) classic() *dirclient.Client { return dirclient.New(dirclient.Options{Address: f.at}) }

// A visitor is a user of a fair.
type visitor struct {
	*fair
	name string
	home string
}

// visitor returns a machine without a name.
func (f *fair) visitor(name string) *visitor {
	f.Helper()
	dir, err := filepath.EvalSymlinks(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	return &visitor{f, name, dir}
}

// join registers too.
func (f *fair) join(name string) *visitor {
	f.Helper()
	v := f.visitor(name)
	v.does("register", name)
	return v
}

// untold has the visitor's commands find the directory by what is remembered.
func (v *visitor) untold() {
	alone := *v.fair
	alone.at = ""
	v.fair = &alone
}

// start runs a command on the visitor's machine, in its home.
func (v *visitor) start(args ...string) *process {
	v.Helper()
	return start(v.T, func(cmd *exec.Cmd) {
		cmd.Dir = v.home
		cmd.Env = append(cmd.Env, "HOME="+v.home, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "XDG_STATE_HOME=", "XDG_CACHE_HOME=",
			"LONJA_PORT_MAPPING=off", "LONJA_SERVER="+v.at)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}, args...)
}

// try runs a command to its end.
func (v *visitor) try(args ...string) (status int, stdout, stderr string) {
	v.Helper()
	p := v.start(args...)
	_ = p.stdin.Close()
	status = p.wait()
	return status, p.output(), p.stderr.String()
}

// does is try for what must succeed.
func (v *visitor) does(args ...string) string {
	v.Helper()
	status, stdout, stderr := v.try(args...)
	if status != exitOK {
		v.Fatalf("%s: %v: got status %d, %q and %q", v.name, args, status, stdout, stderr)
	}
	return stdout
}

// fails is try for what must not; says is a part of what it says.
func (v *visitor) fails(status int, says string, args ...string) {
	v.Helper()
	got, stdout, stderr := v.try(args...)
	if got != status || !strings.Contains(stderr, says) {
		v.Errorf("%s: %v: got status %d, %q and %q; want %d and %q", v.name, args, got, stdout, stderr, status, says)
	}
}

// file makes a file in the visitor's home.
func (v *visitor) file(name, content string) string {
	v.Helper()
	path := filepath.Join(v.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		v.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		v.Fatal(err)
	}
	return path
}

// holds checks what a file in the visitor's home has.
func (v *visitor) holds(name, want string) {
	v.Helper()
	if got, err := os.ReadFile(filepath.Join(v.home, name)); err != nil || string(got) != want {
		v.Errorf("%s has %q, %v; want %q", name, got, err, want)
	}
}

// console connects the visitor, who serves until the test ends.
func (v *visitor) console() *process {
	v.Helper()
	p := v.start("client", "--listen", "127.0.0.1:0")
	if _, err := fmt.Fprintf(p.stdin, "connect %s\n", v.name); err != nil {
		v.Fatal(err)
	}
	p.waitOutput("the connection", func(out []byte) bool { return strings.Contains(string(out), "CONNECT OK") })
	return p
}

// lines reads JSON lines.
func lines[T any](t *testing.T, text string) (all []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		var one T
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}
