package oplog

import (
	"sync"

	"lonja"
)

// A queue holds the entries that are yet to be sent, a bounded number of them:
// when it is full, each new entry pushes out the oldest. Any number of
// goroutines may push; one takes.
type queue struct {
	ready chan struct{} // capacity 1: gets a token when wanted entries come

	mu      sync.Mutex
	ring    []lonja.OperationRecord
	head    int // where the oldest stands
	count   int
	wanted  bool // the taker found nothing, and waits for ready
	dropped uint64
}

func newQueue(size int) *queue {
	return &queue{ready: make(chan struct{}, 1), ring: make([]lonja.OperationRecord, size)}
}

// push adds an entry and never blocks. It wakes the taker only when that is
// waiting: to wake it for each entry would cost more than all the rest.
func (q *queue) push(r lonja.OperationRecord) {
	q.mu.Lock()
	if q.count == len(q.ring) {
		q.shift()
		q.dropped++
	}
	q.ring[q.index(q.count)] = r
	q.count++
	wake := q.wanted
	q.wanted = false
	q.mu.Unlock()
	if wake {
		select {
		case q.ready <- struct{}{}:
		default:
		}
	}
}

// index is where the i-th entry from the oldest stands.
func (q *queue) index(i int) int {
	i += q.head
	if i >= len(q.ring) {
		i -= len(q.ring)
	}
	return i
}

// shift takes the oldest entry out.
func (q *queue) shift() lonja.OperationRecord {
	r := q.ring[q.head]
	q.ring[q.head] = lonja.OperationRecord{} // lets its strings go
	q.head = q.index(1)
	q.count--
	return r
}

// take adds up to n entries, oldest first, to those in into.
func (q *queue) take(into []lonja.OperationRecord, n int) []lonja.OperationRecord {
	q.mu.Lock()
	defer q.mu.Unlock()
	for ; n > 0 && q.count > 0; n-- {
		into = append(into, q.shift())
	}
	return into
}

// len returns how many entries wait. With 0, the next push gives a token to
// ready; there may be one left over from before, too.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wanted = q.count == 0
	return q.count
}

// waiting returns how many entries wait, for whoever does not take them.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count
}

// drop counts n entries that are lost.
func (q *queue) drop(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped += uint64(n)
}

// lost returns how many entries were dropped.
func (q *queue) lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
