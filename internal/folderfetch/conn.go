package folderfetch

import (
	"context"
	"errors"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/fileclient"
	"lonja/internal/tree"
)

// A conn is one connection. It is of one goroutine.
type conn struct {
	*holder
	pipeline *fileclient.Pipeline
	proven   func()
	answers  bool // it has answered
	brought  int
	asked    []int // in order, and did not come yet
	buf      []byte

	lacks *roaring.Bitmap // entries that a partial holder did not have after all; nil for none
}

// end gives back what did not come.
func (c *conn) end() {
	q := c.fetch.queue
	q.giveBack(c.asked)
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.answers {
		c.answered--
	}
	c.state.Place = 0
}

func (c *conn) fetchAll(ctx context.Context) error {
	if err := c.inTurn(); err != nil {
		return err
	}
	for {
		some, err := c.look()
		if err != nil {
			return err
		}
		now := len(c.asked)
		changed, err := c.ask(some)
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
			if err := c.wait(ctx, changed, some != nil); err != nil {
				return err
			}
		}
	}
}

// inQueue is how long a holder is asked to keep a question for one's turn. It tells
// the place then.
const inQueue = 10 * time.Second

// inTurn waits until it is our turn, if the holder has said that it is not.
func (c *conn) inTurn() error {
	q := c.fetch.queue
	q.mu.Lock()
	queued := c.queued
	q.mu.Unlock()
	patience := min(inQueue, c.fetch.opts.StallTimeout/2).Truncate(time.Second)
	for queued {
		place, err := c.pipeline.Turn(c.fetch.opts.Folder, patience)
		if err != nil {
			return err
		}
		c.hasAnswered()
		q.mu.Lock()
		c.isAt(place)
		if queued = place > 0; !queued {
			c.queued = false
		}
		q.mu.Unlock()
	}
	return nil
}

// The bounds of the pause before a holder is asked again what it has.
const (
	leastLook = time.Second
	mostLook  = 16 * time.Second
)

// look returns the entries that the holder has, nil for all. From time to time it
// asks, one connection for all; nothing may be on its way on that then.
func (c *conn) look() (*roaring.Bitmap, error) {
	q := c.fetch.queue
	q.mu.Lock()
	partial, has := c.partial, c.has
	due := partial && (has == nil || len(c.asked) == 0 && !c.looking && time.Since(c.looked) >= c.pause)
	c.looking = c.looking || due
	q.mu.Unlock()
	if due {
		var err error
		if has, err = c.askWhat(has); err != nil {
			return nil, err
		}
	}
	if !partial || has == nil {
		return nil, nil
	}
	if c.lacks != nil {
		has = roaring.AndNot(has, c.lacks)
	}
	return has, nil
}

// askWhat asks what the holder has, which had that before.
func (c *conn) askWhat(had *roaring.Bitmap) (*roaring.Bitmap, error) {
	q, o := c.fetch.queue, c.fetch.opts
	has, err := c.pipeline.Entries(o.Folder, o.Entries)
	q.mu.Lock()
	defer q.mu.Unlock()
	c.looking = false
	if err != nil {
		return nil, err
	}
	if has == nil { // all of them
		has = roaring.New()
		has.AddRange(0, uint64(o.Entries))
	}
	if c.pause == 0 || had == nil || has.GetCardinality() != had.GetCardinality() {
		c.pause = leastLook
	} else {
		c.pause = min(2*c.pause, mostLook)
	}
	if !c.answers {
		c.answers = true
		c.answered++
	}
	c.lacks, c.has, c.looked = nil, has, time.Now()
	c.proven()
	q.wake()
	return has, nil
}

// wait returns when there may be something to do.
func (c *conn) wait(ctx context.Context, changed <-chan struct{}, partial bool) error {
	var again <-chan time.Time
	if partial {
		again = time.After(c.nothing())
	}
	select {
	case <-changed:
	case <-again:
	case <-ctx.Done():
		return lonja.E(lonja.Canceled, "", ctx.Err())
	}
	return nil
}

// nothing notes that a partial holder has nothing that is wanted, and returns how long
// to wait before it is asked again.
func (c *conn) nothing() time.Duration {
	q := c.fetch.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if !c.idle {
		c.idle, c.since = true, time.Since(c.fetch.began)
	}
	return max(leastLook/10, c.pause-time.Since(c.looked))
}

// ask asks for some more.
func (c *conn) ask(some *roaring.Bitmap) (changed <-chan struct{}, err error) {
	taken, changed := c.fetch.queue.take(some)
	c.asked = append(c.asked, taken...)
	for _, i := range taken {
		if err := c.pipeline.Ask(c.fetch.queue.wanted(i).ID); err != nil {
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
		w := c.fetch.queue.wanted(i)
		if int64(cap(c.buf)) < w.Size {
			c.buf = make([]byte, max(w.Size, 64<<10))
		}
		content := c.buf[:w.Size]
		err := c.pipeline.Next(content)
		if err != nil && c.pipeline.GoesOn() && c.isPartial() {
			c.lack(i)
			continue
		}
		if err != nil {
			return err
		}
		if tree.Sum(content) != w.ID {
			return lonja.E(lonja.Untrusted, "", errors.New("a file that it sent is another than the list of the folder says"))
		}
		if err := c.fetch.opts.Put(i, content); err != nil {
			return putError{err}
		}
		c.asked = c.asked[1:]
		c.hasAnswered()
		c.proven()
		c.counted(w.Size)
	}
	return nil
}

func (c *conn) isPartial() bool {
	c.fetch.queue.mu.Lock()
	defer c.fetch.queue.mu.Unlock()
	return c.partial
}

// lack has others ask for what a partial holder does not have after all.
func (c *conn) lack(i int) {
	c.asked = c.asked[1:]
	if c.lacks == nil {
		c.lacks = roaring.New()
	}
	c.lacks.Add(c.fetch.queue.wanted(i).Entry)
	c.fetch.queue.giveBack([]int{i})
}

// hasAnswered notes that the holder has answered over this connection.
func (c *conn) hasAnswered() {
	if c.answers {
		return
	}
	c.answers = true
	c.fetch.queue.mu.Lock()
	defer c.fetch.queue.mu.Unlock()
	c.answered++
}

func (c *conn) counted(bytes int64) {
	c.brought++
	c.meter.Add(bytes, time.Since(c.fetch.began))
	q := c.fetch.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	c.state.Files++
	c.state.Bytes += bytes
	c.vain, c.idle, c.waiting = 0, false, fileclient.Waiting{}
	if !c.state.Lied { // of one that has, why stays
		c.state.Err = nil
	}
	q.done()
}
