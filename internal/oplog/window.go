package oplog

import (
	"sync"

	"lonja"
)

// windowSize bounds the calls that are sent and not answered. It must divide
// 2^32, so that XIDs may run over.
const windowSize = 1024

// A window holds the entries that were sent and not answered, each under the
// XID of its call. XIDs count up by one, so a call's place follows from its
// XID. It outlives connections: what the one left unanswered, the next repeats.
//
// One goroutine adds, another may note the answers.
type window struct {
	freed chan struct{} // capacity 1: gets a token when a wanted answer comes

	mu          sync.Mutex
	calls       [windowSize]pendingCall // the call with some XID stands at XID % windowSize
	first, next uint32                  // XIDs of the oldest call that is kept, and of the next one
	unanswered  int
	answered    uint64 // all that ever were
	wanted      bool   // the adder waits for freed
}

type pendingCall struct {
	entry    lonja.OperationRecord
	answered bool
}

func newWindow(firstXID uint32) *window {
	return &window{freed: make(chan struct{}, 1), first: firstXID, next: firstXID}
}

// add puts an entry in and returns the XID for its call. There must be room.
func (w *window) add(entry lonja.OperationRecord) (xid uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	xid = w.next
	w.calls[xid%windowSize] = pendingCall{entry: entry}
	w.next++
	w.unanswered++
	return xid
}

// answer notes that the call with that XID is answered. It is false, and
// nothing happens, for one that is not waited for: answered before, or never sent.
func (w *window) answer(xid uint32) bool {
	w.mu.Lock()
	call := &w.calls[xid%windowSize]
	if xid-w.first >= w.next-w.first || call.answered {
		w.mu.Unlock()
		return false
	}
	*call = pendingCall{answered: true}
	w.unanswered--
	w.answered++
	for w.first != w.next && w.calls[w.first%windowSize].answered {
		w.first++
	}
	wake := w.wanted
	w.wanted = false
	w.mu.Unlock()
	if wake {
		select {
		case w.freed <- struct{}{}:
		default:
		}
	}
	return true
}

// A windowState is what a window holds at one moment.
type windowState struct {
	room       int    // calls that may be added
	unanswered int    // calls that were not answered
	answered   uint64 // calls that ever were; tells progress
}

// state returns what the window holds. If it is full, or wake is set, the next
// answer gives a token to freed; there may be one left over from before, too.
func (w *window) state(wake bool) windowState {
	w.mu.Lock()
	defer w.mu.Unlock()
	room := windowSize - int(w.next-w.first)
	w.wanted = wake || room == 0
	return windowState{
		room:       room,
		unanswered: w.unanswered,
		answered:   w.answered,
	}
}

// A sentCall is an unanswered call: an entry and the XID it goes by.
type sentCall struct {
	xid   uint32
	entry lonja.OperationRecord
}

// pending returns the unanswered calls, oldest first.
func (w *window) pending() []sentCall {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := make([]sentCall, 0, w.unanswered)
	for xid := w.first; xid != w.next; xid++ {
		if call := w.calls[xid%windowSize]; !call.answered {
			calls = append(calls, sentCall{xid, call.entry})
		}
	}
	return calls
}
