// Package natlab brings up lab/natlab.sh for tests: a small internet in network
// namespaces, with a directory's host, a public peer, and two routers that
// translate addresses with hosts behind them. Nothing in it is linked to the
// machine's own network, and several labs may run at once.
//
// It needs root and Debian's packages iproute2 and nftables, and miniupnpd for
// routers that map ports. It does not know what is run inside. The tests of
// whatever must work behind routers use it.
package natlab

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A Host is a machine of the lab.
type Host string

// The hosts. A1 and A2 share a LAN, whose router is RouterA; B1 is behind
// RouterB. Neither router lets a host of its LAN come back in by its outside
// address (no hairpin).
const (
	Directory  Host = "d"
	PublicPeer Host = "c1"
	RouterA    Host = "ra"
	RouterB    Host = "rb"
	A1         Host = "a1"
	A2         Host = "a2"
	B1         Host = "b1"
)

// Options say what lab to bring up. The zero value is two routers without port
// mapping, and lines without delay.
type Options struct {
	// A and B are the kinds of the routers, as NATA and NATB of natlab.sh have
	// them: "port" (as if empty), "port+upnp", "port+igd1", "port+natpmp", "sym"...
	A, B string
	// Prefix is what addresses outside begin with; empty is 1.2.3, which nothing
	// takes for private.
	Prefix string
	// Delay is what each router's line adds, one way; Loss what it loses, in
	// percent; Rate what it carries, in Mbit/s, 0 without bound.
	Delay time.Duration
	Loss  float64
	Rate  int
}

// A Lab is one that is up. Its methods may be used by several goroutines.
type Lab struct {
	tag    string
	prefix string
	script string
}

// patience bounds bringing up and down, which takes a second or two.
const patience = 60 * time.Second

var labs atomic.Int64

// Start brings a lab up. The end of the test takes it down, with all that runs
// in it; so does the end of the test's process, however it comes.
func Start(t testing.TB, o Options) *Lab {
	t.Helper()
	if o.Prefix == "" {
		o.Prefix = "1.2.3"
	}
	l := &Lab{tag: fmt.Sprintf("nl%d-%d", os.Getpid(), labs.Add(1)), prefix: o.Prefix}
	lab := labDir(t)
	l.script = filepath.Join(lab, "natlab.sh")
	cmd := exec.Command("bash", l.script, "hold")
	cmd.Env = append(os.Environ(), "TAG="+l.tag, "PUB="+o.Prefix, "NATA="+o.A, "NATB="+o.B,
		"DELAY="+strconv.FormatInt(o.Delay.Milliseconds(), 10),
		"LOSS="+strconv.FormatFloat(o.Loss, 'f', -1, 64), "RATE="+strconv.Itoa(o.Rate))
	if o.Delay > 0 || o.Loss > 0 || o.Rate > 0 {
		cmd.Env = append(cmd.Env, "WANEM="+buildWanem(t, lab))
	}
	// A group of its own: an interrupt at the keyboard must not end it before it
	// has tidied up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var trouble bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &trouble, patience
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("bring a lab up: %v", err)
	}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer late.Stop()
	t.Cleanup(func() { l.stop(t, cmd, stdin, &trouble) })
	if said, err := bufio.NewReader(stdout).ReadString('\n'); said != "up\n" {
		t.Fatalf("the lab says %q, not that it is up (%v); is this root, with nftables and miniupnpd installed?", said, err)
	}
	return l
}

func (l *Lab) stop(t testing.TB, cmd *exec.Cmd, stdin io.Closer, trouble *bytes.Buffer) {
	stdin.Close()
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	if err := cmd.Wait(); err != nil || t.Failed() {
		t.Logf("the lab ended: %v\n%s", err, trouble.String())
	}
}

// labDir returns the module's directory of labs.
func labDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "lonja").Output()
	if err != nil {
		t.Fatalf("find the module's directory: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "lab")
}

// buildWanem builds what delays and loses where the kernel does not.
func buildWanem(t testing.TB, lab string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wanem")
	if out, err := exec.Command("go", "build", "-C", lab, "-o", path, "./wanem").CombinedOutput(); err != nil {
		t.Fatalf("build wanem: %v\n%s", err, out)
	}
	return path
}

// Enter returns the command that runs argv on a host. It becomes argv's
// process: signals work as outside.
func (l *Lab) Enter(h Host, argv ...string) []string {
	return append([]string{"ip", "netns", "exec", l.tag + "-" + string(h)}, argv...)
}

// Command is Enter for package exec.
func (l *Lab) Command(h Host, argv ...string) *exec.Cmd {
	argv = l.Enter(h, argv...)
	return exec.Command(argv[0], argv[1:]...)
}

// Addr returns a host's address: a router's is the one outside.
func (l *Lab) Addr(h Host) netip.Addr {
	return netip.MustParseAddr(map[Host]string{
		Directory: l.prefix + ".10", PublicPeer: l.prefix + ".30", RouterA: l.prefix + ".21", RouterB: l.prefix + ".22",
		A1: "192.168.1.11", A2: "192.168.1.12", B1: "192.168.2.11",
	}[h])
}

// Forget has a router's daemon for port mappings begin anew, without any: the
// router was switched off and on.
func (l *Lab) Forget(t testing.TB, router Host) {
	t.Helper()
	cmd := exec.Command("bash", l.script, "forget", string(router))
	cmd.Env = append(os.Environ(), "TAG="+l.tag)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("have %s forget: %v\n%s", router, err, out)
	}
}
