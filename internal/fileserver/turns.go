package fileserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"lonja"
	"lonja/internal/fairshare"
	"lonja/internal/fileapi"
)

// turns have the requests of a Server take turns, as a Share decides.
type turns struct {
	began time.Time

	mu      sync.Mutex // guards all below
	share   *fairshare.Share
	waiting map[*fairshare.Request]*turn // that want a quantum
	wakeUp  *time.Timer                  // when the share is to be looked at again
	given   uint64                       // slots that were given until now
	freed   chan struct{}                // closed when one more is
}

func newTurns(o fairshare.Options) *turns {
	return &turns{began: time.Now(), share: fairshare.New(o), waiting: make(map[*fairshare.Request]*turn), freed: make(chan struct{})}
}

// A turn is one request. It is of one goroutine.
type turn struct {
	all     *turns
	request *fairshare.Request
	granted chan int // holds one
}

// do calls f with the time, and has those go on that may then. No lock is held
// while anything waits.
func (t *turns) do(f func(share *fairshare.Share, now time.Duration)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Since(t.began)
	f(t.share, now)
	t.grant(now)
}

// grant tells requests that they may send something; mu is held.
func (t *turns) grant(now time.Duration) {
	for {
		request, n, at := t.share.Next(now)
		if request == nil {
			t.lookAgain(at, now)
			break
		}
		waits := t.waiting[request]
		delete(t.waiting, request)
		waits.granted <- n // there is room: it was waiting
	}
	if given := t.share.Given(); given != t.given {
		t.given = given
		close(t.freed)
		t.freed = make(chan struct{})
	}
}

func (t *turns) lookAgain(at, now time.Duration) {
	switch {
	case at == fairshare.Never && t.wakeUp != nil:
		t.wakeUp.Stop()
	case at == fairshare.Never:
	case t.wakeUp != nil:
		t.wakeUp.Reset(at - now)
	default:
		t.wakeUp = time.AfterFunc(at-now, func() { t.do(func(*fairshare.Share, time.Duration) {}) })
	}
}

// begin begins a request, if it is its user's turn: otherwise the place is another
// than Served. The caller ends it.
func (t *turns) begin(user lonja.UserName, how fairshare.Terms) (begun *turn, place fairshare.Place) {
	t.do(func(share *fairshare.Share, now time.Duration) {
		var request *fairshare.Request
		if request, place = share.Begin(user, how, now); request != nil {
			begun = &turn{all: t, request: request, granted: make(chan int, 1)}
		}
	})
	return begun, place
}

// next returns when the request may send something: at most so much, which may be
// less. When that was sent, or not, sent is called.
func (t *turn) next(ctx context.Context, most int) (n int, err error) {
	t.all.do(func(share *fairshare.Share, now time.Duration) {
		t.all.waiting[t.request] = t
		share.Want(t.request, most, now)
	})
	select {
	case n := <-t.granted:
		return n, nil
	case <-ctx.Done(): // end does the rest
		return 0, lonja.E(lonja.Canceled, "serve", ctx.Err())
	}
}

func (t *turn) sent() {
	t.all.do(func(share *fairshare.Share, now time.Duration) { share.Sent(t.request, now) })
}

func (t *turn) end() {
	t.all.do(func(share *fairshare.Share, now time.Duration) {
		delete(t.all.waiting, t.request)
		share.End(t.request, now)
	})
}

// mostWait bounds how long somebody waits for its turn before it is told its
// place.
const mostWait = 20 * time.Second

// wait returns when it is a user's turn, or patience or ctx ends.
func (t *turns) wait(ctx context.Context, user lonja.UserName, patience time.Duration) (place fairshare.Place) {
	timer := time.NewTimer(min(patience, mostWait))
	defer timer.Stop()
	for {
		var freed <-chan struct{}
		t.do(func(share *fairshare.Share, now time.Duration) { place, freed = share.Ask(user, now), t.freed })
		if place <= fairshare.Served {
			return place
		}
		select {
		case <-freed:
		case <-timer.C:
			return place
		case <-ctx.Done():
			return place
		}
	}
}

// askAgain is when somebody in the queue is to ask again.
const askAgain = 5 * time.Second

// fullAgain is that for whom the queue had no room.
const fullAgain = 30 * time.Second

// queuedError is the cause for a request whose turn it is not.
type queuedError struct{ place fairshare.Place }

func (e *queuedError) Error() string {
	if e.place == fairshare.NoPlace {
		return "too many wait for their turn"
	}
	return fmt.Sprintf("place %d in the queue", e.place)
}

// refuseQueued tells somebody its place. The connection is kept.
func refuseQueued(w http.ResponseWriter, queued *queuedError) {
	after := askAgain
	if queued.place == fairshare.NoPlace {
		after = fullAgain
	} else {
		w.Header().Set(fileapi.PlaceHeader, fileapi.FormatPlace(int(queued.place)))
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(after/time.Second)))
	http.Error(w, queued.Error(), http.StatusServiceUnavailable)
}

func limited(queued *queuedError) error { return lonja.E(lonja.Limited, "serve", queued) }

func isQueued(err error) (*queuedError, bool) { return errors.AsType[*queuedError](err) }
