package oplog

import (
	"context"
	"net"
	"net/netip"
	"time"

	"lonja/internal/oncrpc"
)

const (
	// maxRecord bounds a call over TCP, in bytes, and sizes the read buffer. The
	// largest call that is in order has 1,496: there is room above it, so that a
	// caller with too long a name gets GARBAGE_ARGS and not a closed connection;
	// and for a hundred calls of the usual size, which are then printed and
	// answered together.
	maxRecord = 16 << 10

	// recordTime is how long the rest of a record may take to come, and
	// answerTime how long a client may take to read its replies.
	recordTime = 10 * time.Second
	answerTime = 5 * time.Second
)

// A session serves one TCP connection.
//
// What a read brought in is answered as a whole: the lines of all its calls in
// one write, then the replies in one. That happens before the connection is
// read again, thus at once when a client waits for its answer, and rarely under
// load. It also bounds the two buffers, by what one read can ask for.
type session struct {
	ctx     context.Context    // ends the session between two reads
	end     context.CancelFunc // ends ctx
	conn    net.Conn
	from    netip.AddrPort // its client
	records *oncrpc.RecordReader
	out     *printer
	all     *sessions
	begun   time.Time // when the first part of the present record was seen; zero: not yet

	calls   batch  // what is not yet printed
	replies []byte // what is not yet sent
	message []byte // scratch
}

// newSession returns a session that is one of all if it is admitted there, and
// served.
func newSession(ctx context.Context, conn net.Conn, out *printer, all *sessions) *session {
	s := &session{conn: conn, out: out, all: all}
	s.ctx, s.end = context.WithCancel(ctx)
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		s.from = tcp.AddrPort()
	}
	s.records = oncrpc.NewRecordReader(s, maxRecord)
	return s
}

// serve answers calls until the client or ctx ends the connection, or another
// session needs the place. It returns what ended it: io.EOF, ctx's error,
// errReplaced, or what the client did wrong.
func (s *session) serve() error {
	defer s.end()
	defer s.all.leave(s)
	stop := context.AfterFunc(s.ctx, func() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		record, err := s.records.Next()
		if err != nil {
			return err
		}
		s.begun = time.Time{}
		a, err := answerTo(record)
		if err != nil {
			return err
		}
		if a.logs {
			s.calls.add(keyOf(s.from, record).anyPort(), a.entry)
		}
		s.message = oncrpc.AppendReply(s.message[:0], a.reply)
		s.replies = oncrpc.AppendRecord(s.replies, s.message)
	}
}

// Read reads from the connection for s.records, after all that it asked for so
// far is answered. Between two records it waits as long as it takes, unless
// another session needs the place; within one, recordTime.
func (s *session) Read(p []byte) (int, error) {
	if err := s.flush(); err != nil {
		return 0, err
	}
	if err := s.conn.SetReadDeadline(s.readDeadline()); err != nil {
		return 0, err
	}
	// Only now: had ctx ended before the deadline was set, the one that serve
	// sets at its end would be lost.
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	if s.records.Partial() {
		return s.conn.Read(p)
	}
	if err := s.all.note(s, time.Now()); err != nil {
		return 0, err
	}
	n, err := s.conn.Read(p)
	if err := s.all.note(s, time.Time{}); err != nil {
		return 0, err
	}
	return n, err
}

func (s *session) readDeadline() time.Time {
	switch {
	case !s.records.Partial():
		return time.Time{}
	case s.begun.IsZero():
		s.begun = time.Now()
	}
	return s.begun.Add(recordTime)
}

// flush prints what was asked for and only then says so.
func (s *session) flush() error {
	if err := s.out.print(&s.calls); err != nil {
		return err
	}
	if len(s.replies) == 0 {
		return nil
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	_, err := s.conn.Write(s.replies)
	s.replies = s.replies[:0]
	return err
}
