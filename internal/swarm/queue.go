package swarm

import (
	"context"
	"errors"
	"time"

	"lonja"
	"lonja/internal/fileclient"
)

// inQueue is how long a holder is asked to keep a question for one's turn. It tells
// the place then.
const inQueue = 10 * time.Second

// inTurn returns err, unless that is that the holder has others to serve first: then
// it waits until it is our turn, which is no failure. Nothing is kept from other
// holders meanwhile: what was to be fetched is free again.
func (c *conn) inTurn(ctx context.Context, err error) error {
	queued, ok := errors.AsType[*fileclient.Queued](err)
	if !ok {
		return err
	}
	place, again := queued.Place, min(queued.After, c.opts.MostPause)
	patience := min(inQueue, c.opts.StallTimeout/2).Truncate(time.Second)
	for place > 0 {
		c.waitsAt(place)
		if patience == 0 { // too little to wait there
			timer := time.NewTimer(again)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return lonja.E(lonja.Canceled, "", ctx.Err())
			}
		}
		if place, err = c.client.Turn(ctx, patience); err != nil {
			return err
		}
	}
	c.waitsAt(0)
	return nil
}

func (c *conn) waitsAt(place int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holder.state.Place = place
}
