package folderfetch

import (
	"sync"

	"lonja/internal/tree"
)

// A queue says which content is asked for next. They are taken in order, so that
// files of one directory come together.
type queue struct {
	wanted  []Wanted
	sharers int // the parts that what is left is divided in at the end

	mu      sync.Mutex // guards the rest, and what changes in a fetch and its holders
	next    int
	back    []int         // were taken, and did not come
	missing int           // did not come yet
	changed chan struct{} // closed when somebody who waits should look again
}

// The bounds of what a connection is asked for at a time; it has two times that on
// its way.
const (
	mostAsked      = 64
	mostAskedBytes = 2 * tree.PieceSize
)

func newQueue(wanted []Wanted, sharers int) *queue {
	return &queue{wanted: wanted, sharers: max(1, sharers), missing: len(wanted), changed: make(chan struct{})}
}

// wake has all who wait look again; mu is held.
func (q *queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// take returns what to ask for next. If that is nothing, but something is missing
// still, changed is closed when it is worth to look again; otherwise it is nil.
func (q *queue) take() (taken []int, changed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := len(q.back) + len(q.wanted) - q.next
	room, bytes := min(mostAsked, max(1, left/q.sharers)), int64(0)
	for len(taken) < room && left > len(taken) {
		from := q.next
		if len(q.back) > 0 {
			from = q.back[len(q.back)-1]
		}
		bytes += q.wanted[from].Size
		if len(taken) > 0 && bytes > mostAskedBytes {
			break
		}
		if len(q.back) > 0 {
			q.back = q.back[:len(q.back)-1]
		} else {
			q.next++
		}
		taken = append(taken, from)
	}
	if len(taken) == 0 && q.missing > 0 {
		changed = q.changed
	}
	return taken, changed
}

// giveBack has others ask for what did not come.
func (q *queue) giveBack(taken []int) {
	if len(taken) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.back = append(q.back, taken...)
	q.wake()
}

// done has one count that came.
func (q *queue) done() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.missing--; q.missing == 0 {
		q.wake()
	}
}
