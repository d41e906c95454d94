package node

import (
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/tree"
)

// runner returns a node of a registered user who is not connected, and takes part in what
// it fetches.
func (v *town) runner(user lonja.UserName) *citizen {
	v.Helper()
	c := v.citizen(user, func(o *Options) { o.Secure.TakePart, o.Secure.spareAgain = true, time.Millisecond })
	v.ok(c.Register(v.Context(), user))
	return c
}

// away reports whether the directory knows that a user is not connected.
func (v *town) away(user lonja.UserName) bool {
	v.Helper()
	peers, err := v.rules.ListUsers(v.Context(), user)
	v.ok(err)
	_, there := peers.Of(user)
	return !there
}

// TestSpare: who fetches something without being connected is for as long as that takes,
// gives what is here, and serves what it has published. Another program of the user has
// the session as soon as it wants it, and the spare has it back afterwards. At the end
// nothing stays.
func TestSpare(t *testing.T) {
	v := newTown(t)
	ana, luis, eva := v.resident("ana"), v.resident("luis"), v.runner("eva")
	content := random(12 * tree.PieceSize)
	id := ana.offer("film.mkv", content)
	eva.offer("poem", "one")
	if !v.away("eva") {
		t.Error("eva is connected, and fetches nothing")
	}
	held := eva.runHeld(id, 4*tree.PieceSize)
	has, err := luis.partsOf(luis.sees(eva, id), id).Have(t.Context(), 12)
	v.ok(err)
	if has == nil || has.IsEmpty() {
		t.Errorf("it has %v", has)
	}
	luis.gets("eva", "poem", "one")

	eva.set = nil
	twin := eva.twin()
	v.ok(twin.Connect(t.Context(), "eva"))
	v.until("the spare has yielded", func() bool { return !eva.Serving() })
	if logged := eva.notes.take(); strings.Contains(logged, "ERROR") || strings.Contains(logged, "WARN") {
		t.Errorf("it has logged %s", logged)
	}
	if !twin.Serving() {
		t.Errorf("the other has lost the session: %v", twin.Ended())
	}
	v.ok(twin.Disconnect(t.Context(), "eva"))
	luis.sees(eva, id)
	held.finish(content)
	eva.Close()
	if !v.away("eva") {
		t.Error("eva is connected, and does not run any more")
	}
}

// TestSpareIsInNobodysWay: when the directory has forgotten all sessions, and the spare is
// the first one back, the other program of the user has its session again.
func TestSpareIsInNobodysWay(t *testing.T) {
	v := newTown(t)
	ana, eva := v.resident("ana"), v.runner("eva")
	content := random(6 * tree.PieceSize)
	id := ana.offer("film.mkv", content)
	held := eva.runHeld(id, 3*tree.PieceSize)
	ana.sees(eva, id)
	eva.set = func(o *Options) { o.Secure.spread = time.Second }
	twin := eva.twin()
	v.ok(twin.Connect(t.Context(), "eva"))
	v.until("the spare has yielded", func() bool { return !eva.Serving() })
	twin.current().keeps.keeper.Lost() // it will be late
	v.restart(v.store)
	own := twin.current().keeps.address()
	v.until("the other is connected again", func() bool {
		peers, err := v.rules.ListUsers(t.Context(), "eva")
		v.ok(err)
		peer, there := peers.Of("eva")
		return there && peer.At.AddrPort == own
	})
	if !twin.Serving() {
		t.Errorf("the other has lost the session: %v", twin.Ended())
	}
	held.finish(content)
}
