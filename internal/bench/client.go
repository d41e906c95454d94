package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"lonja"
	"lonja/internal/classic"
)

// A clock is the date-time service as one client asks it: over a connection of
// its own that is kept, as a client program does.
type clock interface {
	// Now returns the time, or lonja.NoTimestamp without it.
	Now(ctx context.Context) string
	Close()
}

// readSize is the memory that each client reads answers into. Long lists pass
// through it in pieces.
const readSize = 4 << 10

// A client performs the requests of its script, one after the other, each over
// a connection of its own, and counts what comes of them.
type client struct {
	directory string      // host and port
	dialer    *net.Dialer // its timeout is that of the whole operation
	script    *script
	clock     clock // nil: requests carry no time
	limit     bool  // the directory is a limit server: any status is right

	tally  Tally
	out    []byte // scratch: the request
	in     []byte // scratch: a piece of the answer
	window window
}

// A window is the time that is measured.
type window struct{ from, to time.Time }

func (w window) has(t time.Time) bool { return !t.Before(w.from) && t.Before(w.to) }

// run performs operations until the window ends or ctx does. An operation that
// began within the window is seen to its end.
func (c *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		start := time.Now()
		if !start.Before(c.window.to) {
			return
		}
		c.step(ctx, start)
	}
}

// step performs one operation, whose client begins at start, and counts what
// came of it, unless ctx ended it.
func (c *client) step(ctx context.Context, start time.Time) {
	st := c.script.next()
	connect := start
	if c.clock != nil {
		st.req.Timestamp = c.clock.Now(ctx)
		if st.req.Timestamp == lonja.NoTimestamp && c.window.has(start) {
			c.tally.Undated++
		}
		connect = time.Now()
	}
	got, err := c.perform(ctx, &st)
	if ctx.Err() != nil {
		return
	}
	end := time.Now()
	if err == nil && !c.limit && !st.allowed.has(got.status) {
		err = &failure{FailedAnswer, fmt.Errorf("%s answered with %d", st.req.Op, got.status)}
	}
	if err != nil {
		c.script.failed(&st)
		c.tally.fail(err)
		return
	}
	c.script.answered(&st, got.status)
	if c.window.has(end) {
		c.tally.Done++
	}
	if c.window.has(start) {
		c.tally.add(st.req.Op, got, end.Sub(connect), end.Sub(start))
	}
}

// An answer is what there is to count of an answer.
type answer struct {
	status byte
	size   int // all of it, in bytes
}

// perform sends the request over a new connection and reads its answer to the
// end.
func (c *client) perform(ctx context.Context, st *step) (answer, error) {
	deadline := time.Now().Add(c.dialer.Timeout)
	// Not DialTCP: that binds first, which takes a local port for itself alone.
	conn, err := c.dialer.DialContext(ctx, "tcp", c.directory)
	if err != nil {
		return answer{}, timeoutOr(FailedDial, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return answer{}, timeoutOr(FailedExchange, err)
	}
	c.out = classic.AppendRequest(c.out[:0], st.req)
	if _, err := conn.Write(c.out); err != nil {
		return answer{}, timeoutOr(FailedExchange, err)
	}
	return c.readAnswer(conn)
}

func (c *client) readAnswer(conn net.Conn) (a answer, err error) {
	for {
		n, err := conn.Read(c.in)
		if a.size == 0 && n > 0 {
			a.status = c.in[0]
		}
		a.size += n
		switch {
		case errors.Is(err, io.EOF) && a.size == 0:
			return a, &failure{FailedSilence, err}
		case errors.Is(err, io.EOF):
			return a, nil
		case err != nil:
			return a, timeoutOr(FailedExchange, err)
		}
	}
}

// A failure is an error of a client with the Failure that it counts as.
type failure struct {
	as    Failure
	cause error
}

func (f *failure) Error() string { return f.as.String() + ": " + f.cause.Error() }

func (f *failure) Unwrap() error { return f.cause }

// timeoutOr classifies err: a time-out, or else what the client was doing.
func timeoutOr(otherwise Failure, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return &failure{FailedTimeout, err}
	}
	return &failure{otherwise, err}
}
