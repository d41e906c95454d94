// Package pacing drives a fairshare.Share: it has requests wait until they may send
// something, in the dialects that a node speaks at the same time, so that all of them
// together keep to its rates and take turns.
//
// It sends nothing itself and decides nothing. Package fileserver asks it for each
// quantum, and so does upload.
package pacing

import (
	"context"
	"sync"
	"time"

	"lonja"
	"lonja/internal/fairshare"
)

// A Pacer has requests take turns, as a Share decides. Its methods may be called by any
// number of goroutines at once.
type Pacer struct {
	began time.Time

	mu      sync.Mutex // guards all below
	share   *fairshare.Share
	waiting map[*fairshare.Request]*Turn // that want a quantum
	wakeUp  *time.Timer                  // when the share is to be looked at again
	given   uint64                       // slots that were given until now
	freed   chan struct{}                // closed when one more is
}

// New returns a Pacer without any requests.
func New(o fairshare.Options) *Pacer {
	return &Pacer{began: time.Now(), share: fairshare.New(o), waiting: make(map[*fairshare.Request]*Turn), freed: make(chan struct{})}
}

// A Turn is one request. It is of one goroutine.
type Turn struct {
	all     *Pacer
	request *fairshare.Request
	granted chan int // holds one
}

// do calls f with the time, and has those go on that may then. No lock is held
// while anything waits.
func (p *Pacer) do(f func(share *fairshare.Share, now time.Duration)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Since(p.began)
	f(p.share, now)
	p.grant(now)
}

// grant tells requests that they may send something; mu is held.
func (p *Pacer) grant(now time.Duration) {
	for {
		request, n, at := p.share.Next(now)
		if request == nil {
			p.lookAgain(at, now)
			break
		}
		waits := p.waiting[request]
		delete(p.waiting, request)
		waits.granted <- n // there is room: it was waiting
	}
	if given := p.share.Given(); given != p.given {
		p.given = given
		close(p.freed)
		p.freed = make(chan struct{})
	}
}

func (p *Pacer) lookAgain(at, now time.Duration) {
	switch {
	case at == fairshare.Never && p.wakeUp != nil:
		p.wakeUp.Stop()
	case at == fairshare.Never:
	case p.wakeUp != nil:
		p.wakeUp.Reset(at - now)
	default:
		p.wakeUp = time.AfterFunc(at-now, func() { p.do(func(*fairshare.Share, time.Duration) {}) })
	}
}

// Begin begins a request, if it is its user's turn: otherwise the place is another
// than Served. The caller Ends it.
func (p *Pacer) Begin(user lonja.UserName, how fairshare.Terms) (begun *Turn, place fairshare.Place) {
	p.do(func(share *fairshare.Share, now time.Duration) {
		var request *fairshare.Request
		if request, place = share.Begin(user, how, now); request != nil {
			begun = &Turn{all: p, request: request, granted: make(chan int, 1)}
		}
	})
	return begun, place
}

// Next returns when the request may send something: at most so much, which may be
// less. When that was sent, or not, Sent is called. The error is of kind
// Canceled if ctx ends before.
func (t *Turn) Next(ctx context.Context, most int) (n int, err error) {
	t.all.do(func(share *fairshare.Share, now time.Duration) {
		t.all.waiting[t.request] = t
		share.Want(t.request, most, now)
	})
	select {
	case n := <-t.granted:
		return n, nil
	case <-ctx.Done(): // End does the rest
		return 0, lonja.E(lonja.Canceled, "serve", ctx.Err())
	}
}

// Sent says that what Next allowed is on its way, or will not be sent.
func (t *Turn) Sent() {
	t.all.do(func(share *fairshare.Share, now time.Duration) { share.Sent(t.request, now) })
}

// End ends it.
func (t *Turn) End() {
	t.all.do(func(share *fairshare.Share, now time.Duration) {
		delete(t.all.waiting, t.request)
		share.End(t.request, now)
	})
}

// mostWait bounds how long somebody waits for its turn before it is told its
// place.
const mostWait = 20 * time.Second

// Wait returns when it is a user's turn, or patience or ctx ends.
func (p *Pacer) Wait(ctx context.Context, user lonja.UserName, patience time.Duration) (place fairshare.Place) {
	timer := time.NewTimer(min(patience, mostWait))
	defer timer.Stop()
	for {
		var freed <-chan struct{}
		p.do(func(share *fairshare.Share, now time.Duration) { place, freed = share.Ask(user, now), p.freed })
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
