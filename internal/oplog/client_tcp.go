package oplog

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"lonja"
	"lonja/internal/oncrpc"
)

const (
	// pace is the time between two writes under load. An entry that comes after
	// a quiet time goes out at once; those that follow wait this long for
	// company. Without it, each entry would cost both machines a write, a read
	// and a change of process, for the call and again for the reply.
	pace = 5 * time.Millisecond

	// batchSize is how many calls go out in one write at most; so many do not
	// wait for more.
	batchSize = 512

	// silence is how long a service may leave all calls unanswered before the
	// connection is given up; it is noticed after up to twice that.
	silence = 5 * time.Second

	// maxReply bounds a reply, in bytes: its largest verifier, and some results
	// that a void procedure should not have.
	maxReply = 1 << 10
)

// errSilent is the end of a connection to a service that hangs.
var errSilent = errors.New("operation log does not answer")

// A stream is one TCP connection to the service. One goroutine sends calls,
// another reads replies; the window is between them.
type stream struct {
	*sender
	conn    net.Conn
	ended   chan struct{} // closed when the reader has ended
	endErr  error         // why; read it after ended
	written time.Time     // when the last write began

	entries       []lonja.OperationRecord // scratch
	args, message []byte                  // scratch
	batch         []byte                  // what goes out in the next write
}

// overStream sends over conn, and closes it. See converse.
func (s *sender) overStream(ctx context.Context, conn net.Conn) error {
	release := closeWith(ctx, conn)
	st := &stream{sender: s, conn: conn, ended: make(chan struct{})}
	go func() {
		defer close(st.ended)
		st.endErr = st.readReplies()
	}()
	err := st.sendCalls()
	release()
	<-st.ended
	if errors.Is(st.endErr, io.EOF) && s.window.state(false).unanswered == 0 {
		return nil // the service closed an idle connection, or has ended
	}
	return err
}

// readReplies settles replies until the connection ends.
func (s *stream) readReplies() error {
	records := oncrpc.NewRecordReader(s.conn, maxReply)
	for {
		record, err := records.Next()
		if err != nil {
			return err
		}
		reply, err := oncrpc.DecodeReply(record)
		if err != nil {
			return err
		}
		if err := s.settle(reply); err != nil {
			return err
		}
	}
}

// sendCalls repeats what the last connection left unanswered, then sends what
// comes. It is nil when all is sent and answered after closing.
func (s *stream) sendCalls() error {
	for _, call := range s.window.pending() {
		s.encode(call)
	}
	if err := s.flush(); err != nil {
		return err
	}
	watch := watchdog{ticker: time.NewTicker(silence)}
	defer watch.ticker.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		closing := s.isClosing()
		waiting := s.queue.len()
		state := s.window.state(closing)
		if closing && waiting == 0 && state.unanswered == 0 {
			return nil
		}
		if n := min(waiting, state.room, batchSize); n > 0 {
			hold := s.hold(n, closing)
			if hold <= 0 {
				if err := s.send(n); err != nil {
					return err
				}
				continue
			}
			due.Reset(hold)
		}
		if err := s.await(due, &watch, closing); err != nil {
			return err
		}
	}
}

// hold is how long a batch of n calls waits for more.
func (s *stream) hold(n int, closing bool) time.Duration {
	if closing || n == batchSize {
		return 0
	}
	return pace - time.Since(s.written)
}

// await waits until something may have changed.
func (s *stream) await(due *time.Timer, watch *watchdog, closing bool) error {
	closed := s.closing
	if closing {
		closed = nil
	}
	select {
	case <-s.queue.ready:
	case <-s.window.freed:
	case <-due.C:
	case <-closed:
	case <-s.ended:
		return s.endErr
	case <-watch.ticker.C:
		if watch.silent(s.window.state(closing)) {
			return errSilent
		}
	}
	return nil
}

// send moves n entries from the queue to the window, and sends their calls.
func (s *stream) send(n int) error {
	s.entries = s.queue.take(s.entries[:0], n)
	for _, entry := range s.entries {
		s.encode(sentCall{s.window.add(entry), entry})
	}
	clear(s.entries)
	return s.flush()
}

// encode adds a call to the batch.
func (s *stream) encode(call sentCall) {
	s.args, s.message = appendLogCall(s.args[:0], s.message[:0], call)
	s.batch = oncrpc.AppendRecord(s.batch, s.message)
}

// appendLogCall adds the entry's XDR to args and the message to message.
func appendLogCall(args, message []byte, call sentCall) ([]byte, []byte) {
	args = oncrpc.AppendLogEntry(args, call.entry)
	return args, oncrpc.AppendCall(message, oncrpc.Call{
		XID: call.xid, Program: oncrpc.LoggerProgram, Version: oncrpc.LoggerVersion,
		Procedure: oncrpc.LogOperation, Args: args,
	})
}

// flush writes the batch. While a service takes neither bytes nor calls for the
// time of silence, it hangs; one that is only slow may take its time.
func (s *stream) flush() error {
	if len(s.batch) > 0 {
		s.written = time.Now()
	}
	for rest := s.batch; len(rest) > 0; {
		before := s.window.state(false).answered
		if err := s.conn.SetWriteDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		n, err := s.conn.Write(rest)
		moves := n > 0 || s.window.state(false).answered != before
		if err != nil && !(moves && errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
		rest = rest[n:]
	}
	s.batch = s.batch[:0]
	return nil
}

// A watchdog looks at the window now and then, and tells when a service has
// stopped answering: when it answered nothing between two looks, though there
// was something to answer at both.
type watchdog struct {
	ticker   *time.Ticker
	waiting  bool   // at the last look something was unanswered
	answered uint64 // as of the last look
}

func (w *watchdog) silent(now windowState) bool {
	silent := w.waiting && now.unanswered > 0 && now.answered == w.answered
	w.waiting, w.answered = now.unanswered > 0, now.answered
	return silent
}
