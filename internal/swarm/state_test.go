package swarm

import (
	"testing"
	"time"

	"lonja"
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
	lately := time.Since(s.began) < (meterSeconds-1)*time.Second
	if fast := s.Speed(); fast > c.Size || lately && fast < c.Size/meterSeconds {
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
