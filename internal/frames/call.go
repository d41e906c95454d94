package frames

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/semaphore"

	"lonja"
)

// A call is a request that is performed in a goroutine of its own.
type call struct {
	h      header
	way    Way
	ctx    context.Context // of this one request
	cancel context.CancelCauseFunc
	more   chan struct{} // of a stream: holds one token when credit has come
	credit uint32        // of a stream: items that may be sent; guarded by serving.mu
	large  int           // bytes of its body that count
}

// begin starts a goroutine for a request. The error is of kind Limited.
func (s *serving) begin(h header, way Way, body []byte) error {
	c, err := s.enter(h, way, len(body))
	if err != nil {
		return err
	}
	body = slices.Clone(body)
	s.goroutines.Go(func() {
		defer s.leave(c)
		if h.value > 0 {
			var cancel context.CancelFunc
			c.ctx, cancel = context.WithTimeout(c.ctx, time.Duration(h.value)*time.Millisecond)
			defer cancel()
		}
		if way == Streaming {
			s.stream(c, body)
			return
		}
		b := answer(c.ctx, s.service, h, body, takeBuffer())
		_, _ = s.out.add(b) // an error ends the reading too
		returnBuffer(b)
	})
	return nil
}

// enter takes a call in, if there is a place for it.
func (s *serving) enter(h header, way Way, size int) (*call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{h: h, way: way, large: max(0, size-SmallRequest)}
	count, most := &s.waiting, s.opts.AtOnce
	if way == Streaming {
		count, most = &s.streaming, s.opts.Streams
	}
	if *count >= most {
		return nil, lonja.E(lonja.Limited, "ask", fmt.Errorf("%d requests at once on one connection, no more", most))
	}
	if !s.hold(c) {
		return nil, lonja.E(lonja.Limited, "ask", errors.New("too many large requests at once"))
	}
	if way == Waiting && s.opts.Slots != nil {
		select {
		case s.opts.Slots <- struct{}{}:
		default:
			s.release(c)
			return nil, lonja.E(lonja.Limited, "ask", errors.New("too many requests of all clients at once"))
		}
	}
	*count++
	c.ctx, c.cancel = context.WithCancelCause(s.ctx)
	if way == Streaming {
		c.credit, c.more = s.window, make(chan struct{}, 1)
	}
	s.calls[h.request] = c
	return c, nil
}

// hold counts the bytes of a call, if they may be held. The caller holds mu.
func (s *serving) hold(c *call) bool {
	of := s.memory(c.way)
	if c.large > 0 && (s.held+c.large > mostHeld || of != nil && !of.TryAcquire(int64(c.large))) {
		return false
	}
	s.held += c.large
	return true
}

// release is the opposite of hold.
func (s *serving) release(c *call) {
	s.held -= c.large
	if of := s.memory(c.way); of != nil && c.large > 0 {
		of.Release(int64(c.large))
	}
}

func (s *serving) memory(way Way) *semaphore.Weighted {
	if way == Streaming {
		return s.opts.Streaming
	}
	return s.opts.Waiting
}

func (s *serving) leave(c *call) {
	c.cancel(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(c)
	delete(s.calls, c.h.request)
	if c.way == Streaming {
		s.streaming--
		return
	}
	s.waiting--
	if s.opts.Slots != nil {
		<-s.opts.Slots
	}
}

func (s *serving) cancel(request uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.calls[request]; c != nil {
		c.cancel(context.Canceled)
	}
}

// credit lets a stream send more items.
func (s *serving) credit(request, items uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[request]
	if c == nil || c.way != Streaming {
		return
	}
	c.credit = min(c.credit+min(items, maxCredit), maxCredit)
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// maxCredit keeps a sum of credits from running over.
const maxCredit = 1 << 20

// errStopping is why a stream ends that its client did not end.
var errStopping = lonja.E(lonja.Unavailable, "stream", errors.New("the directory stops"))

// endStreams ends those streams that would never end.
func (s *serving) endStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.way == Streaming {
			c.cancel(errStopping)
		}
	}
}

// stream performs a request whose answer is a stream.
func (s *serving) stream(c *call, body []byte) {
	err := s.service.Stream(c.ctx, c.h.method, body, func(item []byte) error { return s.send(c, item) })
	if cause := context.Cause(c.ctx); cause != nil {
		err = cause
	}
	b := takeBuffer()
	if err != nil {
		b = appendFailure(b, c.h.request, err)
	} else {
		b = appendFrame(b, header{kind: kindAnswer, request: c.h.request}, nil)
	}
	_, _ = s.out.add(b)
	returnBuffer(b)
}

// send sends one item of a stream when the client lets it.
func (s *serving) send(c *call, item []byte) error {
	if len(item) > MaxAnswer {
		return lonja.E(lonja.Internal, "stream", errTooLong)
	}
	if err := s.awaitCredit(c); err != nil {
		return err
	}
	b := appendFrame(takeBuffer(), header{kind: kindItem, request: c.h.request}, item)
	_, err := s.out.add(b)
	returnBuffer(b)
	return err
}

// errHeldBack ends a stream that nobody reads.
var errHeldBack = lonja.E(lonja.Limited, "stream", errors.New("nobody takes what this stream brings"))

func (s *serving) awaitCredit(c *call) error {
	if s.takeCredit(c) {
		return nil
	}
	patience := time.NewTimer(s.opts.StreamPause)
	defer patience.Stop()
	for {
		select {
		case <-c.more:
			if s.takeCredit(c) {
				return nil
			}
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		case <-patience.C:
			c.cancel(errHeldBack)
			return errHeldBack
		}
	}
}

func (s *serving) takeCredit(c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.credit == 0 {
		return false
	}
	c.credit--
	return true
}
