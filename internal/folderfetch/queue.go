package folderfetch

import (
	"sort"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja/internal/tree"
)

// A queue says which content is asked for next. They are taken in order, so that
// files of one directory come together; where to begin, place says.
type queue struct {
	n      int
	wanted func(i int) Wanted // 0 to n-1, in the order of their entries

	mu      sync.Mutex      // guards the rest, and what changes in a Fetch and its holders
	free    *roaring.Bitmap // entries that nobody was asked for
	next    uint32          // the entry at which to go on
	placed  [2]int          // what place was told last
	missing int             // did not come yet
	sharers int             // the parts that what is left is divided in at the end
	changed chan struct{}   // closed when somebody who waits should look again
}

// The bounds of what a connection is asked for at a time; it has two times that on
// its way.
const (
	mostAsked      = 64
	mostAskedBytes = 2 * tree.PieceSize
)

func newQueue(n int, wanted func(i int) Wanted) *queue {
	q := &queue{n: n, wanted: wanted, missing: n, free: roaring.New(), changed: make(chan struct{})}
	for i := range n {
		q.free.Add(wanted(i).Entry)
	}
	q.free.RunOptimize()
	return q
}

// wake has all who wait look again; mu is held.
func (q *queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// place says where to begin, or, once it turns out that there are others, to go on.
func (q *queue) place(rank, of int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now := [2]int{rank, of}; of > 0 && q.n > 0 && rank < of && q.placed != now {
		q.placed = now
		q.next = q.wanted(q.n / of * rank).Entry
	}
}

// take returns what to ask for next, of those entries that a holder has: some, or all
// if that is nil. If that is nothing, but something is missing still, changed is closed when it is
// worth to look again; otherwise it is nil.
func (q *queue) take(some *roaring.Bitmap) (taken []int, changed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	from := q.free
	if some != nil {
		from = roaring.And(q.free, some)
	}
	left := from.GetCardinality()
	room, bytes := min(mostAsked, max(1, left/uint64(max(1, q.sharers)))), int64(0)
	at := q.next
	for uint64(len(taken)) < min(room, left) {
		entry := from.NextValue(at)
		if entry < 0 {
			entry = from.NextValue(0)
		}
		i := q.indexOf(uint32(entry))
		if bytes += q.wanted(i).Size; len(taken) > 0 && bytes > mostAskedBytes {
			break
		}
		q.free.Remove(uint32(entry))
		if some != nil {
			from.Remove(uint32(entry))
		}
		taken = append(taken, i)
		at = uint32(entry) + 1
	}
	if some == nil {
		q.next = at
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
	for _, i := range taken {
		q.free.Add(q.wanted(i).Entry)
	}
	q.wake()
}

// indexOf returns which of those that are wanted an entry is.
func (q *queue) indexOf(entry uint32) int {
	if int(entry) < q.n && q.wanted(int(entry)).Entry == entry { // all are wanted
		return int(entry)
	}
	return sort.Search(q.n, func(i int) bool { return q.wanted(i).Entry >= entry })
}

// done has one count that came; mu is held.
func (q *queue) done() {
	if q.missing--; q.missing == 0 {
		q.wake()
	}
}
