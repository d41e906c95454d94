//go:build interop

package interop_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lonja/internal/natlab"
)

// Our own program on hosts behind routers, with the real miniupnpd in them.

const (
	nodePort  = 4445
	routed    = "what comes through a router\n"
	routedFor = 100
)

// A village is a lab with a directory in it that everybody can reach.
type village struct {
	*natlab.Lab
	t     *testing.T
	homes map[*console]program // what each console is, for other commands of its user
}

func newVillage(t *testing.T, o natlab.Options) village {
	t.Helper()
	v := village{natlab.Start(t, o), t, make(map[*console]program)}
	server := lonja(t, "server", "--host", v.Addr(natlab.Directory).String(), "-p", "4444", "--classic=off")
	server.argv = v.Enter(natlab.Directory, server.argv...)
	start(t, server).waitLine(`^s> init server `)
	return v
}

// user starts our console on a host, with a user registered and connected.
func (v village) user(host natlab.Host, user string, options ...string) *console {
	v.t.Helper()
	in, keys, err := os.Pipe()
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { keys.Close() })
	prog := lonja(v.t, append([]string{"client", "-s", v.Addr(natlab.Directory).String(), "--port-mapping", "on"}, options...)...)
	prog.argv = v.Enter(host, prog.argv...)
	prog.dir, prog.stdin = v.t.TempDir(), in
	c := &console{start(v.t, prog), keys, prog.dir}
	v.homes[c] = prog
	in.Close() // the client has its own
	c.waitBytes([]byte(prompt))
	c.must(v.t, "register "+user, "REGISTER OK")
	c.must(v.t, "connect "+user, "CONNECT OK")
	return c
}

// reaches reports whether a TCP connection can be made from a host.
func (v village) reaches(from natlab.Host, to netip.AddrPort) bool {
	dial := v.Command(from, "timeout", "3", "bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/%v/%d", to.Addr(), to.Port()))
	return dial.Run() == nil
}

// arrives fails the test unless the file comes in the end: what is announced of a
// mapping takes a moment to be known.
func (v village) arrives(c *console, command, target string) {
	v.t.Helper()
	deadline := time.Now().Add(patience)
	for !strings.Contains(c.typed(v.t, command+" "+target), " OK\n") {
		if time.Now().After(deadline) {
			v.t.Fatalf("%s never succeeds: %s", command, c.stderr.bytes())
		}
	}
	if got := contentOf(v.t, filepath.Join(c.dir, target)); string(got) != strings.Repeat(routed, routedFor) {
		v.t.Errorf("%s brings %d bytes", command, len(got))
	}
}

// fetched returns what "lonja get" tells programs, as the user of a console on a host.
func (v village) fetched(host natlab.Host, c *console, user, name string) string {
	v.t.Helper()
	get := lonja(v.t, "get", name, "-o", "fetched", "--json", "--user", user, "-s", v.Addr(natlab.Directory).String())
	get.argv, get.dir, get.env = v.Enter(host, get.argv...), c.dir, v.homes[c].env
	got := run(v.t, get)
	if got.status != 0 {
		v.t.Errorf("get: status %d, %s", got.status, got.stderr)
	}
	return got.stdout
}

// TestThroughMappedPorts: a file passes from behind one router to behind another
// one, through the port that the owner's node has had mapped, and that is told.
func TestThroughMappedPorts(t *testing.T) {
	for _, router := range []string{"port+upnp", "port+igd1", "port+natpmp"} {
		t.Run(router, func(t *testing.T) {
			t.Parallel()
			v := newVillage(t, natlab.Options{A: router, B: "port"})
			ana, luis := v.user(natlab.A1, "ana"), v.user(natlab.B1, "luis")
			ana.offer(t, "file.txt", []byte(strings.Repeat(routed, routedFor)))
			outside := netip.AddrPortFrom(v.Addr(natlab.RouterA), nodePort)
			for deadline := time.Now().Add(patience); !v.reaches(natlab.PublicPeer, outside); {
				if time.Now().After(deadline) {
					t.Fatalf("%v is never mapped: %s", outside, ana.output())
				}
			}
			v.arrives(luis, "get_file ana file.txt", "one")
			v.arrives(luis, "get_multifile file.txt", "two")
			if told := v.fetched(natlab.B1, luis, "luis", "file.txt"); !strings.Contains(told, `"route":"mapped"`) || !strings.Contains(told, `"way":"Internet"`) {
				t.Errorf("of the way to ana it is told %s", told)
			}
			ana.quit(t)
			if v.reaches(natlab.PublicPeer, outside) {
				t.Error("the mapping outlives the program")
			}
		})
	}
}

// TestWithoutMapping: a node that nobody can reach says so, and what to do.
func TestWithoutMapping(t *testing.T) {
	t.Parallel()
	v := newVillage(t, natlab.Options{A: "port+upnp", B: "port"})
	ana, luis := v.user(natlab.A1, "ana", "--port-mapping", "off"), v.user(natlab.B1, "luis")
	ana.offer(t, "file.txt", []byte(strings.Repeat(routed, routedFor)))
	luis.must(t, "get_file ana file.txt target", "GET_FILE FAIL")
	luis.explained(t, "ana", v.Addr(natlab.RouterA).String(), "UPnP", "NAT-PMP", fmt.Sprintf("forward TCP port %d", nodePort))
	if _, err := os.Lstat(filepath.Join(luis.dir, "target")); err == nil {
		t.Error("something is left of it")
	}
}

// TestNeighbours: two nodes of one LAN find each other there, although their
// router lets no host of its own come back in by its outside address.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	v := newVillage(t, natlab.Options{A: "port+upnp", B: "port"})
	ana, eva := v.user(natlab.A1, "ana"), v.user(natlab.A2, "eva")
	ana.offer(t, "file.txt", []byte(strings.Repeat(routed, routedFor)))
	outside := netip.AddrPortFrom(v.Addr(natlab.RouterA), nodePort)
	for deadline := time.Now().Add(patience); !v.reaches(natlab.PublicPeer, outside); {
		if time.Now().After(deadline) {
			t.Fatalf("%v is never mapped: %s", outside, ana.output())
		}
	}
	if v.reaches(natlab.A2, outside) {
		t.Error("the router has a hairpin, so this shows nothing")
	}
	eva.must(t, "get_file ana file.txt target", "GET_FILE OK")
	if got := contentOf(t, filepath.Join(eva.dir, "target")); string(got) != strings.Repeat(routed, routedFor) {
		t.Errorf("%d bytes came", len(got))
	}
}
