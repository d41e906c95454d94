package node

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lonja"
)

// twin returns a node of the same user with the same key, as from a copy of its
// machine.
func (c *citizen) twin() *citizen {
	v := c.town
	v.Helper()
	twin := &citizen{town: v, user: c.user, key: c.key, home: filepath.Join(v.TempDir(), "home"), folder: c.folder, set: c.set}
	twin.start()
	return twin
}

// TestTwins: of two nodes with one key the one that is connected last stays so. The
// other is told at once, serves no more, and neither fights nor ends what is not its
// own any more; a person may have it take over again.
func TestTwins(t *testing.T) {
	v := newTown(t)
	// Without waiting for a renewal: the watch tells it.
	ana := v.residentWith("ana", func(o *Options) { o.Secure.period = 24 * time.Hour })
	v.ok(ana.Publish(t.Context(), ana.write("f", "content"), ""))
	at := ana.current().keeps.address().String()
	twin := ana.twin()
	v.ok(twin.Connect(t.Context(), "ana"))
	v.until("the first has ended", func() bool { return !ana.Serving() })
	v.is(ana.Ended(), lonja.TakenOver)
	v.until("its files are served no more", func() bool {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	logged := ""
	v.until("what has happened and what to do is logged", func() bool {
		logged += ana.notes.take()
		return strings.Contains(logged, "another program with the same key") && strings.Contains(logged, "connect again")
	})
	_, err := ana.ListUsers(t.Context())
	v.is(err, lonja.NotConnected)
	_, err = ana.Status()
	v.is(err, lonja.NotConnected)
	v.is(ana.Disconnect(t.Context(), "ana"), lonja.NotConnected)
	ana.Close()
	peers, err := twin.ListUsers(t.Context())
	v.ok(err)
	if want := twin.current().keeps.address(); len(peers) != 1 || peers[0].At.AddrPort != want || !twin.Serving() {
		t.Errorf("listed: %v, want the twin, at %v; serving: %v", peers, want, twin.Serving())
	}

	ana.start()
	v.ok(ana.Connect(t.Context(), "ana"))
	v.until("the twin has ended", func() bool { return !twin.Serving() })
	v.is(twin.Ended(), lonja.TakenOver)
	v.ok(twin.Connect(t.Context(), "ana")) // a person wants it so
	v.until("the first has ended again", func() bool { return !ana.Serving() })
	if err := twin.Ended(); err != nil {
		t.Errorf("the twin: %v", err)
	}
}
