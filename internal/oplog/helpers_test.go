package oplog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"lonja"
	"lonja/internal/oncrpc"
)

// patience is how long a test waits for what must come, before it fails.
const patience = 20 * time.Second

// An output is the Out of a service under test.
type output struct {
	lines chan string

	mu     sync.Mutex
	fail   error // what Write returns
	writes int
}

func newOutput() *output { return &output{lines: make(chan string, 1<<18)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes++
	if o.fail != nil {
		return 0, o.fail
	}
	for line := range strings.Lines(string(p)) {
		o.lines <- line
	}
	return len(p), nil
}

func (o *output) setFail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail = err
}

func (o *output) writeCount() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writes
}

// next returns the next line, without its end.
func (o *output) next(t testing.TB) string {
	t.Helper()
	select {
	case line := <-o.lines:
		text, ok := strings.CutSuffix(line, "\n")
		if !ok {
			t.Fatalf("got %q, not a whole line", line)
		}
		return text
	case <-time.After(patience):
		t.Fatal("no line came")
		return ""
	}
}

// want fails unless exactly those lines come next.
func (o *output) want(t testing.TB, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if got := o.next(t); got != want {
			t.Fatalf("got line %q, want %q", got, want)
		}
	}
}

// wantNone fails if a line has come. It is for use after the service has ended
// or answered.
func (o *output) wantNone(t testing.TB) {
	t.Helper()
	select {
	case line := <-o.lines:
		t.Fatalf("got line %q, want none", line)
	default:
	}
}

// runService serves until the test ends, or until stop is called.
func runService(t testing.TB, o ServiceOptions) (s *Service, stop func()) {
	t.Helper()
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the service ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

// startService serves on loopback, any port.
func startService(t testing.TB) (*Service, *output) {
	t.Helper()
	out := newOutput()
	s, _ := runService(t, ServiceOptions{Host: "127.0.0.1", Out: out})
	return s, out
}

// runClient runs a client until the test ends, or until stop is called, which
// returns what Run returned.
func runClient(t testing.TB, o ClientOptions) (c *Client, stop func() error) {
	t.Helper()
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, keepRunning(t, c)
}

// keepRunning runs a client as runClient does.
func keepRunning(t testing.TB, c *Client) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

// entry is the i-th of a row of different entries; line is how it is printed.
func entry(i int) lonja.OperationRecord {
	return lonja.OperationRecord{
		User: fmt.Sprintf("user%d", i), Operation: "PUBLISH", File: "/tmp/ñandú.txt", Timestamp: "23/11/2026 05:54:17",
	}
}

func line(i int) string {
	return fmt.Sprintf("[23/11/2026 05:54:17] user%d: PUBLISH /tmp/ñandú.txt", i)
}

// A wire is a test's own end of a connection: it speaks RPC by hand.
type wire struct {
	t       testing.TB
	conn    net.Conn
	records *oncrpc.RecordReader // nil over UDP
}

func newWire(t testing.TB, conn net.Conn, network string) *wire {
	w := &wire{t: t, conn: conn}
	if network == "tcp" {
		w.records = oncrpc.NewRecordReader(conn, 64<<10)
	}
	return w
}

// dialWire connects to a service on loopback.
func dialWire(t testing.TB, network, address string) *wire {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return newWire(t, conn, network)
}

func (w *wire) send(message []byte) {
	w.t.Helper()
	if w.records != nil {
		message = oncrpc.AppendRecord(nil, message)
	}
	w.sendRaw(message)
}

func (w *wire) sendRaw(b []byte) {
	w.t.Helper()
	if _, err := w.conn.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) receive() ([]byte, error) {
	if w.records != nil {
		return w.records.Next()
	}
	b := make([]byte, 64<<10)
	n, err := w.conn.Read(b)
	return b[:n], err
}

// reply reads the next reply.
func (w *wire) reply() oncrpc.Reply {
	w.t.Helper()
	message, err := w.receive()
	if err != nil {
		w.t.Fatal(err)
	}
	reply, err := oncrpc.DecodeReply(message)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply
}

// call reads the next call, of the procedure that logs.
func (w *wire) call() (xid uint32, r lonja.OperationRecord) {
	w.t.Helper()
	message, err := w.receive()
	if err != nil {
		w.t.Fatal(err)
	}
	call, err := oncrpc.DecodeCall(message)
	if err != nil {
		w.t.Fatal(err)
	}
	if r, err = oncrpc.DecodeLogEntry(call.Args); err != nil {
		w.t.Fatal(err)
	}
	return call.XID, r
}

// wantCalls reads calls for the entries from first to last, and answers them.
func (w *wire) wantCalls(first, last int) {
	w.t.Helper()
	for i := first; i <= last; i++ {
		xid, got := w.call()
		if got != entry(i) {
			w.t.Fatalf("got %+v, want %+v", got, entry(i))
		}
		w.answer(oncrpc.Reply{XID: xid})
	}
}

func (w *wire) answer(r oncrpc.Reply) {
	w.t.Helper()
	w.send(oncrpc.AppendReply(nil, r))
}

// wantClosed fails unless the other side has closed the connection.
func (w *wire) wantClosed() {
	w.t.Helper()
	b, err := w.receive()
	if err == nil {
		w.t.Fatalf("got %x, want the end of the connection", b)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || isTimeout(err) {
		w.t.Fatalf("got %v, want the end of the connection", err)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// logCall is a call that logs entry i under an XID.
func logCall(xid uint32, r lonja.OperationRecord) []byte {
	_, message := appendLogCall(nil, nil, sentCall{xid, r})
	return message
}

// A logBuffer gathers what was logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// count returns how many lines contain the text.
func (l *logBuffer) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
