package fileclient

import (
	"fmt"
	"time"

	"lonja"
)

// Waiting is what has happened in a peer's queue since something came from it. It has no
// clock: it is told the time since some beginning, which never goes back. The zero
// Waiting is of somebody who has had no place. It is for one goroutine at a time.
type Waiting struct {
	place int           // as told last; 0: none
	since time.Duration // when it last became better
}

// At notes a place; 0 is none. To come to a worse one moves nothing. But who goes round,
// because its turns are too short for what it asks for, comes nearer to the next one.
func (w *Waiting) At(place int, now time.Duration) {
	if place == 0 {
		return
	}
	if w.place == 0 || place < w.place {
		w.since = now
	}
	w.place = place
}

// Left returns for how long it is still waited if nothing moves, zero or less if no
// more. False if there is no place.
func (w *Waiting) Left(now, patience time.Duration) (time.Duration, bool) {
	return w.since + patience - now, w.place > 0
}

// Stuck reports whether nothing has moved for too long.
func (w *Waiting) Stuck(now, patience time.Duration) bool {
	left, waits := w.Left(now, patience)
	return waits && left <= 0
}

// Err is why it is waited no more, of kind Limited.
func (w *Waiting) Err(patience time.Duration) error {
	return lonja.E(lonja.Limited, "", fmt.Errorf("place %d in its queue has not changed for %v, and nothing comes", w.place, patience))
}
