package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/fileclient"
	"lonja/internal/picker"
	"lonja/internal/tree"
)

// A conn fetches pieces over one connection to a holder. It is of one goroutine.
type conn struct {
	*Swarm
	holder  *holder
	number  picker.Conn
	client  *fileclient.Client
	brought int64 // bytes that counted
	refused int   // times in a row that what was asked for was not there
	waited  bool  // it has waited for its turn, and fetched nothing since
	turns   int   // in a row that brought nothing
	atTurn  int64 // brought at the last one

	hasher tree.Hasher
	buf    []byte // a piece: what was not checked is not written, where it might harm what was
}

// readSize is how much is read and hashed at a time, while it is in the processor's
// cache.
const readSize = 64 << 10

// lookAgain is how long a connection at most waits that has nothing to do: somebody
// may be late by then.
const lookAgain = 2 * time.Second

// mostRefused is how often in a row a connection is told that something is not there
// which was said to be, before it ends.
const mostRefused = 3

// errOvertaken is why a connection stops fetching what another one has brought.
var errOvertaken = errors.New("another holder was faster")

func (c *conn) close() {
	c.client.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holder.state.Place = 0
	if c.holder.state.Conns--; c.holder.state.Conns == 0 && c.holder.joined {
		// What it has counts only while it can be had: whoever comes back asks anew.
		c.picker.Leave(c.holder.number)
		c.holder.joined = false
	}
	c.wake()
}

// fetch fetches pieces until all are good, which is no error. It calls answered
// once the holder has.
func (c *conn) fetch(ctx context.Context, answered func()) error {
	if err := c.ask(ctx); err != nil {
		return err
	}
	answered()
	for {
		if c.lookIsDue() {
			if err := c.ask(ctx); err != nil {
				return err
			}
		}
		span, changed, state := c.take()
		switch state {
		case allDone:
			return nil
		case nothing:
			if err := c.wait(ctx, changed); err != nil {
				return err
			}
		case something:
			if c.waited {
				// A turn may be for one piece only, and what is next is decided best
				// when it is sent.
				span.End, c.waited = span.First+1, false
			}
			if err := c.heed(ctx, c.inTurn(ctx, c.fetchSpan(ctx, span))); err != nil {
				return err
			}
		}
	}
}

// heed returns the error with which the connection ends. Whoever does not have what it
// said that it had is asked again what it has: it may not have it any more.
func (c *conn) heed(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, errOvertaken):
		c.refused = 0
	case lonja.KindOf(err) == lonja.NoHolder && c.refused < mostRefused:
		c.refused++
		return c.ask(ctx)
	default:
		return err
	}
	return nil
}

// lookIsDue reports whether it is for this connection to ask again what the holder
// has.
func (c *conn) lookIsDue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.holder.look.begin(time.Since(c.began))
}

// ask finds out what the holder has.
func (c *conn) ask(ctx context.Context) error {
	began := time.Now()
	has, err := c.client.Have(ctx, c.layout.Pieces())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holder.look.asking = false
	if err != nil {
		return err
	}
	c.holder.state.Route = routeOf(c.holder.state.At, c.client.Ways())
	c.holder.state.Trip = time.Since(began)
	c.learn(has)
	return nil
}

// learn takes in what the holder has; nil is all. mu is held.
func (c *conn) learn(has *roaring.Bitmap) {
	c.holder.look.end(has, time.Since(c.began))
	c.holder.state.Partial = has != nil
	if c.holder.joined {
		c.picker.Update(c.holder.number, has)
	} else {
		c.picker.Join(c.holder.number, has)
		c.holder.joined = true
	}
	c.wake()
}

// What there is to do for a connection.
type work int

const (
	nothing work = iota
	something
	allDone
)

func (c *conn) take() (picker.Span, <-chan struct{}, work) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.picker.Missing() == 0 {
		return picker.Span{}, nil, allDone
	}
	now := time.Since(c.began)
	if span, ok := c.picker.Take(c.number, c.holder.number, now); ok {
		c.holder.look.idle = false
		return span, nil, something
	}
	c.holder.look.nothing(now)
	return picker.Span{}, c.changed, nothing
}

// wait returns when there may be something to do.
func (c *conn) wait(ctx context.Context, changed <-chan struct{}) error {
	c.mu.Lock()
	until := c.holder.look.due() - time.Since(c.began)
	c.mu.Unlock()
	timer := time.NewTimer(max(0, min(until, lookAgain)))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
		return lonja.E(lonja.Canceled, "", ctx.Err())
	}
	return nil
}

// fetchSpan fetches pieces with one request. What does not come is free for
// others.
func (c *conn) fetchSpan(ctx context.Context, span picker.Span) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	c.conns[c.number] = cancel
	c.mu.Unlock()
	defer func() {
		if context.Cause(ctx) == errOvertaken {
			err = errOvertaken
		}
		cancel(nil)
		c.mu.Lock()
		delete(c.conns, c.number)
		c.picker.GiveBack(c.number)
		c.wake()
		c.mu.Unlock()
	}()
	for piece := span.First; piece < span.End; piece++ {
		if err := c.hashes.fetch(ctx, c.client, piece); err != nil {
			return err
		}
	}
	began := time.Now()
	end := min(span.End*tree.PieceSize, c.layout.Size())
	body, err := c.client.Open(ctx, c.layout.Size(), span.First*tree.PieceSize, end)
	if err != nil {
		return err
	}
	defer body.Close()
	c.mu.Lock()
	c.holder.state.Trip = time.Since(began)
	c.holder.queue = fileclient.Waiting{} // it is our turn
	c.mu.Unlock()
	for piece := span.First; piece < span.End; piece++ {
		c.mu.Lock()
		still := c.picker.Still(c.number, piece)
		c.mu.Unlock()
		if !still {
			return nil
		}
		if err := c.receive(ctx, body, piece); err != nil {
			return err
		}
	}
	// To have seen the end lets the connection be used again.
	if n, _ := body.Read(make([]byte, 1)); n > 0 {
		return lonja.E(lonja.Malformed, "", errors.New("it sends more than was asked for"))
	}
	return nil
}

// receive reads one piece, and has it count if it is the right one.
func (c *conn) receive(ctx context.Context, body io.Reader, piece int64) (err error) {
	var come int64
	defer func() {
		if err != nil {
			c.opts.Progress(c.received.Add(-come))
		}
	}()
	c.hasher.Reset(piece)
	if c.buf == nil {
		c.buf = make([]byte, min(tree.PieceSize, c.layout.Size()))
	}
	content := c.buf[:c.layout.PieceLen(piece)]
	for come < int64(len(content)) {
		n, err := io.ReadFull(body, content[come:min(come+readSize, int64(len(content)))])
		_, _ = c.hasher.Write(content[come : come+int64(n)]) // no more than a piece
		come += int64(n)
		c.opts.Progress(c.received.Add(int64(n)))
		c.gauge(int64(n))
		if err != nil {
			return fileclient.Broken(ctx, fmt.Errorf("in piece %d: %w", piece, err))
		}
	}
	if err := c.hashes.check(piece, &c.hasher); err != nil {
		return err
	}
	if err := c.dst.Put(piece, content); err != nil {
		return err
	}
	c.done(piece, come)
	return nil
}

// gauge counts what came for the speeds.
func (c *conn) gauge(n int64) {
	now := time.Since(c.began)
	c.meter.Add(n, now)
	c.holder.meter.Add(n, now)
}

// done has a piece count, and stops others that fetch it too.
func (c *conn) done(piece, length int64) {
	c.brought += length
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.picker.Still(c.number, piece) { // another holder brought it at the same time
		c.opts.Progress(c.received.Add(-length))
		return
	}
	c.counted(piece)
	c.holder.vain = 0
	if !c.holder.state.Lied { // of one that has, why stays
		c.holder.state.Err = nil
	}
	c.holder.state.Bytes += length
	c.holder.state.Pieces++
	for _, other := range c.picker.Done(c.number, piece, time.Since(c.began)) {
		if stop := c.conns[other]; stop != nil {
			stop(errOvertaken)
		}
	}
	if c.picker.Missing() == 0 {
		c.wake()
	}
}
