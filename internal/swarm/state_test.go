package swarm

import (
	"net/netip"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/fileapi"
	"lonja/internal/meter"
)

// TestHoldersTell: of each holder, where it was reached, and what came.
func TestHoldersTell(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 5*mib+1)
	ana := w.peer(c, "ana", nil)
	gone := w.peer(c, "gone", nil)
	gone.close()
	s, finish := w.swarm(c, impatient, ana, gone)
	if good, all := s.Count(); good != 0 || all != 6 || s.Size() != c.Size {
		t.Errorf("before: %d of %d pieces, %d bytes", good, all, s.Size())
	}
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	if good, all := s.Count(); good != 6 || all != 6 {
		t.Errorf("after: %d of %d pieces", good, all)
	}
	// What came more than some seconds ago does not count: on a busy machine, all of it.
	lately := time.Since(s.began) < (meter.Seconds-1)*time.Second
	if fast := s.Speed(); fast > c.Size || lately && fast < c.Size/meter.Seconds {
		t.Errorf("%d bytes/s, of %d bytes", fast, c.Size)
	}
	for _, h := range s.Holders() {
		switch h.User {
		case "ana":
			if h.At != ana.at || h.Pieces != 6 || h.Bytes != c.Size || lately && h.Speed == 0 || h.Trip <= 0 || h.Err != nil {
				t.Errorf("got %+v", h)
			}
		case "gone":
			if h.At != "" || h.Pieces != 0 || h.Speed != 0 || lonja.KindOf(h.Err) != lonja.Unavailable {
				t.Errorf("got %+v", h)
			}
		}
	}
}

// TestHoldersTellOfTheirWays: how the address leads to a holder at which it was reached, and
// whether that holder has a part only.
func TestHoldersTellOfTheirWays(t *testing.T) {
	w, c := newTown(t), newCorpus(t, 5*mib+1)
	elsewhere := netip.MustParseAddrPort("198.51.100.7:4445")
	tells := func(ways func(at netip.AddrPort) fileapi.Ways) func(*peer) { return func(p *peer) { p.ways = ways } }
	s, finish := w.swarm(c, impatient,
		w.peer(c, "direct", tells(func(netip.AddrPort) fileapi.Ways { return fileapi.Ways{Mapped: elsewhere, Seen: elsewhere} })),
		w.peer(c, "mapped", tells(func(at netip.AddrPort) fileapi.Ways { return fileapi.Ways{Mapped: at} })),
		w.peer(c, "seen", tells(func(at netip.AddrPort) fileapi.Ways { return fileapi.Ways{Mapped: elsewhere, Seen: at} })),
		w.peer(c, "part", func(p *peer) { p.has = roaring.BitmapOf(0, 1, 5) }),
	)
	before := s.Holders()[0]
	if before.Route != Untold || before.Partial {
		t.Errorf("before: %+v", before)
	}
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	for _, h := range s.Holders() {
		want := map[lonja.UserName]Route{"direct": Direct, "mapped": Mapped, "seen": Seen, "part": Direct}[h.User]
		if h.At != "" && h.Trip > 0 && (h.Route != want || h.Partial != (h.User == "part")) {
			t.Errorf("got %+v, want route %v", h, want)
		}
	}
}
