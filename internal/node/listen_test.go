package node

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"lonja"
)

// takenPorts takes the usual port and so many after it at an address that no other
// test has at the same time, and returns that.
func takenPorts(t *testing.T, more int) (host string) {
	t.Helper()
	host = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
	for port := DefaultPort; port <= DefaultPort+more; port++ {
		taken, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, port))
		if err == nil {
			t.Cleanup(func() { _ = taken.Close() })
		} // else who listens on all addresses has it
	}
	return host
}

// checkMoved checks that a node is at the port that it should be at, and that this was
// said once.
func checkMoved(t *testing.T, port uint16, asUsual bool, notes *notebook) {
	t.Helper()
	if near := port > DefaultPort && port < DefaultPort+portTries; near != asUsual {
		t.Errorf("the node is at port %d", port)
	}
	if said := notes.take(); strings.Count(said, "usual port is taken") != 1 || !strings.Contains(said, fmt.Sprintf("port=%d", port)) {
		t.Errorf("logged %q", said)
	}
}

// TestUsualPortIsTaken: then it is the next one, and that is said.
func TestUsualPortIsTaken(t *testing.T) {
	v := newTown(t)
	host := takenPorts(t, 0)
	ana := v.residentWith("ana", func(o *Options) { o.Listen = fmt.Sprintf("%s:%d", host, DefaultPort) })
	at := ana.status().Ways[0]
	checkMoved(t, at.Port(), true, ana.notes)
	told := v.citizen("luis", func(o *Options) { o.Listen = at.String() })
	v.ok(told.Register(t.Context(), "luis"))
	v.is(told.Connect(t.Context(), "luis"), lonja.LocalFile) // a port that was asked for is that or none
}

// TestUsualPortIsTakenInClassic: there it is the same, and what CONNECT announces is
// where the node listens.
func TestUsualPortIsTakenInClassic(t *testing.T) {
	for name, c := range map[string]struct {
		more int
		near bool
	}{"the usual one": {0, true}, "all near it": {portTries, false}} {
		t.Run(name, func(t *testing.T) {
			v := newVillage(t)
			host := takenPorts(t, c.more)
			n, notes := v.logged("village:1")
			n.opts.Listen = fmt.Sprintf("%s:%d", host, DefaultPort)
			v.ok(v.dir.Register(t.Context(), "ana"))
			v.ok(n.Connect(t.Context(), "ana"))
			peers, err := n.ListUsers(t.Context())
			v.ok(err)
			checkMoved(t, peers[0].At.Port(), c.near, notes)
			conn, err := net.Dial("tcp", peers[0].At.String())
			if err != nil {
				t.Fatalf("nobody listens there: %v", err)
			}
			_ = conn.Close()
		})
	}
}
