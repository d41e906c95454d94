package swarm

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/fileclient"
)

// inQueue is how long a holder is asked to keep a question for one's turn. It tells
// the place then.
const inQueue = 10 * time.Second

// inQueueOfPart is likewise for one that lacks pieces: it tells with the place what it
// has by then.
const inQueueOfPart = 2 * time.Second

// inTurn returns err, unless that is that the holder has others to serve first: then
// it waits until it is our turn, which is no failure. Nothing is kept from other
// holders meanwhile: what was to be fetched is free again.
func (c *conn) inTurn(ctx context.Context, err error) error {
	queued, ok := errors.AsType[*fileclient.Queued](err)
	if !ok {
		return err
	}
	c.waited = true
	place, again := queued.Place, min(queued.After, c.opts.MostPause)
	if err := c.notAgain(ctx, again); err != nil {
		return err
	}
	for place > 0 {
		patience := c.inQueue()
		c.waitsAt(place)
		next := time.Now().Add(min(again, cmp.Or(patience, again)))
		if patience == 0 { // too little to wait there
			if err := pauseUntil(ctx, next); err != nil {
				return err
			}
		}
		var has *roaring.Bitmap
		if place, has, err = c.client.Turn(ctx, patience, c.layout.Pieces()); err != nil {
			return err
		}
		c.mu.Lock()
		c.learn(has)
		c.mu.Unlock()
		if place > 0 { // a holder that does not have one wait is not asked more often
			if err := pauseUntil(ctx, next); err != nil {
				return err
			}
		}
	}
	c.waitsAt(0)
	return nil
}

// inQueue returns how long to wait for one's turn before one is told one's place.
func (c *conn) inQueue() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := inQueue
	if c.holder.look.partial {
		most = inQueueOfPart
	}
	return min(most, c.opts.StallTimeout/2).Truncate(time.Second)
}

// mostTurns is how often in a row a holder says that it is our turn, and then sends
// nothing, before that counts as a try in vain.
const mostTurns = 3

// errNoTurn is why a holder is left alone.
var errNoTurn = errors.New("it says again and again that it is our turn, and then that it is not")

// notAgain keeps a holder from being asked without end: it pauses if the turn before
// has brought nothing, and returns an error of kind Limited after several.
func (c *conn) notAgain(ctx context.Context, pause time.Duration) error {
	if c.brought > c.atTurn {
		c.turns, c.atTurn = 0, c.brought
	}
	switch c.turns++; {
	case c.turns == 1:
		return nil
	case c.turns > mostTurns:
		return lonja.E(lonja.Limited, "", errNoTurn)
	}
	return pauseUntil(ctx, time.Now().Add(pause))
}

func pauseUntil(ctx context.Context, then time.Time) error {
	timer := time.NewTimer(time.Until(then))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return lonja.E(lonja.Canceled, "", ctx.Err())
	}
}

func (c *conn) waitsAt(place int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holder.state.Place = place
	c.holder.queue.At(place, time.Since(c.began))
	c.wake()
}

// stuck reports whether the holder's queue has not moved for too long. It may have said
// more than once that it is our turn; that brings nothing by itself. The Swarm's mu is
// held.
func (h *holder) stuck() bool {
	s := h.swarm
	return h.state.Place > 0 && h.queue.Stuck(time.Since(s.began), s.opts.QueuePatience)
}

// stuckAfter returns what is sent something when the queue of another holder may be
// stuck; nil where nobody waits in any. The Swarm's mu is held.
func (s *Swarm) stuckAfter() <-chan time.Time {
	now := time.Since(s.began)
	var left []time.Duration
	for _, h := range s.holders {
		if wait, waits := h.queue.Left(now, s.opts.QueuePatience); waits && h.state.Place > 0 && wait > 0 {
			left = append(left, wait)
		}
	}
	if len(left) == 0 {
		return nil
	}
	return time.After(slices.Min(left))
}
