package fileclient

import (
	"testing"
	"time"

	"lonja"
)

// TestWaitingThatGoesRound: a queue in which one comes to its end again and again moves,
// however long it takes to come round.
func TestWaitingThatGoesRound(t *testing.T) {
	const patience = 10 * time.Minute
	var w Waiting
	now := time.Duration(0)
	for range 3 {
		for place := 40; place > 0; place-- {
			w.At(place, now)
			now += time.Minute
			if w.Stuck(now, patience) {
				t.Fatalf("stuck at place %d", place)
			}
		}
	}
	w.At(2, now) // back, which is no move
	w.At(0, now)
	if left, waits := w.Left(now, patience); left != patience-time.Minute || !waits {
		t.Errorf("left: %v, %v", left, waits)
	}
	if now += patience - time.Minute; !w.Stuck(now, patience) || lonja.KindOf(w.Err(patience)) != lonja.Limited {
		t.Errorf("not stuck, or %v", w.Err(patience))
	}
	if w = (Waiting{}); w.Stuck(now, patience) {
		t.Error("stuck without a place")
	}
}
