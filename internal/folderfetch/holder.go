package folderfetch

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/fileclient"
	"lonja/internal/meter"
)

// A holder is one of a Fetch's, with its connections.
type holder struct {
	Holder
	fetch *Fetch
	leave context.CancelFunc // nothing before it runs
	meter meter.Meter        // of what it sends

	// The queue's mu guards the rest.
	dial     func(ctx context.Context) (net.Conn, error)
	partial  bool
	has      *roaring.Bitmap // entries; nil if it is not partial, or was not asked yet
	looking  bool            // it is being asked
	looked   time.Time       // when it was asked
	pause    time.Duration   // before it is asked again
	idle     bool            // it is connected and has nothing that is wanted
	since    time.Duration   // when that began
	state    HolderState
	answered int  // of its connections
	vain     int  // tries in a row that brought nothing
	queued   bool // it was not our turn
	waiting  fileclient.Waiting
}

func newHolder(h Holder, f *Fetch) *holder {
	return &holder{Holder: h, fetch: f, leave: func() {}, dial: h.Dial, partial: h.Partial, state: HolderState{User: h.User, Key: h.Key}}
}

// hopeful reports whether something may still come from a holder; the queue's mu is
// held.
func (h *holder) hopeful() bool {
	o := h.fetch.opts
	switch {
	case h.state.Lied || h.stuck():
		return false
	case h.state.Conns == 0:
		return h.vain < o.Tries
	}
	return !h.partial || !h.idle || time.Since(h.fetch.began)-h.since < time.Duration(o.Tries)*o.StallTimeout
}

// stuck reports whether the holder's queue has not moved for too long; the queue's mu is
// held.
func (h *holder) stuck() bool {
	return h.queued && h.waiting.Stuck(time.Since(h.fetch.began), h.fetch.opts.QueuePatience)
}

// isAt notes the place in the holder's queue; the queue's mu is held.
func (h *holder) isAt(place int) {
	h.state.Place = place
	h.waiting.At(place, time.Since(h.fetch.began))
	h.fetch.queue.wake()
}

// run keeps connections to the holder until ctx ends, in goroutines of the group; the
// queue's mu is held.
func (h *holder) run(ctx context.Context, group *errgroup.Group) {
	if h.state.Lied {
		return
	}
	ctx, h.leave = context.WithCancel(ctx)
	answered := make(chan struct{})
	proven := sync.OnceFunc(func() { close(answered) })
	for i := range h.fetch.opts.ConnsEach {
		group.Go(func() error {
			if i > 0 {
				select {
				case <-answered: // until then, one connection is enough
				case <-ctx.Done():
					return nil
				}
			}
			h.keep(ctx, proven)
			return nil
		})
	}
}

// keep has one connection after the other fetch, with pauses after those that bring
// nothing.
func (h *holder) keep(ctx context.Context, proven func()) {
	o := h.fetch.opts
	pause := o.LeastPause
	for {
		brought, err := h.connect(ctx, proven)
		err = h.judge(err)
		if err == nil || ctx.Err() != nil {
			return
		}
		vain := 1
		if brought > 0 {
			pause, vain = o.LeastPause, 0
		}
		if local, ok := errors.AsType[putError](err); ok {
			h.fetch.fail(local.error)
			return
		}
		inQueue, queued := errors.AsType[*fileclient.Queued](err)
		switch kind := lonja.KindOf(err); {
		case queued: // it keeps a place, and the next connection waits for the turn
			pause, vain = o.LeastPause, 0
		case kind == lonja.Untrusted:
			h.drop(err)
			return
		case kind == lonja.NoSuchFile || kind == lonja.Forbidden || kind == lonja.Conflict: // it takes a person to change that
			pause, vain = o.MostPause, o.Tries
		}
		wait := pause/2 + rand.N(pause/2+1)
		h.note(err, vain, inQueue, time.Now().Add(wait))
		o.Log.Debug("a holder is left alone for a while", "user", h.User, "for", wait, slog.Any("error", err))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, o.MostPause)
	}
}

// judge has another size be a lie of a holder that has signed the list, which says
// this one. Who is fetching the folder has signed nothing.
func (h *holder) judge(err error) error {
	other, ok := errors.AsType[*fileclient.OtherSize](err)
	if !ok || h.Partial {
		return err
	}
	return lonja.E(lonja.Untrusted, "", other)
}

// A putError is what Put says, which is not the holder's fault.
type putError struct{ error }

// note keeps why a connection ended, and how many tries in vain that was; 0 if it
// had brought something. With inQueue it is only not our turn.
func (h *holder) note(err error, vain int, inQueue *fileclient.Queued, again time.Time) {
	q := h.fetch.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	h.state.Again, h.queued = again, inQueue != nil
	if h.queued {
		h.isAt(inQueue.Place)
	} else if !h.state.Lied { // of one that has, why stays
		h.state.Err = err
	}
	h.vain += vain
	if vain == 0 {
		h.vain = 0
	}
	q.wake()
}

// drop asks a holder no more that sent something else.
func (h *holder) drop(err error) {
	q := h.fetch.queue
	q.mu.Lock()
	first := !h.state.Lied
	if first {
		h.state.Lied, h.state.Err, h.state.Again = true, err, time.Time{}
	}
	h.leave()
	q.wake()
	q.mu.Unlock()
	if first {
		h.fetch.opts.Log.Warn("a holder sent something else and is asked no more", "user", h.User, slog.Any("error", err))
		h.fetch.opts.Lied(h.User, err)
	}
}

// count has one more connection count, or one less.
func (h *holder) count(n int) {
	q := h.fetch.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if h.state.Conns += n; h.state.Conns == 0 {
		q.wake()
	}
}

// connect fetches over one connection until nothing is missing, which is no error.
func (h *holder) connect(ctx context.Context, proven func()) (brought int, err error) {
	h.count(+1)
	defer h.count(-1)
	p, err := fileclient.DialPipeline(ctx, fileclient.Options{Dial: h.dialNow, StallTimeout: h.fetch.opts.StallTimeout})
	if err != nil {
		return 0, err
	}
	defer p.Close()
	c := &conn{holder: h, pipeline: p, proven: proven}
	defer c.end()
	err = c.fetchAll(ctx)
	return c.brought, err
}

// dialNow connects in the way that is known now.
func (h *holder) dialNow(ctx context.Context) (net.Conn, error) {
	q := h.fetch.queue
	q.mu.Lock()
	dial := h.dial
	h.state.Again = time.Time{}
	q.mu.Unlock()
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	h.state.At = conn.RemoteAddr().String()
	return conn, nil
}
