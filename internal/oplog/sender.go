package oplog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"lonja/internal/oncrpc"
)

// The pauses before the client tries again: the first, and the longest.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 1500 * time.Millisecond
)

// A sender is one Run of a Client: it owns the window and the connection.
type sender struct {
	*Client
	window  *window
	closing <-chan struct{} // closed when Run is to end

	// What was told, so that it is not told for each entry.
	failing  atomic.Bool // the service does not take entries; none was taken since
	refusing atomic.Bool // it refuses some; over this connection
}

// run connects whenever there is something to send, until all is sent after
// closing, or ctx ends.
func (s *sender) run(ctx context.Context) {
	retry := time.Duration(0)
	for s.awaitWork() {
		before := s.window.state(false).answered
		err := s.converse(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil || s.window.state(false).answered != before {
			retry = 0
		}
		if err == nil {
			continue
		}
		s.told(err)
		if !s.rest(jitter(retry)) {
			return
		}
		retry = min(max(2*retry, firstRetry), lastRetry)
	}
}

// awaitWork waits until there is something to send. It is false when there is
// nothing and closing has come.
func (s *sender) awaitWork() bool {
	for {
		if s.queue.len() > 0 || s.window.state(false).unanswered > 0 {
			return true
		}
		if s.isClosing() {
			return false
		}
		select {
		case <-s.queue.ready:
		case <-s.closing:
		}
	}
}

func (s *sender) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// rest waits before the next try. It is false when closing has come: a service
// that failed just now is not worth keeping a program that wants to end.
func (s *sender) rest(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return !s.isClosing()
	case <-s.closing:
		return false
	}
}

// jitter takes up to half of d away, so that the directories which lost a
// service together do not come back together.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/2+1) }

// told logs the first failure of a row.
func (s *sender) told(err error) {
	if !s.failing.Swap(true) {
		s.log.Warn("operation log does not take entries", "target", s.target.String(), "err", err)
	}
}

// converse connects and sends, until the service, an error or ctx ends the
// connection. It is nil when the connection ended with nothing left to answer.
func (s *sender) converse(ctx context.Context) error {
	s.refusing.Store(false)
	list, err := s.target.candidates(ctx, s.dial)
	if err != nil {
		return err
	}
	var passed error
	for _, to := range list {
		conn, err := s.dial(ctx, to.network, to.at.String())
		if err == nil {
			// Only an answer shows that there is anybody: over UDP anyhow, and a
			// service that has no place for another connection may take one at
			// first, too.
			before := s.window.state(false).answered
			if to.network == "tcp" {
				err = s.overStream(ctx, conn)
			} else {
				err = s.overDatagrams(ctx, conn)
			}
			if err == nil || s.window.state(false).answered != before {
				return err
			}
		}
		passed = both(passed, err)
	}
	return passed
}

// both gives two failures on one line.
func both(first, second error) error {
	if first == nil {
		return second
	}
	return fmt.Errorf("%w; %w", first, second)
}

// closeWith closes conn when ctx ends or the returned function is called.
func closeWith(ctx context.Context, conn net.Conn) (release func()) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return func() {
		stop()
		_ = conn.Close()
	}
}

// settle acts on a reply. The error means that whatever answers there is not
// the operation log, or not now; the call stays unanswered.
func (s *sender) settle(reply oncrpc.Reply) error {
	switch reply.Status {
	case oncrpc.Success:
		s.window.answer(reply.XID)
		if s.failing.Load() && s.failing.Swap(false) {
			s.log.Info("operation log takes entries", "target", s.target.String(), "lost", s.queue.lost())
		}
	case oncrpc.GarbageArgs, oncrpc.SystemError:
		// It is this entry that is not wanted. Another try would block the rest.
		if s.window.answer(reply.XID) {
			s.queue.drop(1)
		}
		if !s.refusing.Swap(true) {
			s.log.Warn("operation log refuses an entry", "target", s.target.String(), "err", reply.Err())
		}
	default:
		return reply.Err()
	}
	return nil
}
