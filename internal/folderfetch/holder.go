package folderfetch

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/fileclient"
	"lonja/internal/tree"
)

// A holder is one of a fetch's, with its connections.
type holder struct {
	Holder
	fetch *fetch
	leave context.CancelFunc

	// The queue's mu guards the rest.
	conns   int
	brought int // contents
	vain    int // tries in a row that brought nothing
	err     error
	lied    bool
}

// run keeps connections to the holder until ctx ends, in goroutines of the group.
func (h *holder) run(ctx context.Context, group *errgroup.Group) {
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
		switch lonja.KindOf(err) {
		case lonja.Untrusted:
			h.drop(err)
			return
		case lonja.NoSuchFile, lonja.Forbidden, lonja.Conflict: // it takes a person to change that
			pause, vain = o.MostPause, o.Tries
		}
		wait := pause/2 + rand.N(pause/2+1)
		h.note(err, vain)
		o.Log.Debug("a holder is left alone for a while", "user", h.User, "for", wait, slog.Any("error", err))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, o.MostPause)
	}
}

// A putError is what Put says, which is not the holder's fault.
type putError struct{ error }

// note keeps why a connection ended, and how many tries in vain that was; 0 if it
// had brought something.
func (h *holder) note(err error, vain int) {
	q := h.fetch.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	h.err = err
	h.vain += vain
	if vain == 0 {
		h.vain = 0
	}
	q.wake()
}

// drop asks a holder no more that sent something else.
func (h *holder) drop(err error) {
	h.note(err, 1)
	q := h.fetch.queue
	q.mu.Lock()
	first := !h.lied
	h.lied = true
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
	if h.conns += n; h.conns == 0 {
		q.wake()
	}
}

// connect fetches over one connection until nothing is missing, which is no error.
func (h *holder) connect(ctx context.Context, proven func()) (brought int, err error) {
	h.count(+1)
	defer h.count(-1)
	p, err := fileclient.DialPipeline(ctx, fileclient.Options{Dial: h.Dial, StallTimeout: h.fetch.opts.StallTimeout})
	if err != nil {
		return 0, err
	}
	defer p.Close()
	c := &conn{holder: h, pipeline: p, proven: proven}
	err = c.fetchAll(ctx)
	return c.brought, err
}

// A conn is one connection. It is of one goroutine.
type conn struct {
	*holder
	pipeline *fileclient.Pipeline
	proven   func()
	brought  int
	asked    []int // in order, and did not come yet
	buf      []byte
}

func (c *conn) fetchAll(ctx context.Context) error {
	defer func() { c.fetch.queue.giveBack(c.asked) }()
	for {
		now := len(c.asked)
		changed, err := c.ask()
		if err != nil {
			return err
		}
		switch {
		case now > 0:
			if err := c.receive(now); err != nil {
				return err
			}
		case len(c.asked) > 0:
		case changed == nil:
			return nil
		default:
			select {
			case <-changed:
			case <-ctx.Done():
				return lonja.E(lonja.Canceled, "", ctx.Err())
			}
		}
	}
}

// ask asks for some more.
func (c *conn) ask() (changed <-chan struct{}, err error) {
	taken, changed := c.fetch.queue.take()
	c.asked = append(c.asked, taken...)
	for _, i := range taken {
		if err := c.pipeline.Ask(c.fetch.queue.wanted[i].ID); err != nil {
			return nil, err
		}
	}
	if len(taken) == 0 {
		return changed, nil
	}
	return nil, c.pipeline.Send()
}

// receive takes so many of those that were asked for.
func (c *conn) receive(n int) error {
	for range n {
		i := c.asked[0]
		w := c.fetch.queue.wanted[i]
		if int64(cap(c.buf)) < w.Size {
			c.buf = make([]byte, max(w.Size, 64<<10))
		}
		content := c.buf[:w.Size]
		if err := c.pipeline.Next(content); err != nil {
			return err
		}
		if tree.Sum(content) != w.ID {
			return lonja.E(lonja.Untrusted, "", errors.New("a file that it sent is another than the list of the folder says"))
		}
		if err := c.fetch.opts.Put(i, content); err != nil {
			return putError{err}
		}
		c.asked = c.asked[1:]
		c.proven()
		c.counted()
	}
	return nil
}

func (c *conn) counted() {
	c.brought++
	q := c.fetch.queue
	q.mu.Lock()
	c.holder.brought++
	c.holder.vain, c.holder.err = 0, nil
	q.mu.Unlock()
	q.done()
}
