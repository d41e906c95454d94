package swarm

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/fileclient"
	"lonja/internal/meter"
	"lonja/internal/picker"
)

// A holder is one of a Swarm's, with its connections.
type holder struct {
	Holder
	swarm  *Swarm
	number picker.Holder
	leave  context.CancelFunc // nothing before it runs
	meter  meter.Meter        // of what it sends
	limit  *Limit             // of what it sends, or nil

	// The Swarm's mu guards the rest.
	dial   func(ctx context.Context) (net.Conn, error)
	state  HolderState
	joined bool // the picker knows what it has
	look   look
	queue  fileclient.Waiting
	vain   int // tries in a row that brought nothing
}

func newHolder(s *Swarm, h Holder, number picker.Holder) *holder {
	return &holder{
		Holder: h, swarm: s, number: number, leave: func() {}, dial: h.Dial, limit: NewLimit(s.opts.LimitEach),
		state: HolderState{User: h.User, Key: h.Key},
	}
}

// run keeps connections to the holder until ctx ends, in goroutines of the group.
// The Swarm's mu is held.
func (h *holder) run(ctx context.Context, group *errgroup.Group) {
	if h.state.Lied {
		return
	}
	ctx, h.leave = context.WithCancel(ctx)
	answered := make(chan struct{})
	proven := sync.OnceFunc(func() { close(answered) })
	for i := range h.swarm.opts.ConnsEach {
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

// keep has one connection after the other fetch pieces, with pauses after those
// that bring nothing. It calls proven when the holder has answered.
func (h *holder) keep(ctx context.Context, proven func()) {
	s := h.swarm
	pause := s.opts.LeastPause
	for {
		c := h.connect()
		err := h.judge(c.fetch(ctx, proven))
		c.close()
		if err == nil || ctx.Err() != nil {
			return
		}
		vain := 1
		if c.brought > 0 {
			pause, vain = s.opts.LeastPause, 0
		}
		switch kind := lonja.KindOf(err); {
		case kind == lonja.LocalFile || kind == lonja.Internal:
			s.fail(err)
			return
		case kind == lonja.Untrusted:
			h.drop(err)
			return
		case kind == lonja.NoSuchFile || kind == lonja.Forbidden || kind == lonja.Conflict:
			// It takes a person to change that: the others are not waited for
			// because of it.
			pause = s.opts.MostPause
			vain = s.opts.Tries
		}
		wait := pause/2 + rand.N(pause/2+1)
		h.note(err, vain, time.Now().Add(wait))
		s.opts.Log.Debug("a holder is left alone for a while", "user", h.User, "for", wait, slog.Any("error", err))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, s.opts.MostPause)
	}
}

// judge has another size be a lie of a holder that has signed this one.
func (h *Holder) judge(err error) error {
	if other, ok := errors.AsType[*fileclient.OtherSize](err); ok && !h.Unsigned {
		return lonja.E(lonja.Untrusted, "", other)
	}
	return err
}

// connect returns what will be a connection, once something is asked.
func (h *holder) connect() *conn {
	s := h.swarm
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	h.state.Conns++
	h.state.Again = time.Time{}
	c := &conn{holder: h, Swarm: s, number: picker.Conn(s.next)}
	c.client = fileclient.New(s.content.ID, fileclient.Options{Dial: h.noting(h.dial), Conns: 1, StallTimeout: s.opts.StallTimeout})
	return c
}

// noting has dial's connections tell where they lead.
func (h *holder) noting(dial func(context.Context) (net.Conn, error)) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		h.swarm.mu.Lock()
		defer h.swarm.mu.Unlock()
		h.state.At = conn.RemoteAddr().String()
		return Slow(conn, h.swarm.opts.Near, h.swarm.opts.Limit, h.limit), nil
	}
}

// note keeps why a connection ended, and how many tries in vain that was; 0 if it
// had brought something.
func (h *holder) note(err error, vain int, again time.Time) {
	s := h.swarm
	s.mu.Lock()
	defer s.mu.Unlock()
	if !h.state.Lied { // of one that has, why stays
		h.state.Err, h.state.Again = err, again
	}
	h.vain += vain
	if vain == 0 {
		h.vain = 0
	}
	s.wake()
}

// drop asks a holder no more that sent something else.
func (h *holder) drop(err error) {
	s := h.swarm
	s.mu.Lock()
	first := !h.state.Lied
	if first {
		h.state.Lied, h.state.Err, h.state.Again = true, err, time.Time{}
	}
	h.leave()
	s.wake()
	s.mu.Unlock()
	if first {
		s.opts.Log.Warn("a holder sent something else and is asked no more", "user", h.User, slog.Any("error", err))
		s.telling.Lock()
		defer s.telling.Unlock()
		s.opts.Lied(h.User, err)
	}
}
