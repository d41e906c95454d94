package dirserver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"lonja"
	"lonja/internal/dirclient"
	"lonja/internal/directory/directorytest"
	"lonja/internal/dirserver"
	"lonja/internal/dirtest"
)

// patience bounds what a test waits for; nothing takes that long.
const patience = 20 * time.Second

func defaults(t *testing.T) dirserver.Options {
	return dirserver.Options{Directory: directorytest.New(t)}
}

// A running server, stopped at the end of the test.
type running struct {
	addr string
	stop context.CancelFunc
	done <-chan error
}

func start(t *testing.T, opts dirserver.Options) *running {
	t.Helper()
	return startOn(t, "127.0.0.1:0", opts)
}

func startOn(t *testing.T, addr string, opts dirserver.Options) *running {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- dirserver.New(opts).Serve(ctx, ln); close(done) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("the server does not end")
		}
	})
	return &running{ln.Addr().String(), cancel, done}
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// ask sends s and returns all of the answer.
func ask(t *testing.T, addr, s string) string {
	t.Helper()
	conn := dial(t, addr)
	defer conn.Close()
	if _, err := io.WriteString(conn, s); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestContractOverTheNetwork(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			dirtest.Run(t, netip.MustParseAddr(host), func(t *testing.T) lonja.Directory {
				server := startOn(t, net.JoinHostPort(host, "0"), defaults(t))
				return dirclient.New(dirclient.Options{Address: server.addr})
			})
		})
	}
}

// TestMappedAddressIsDotted: an IPv4 client of a listener for both versions.
func TestMappedAddressIsDotted(t *testing.T) {
	server := startOn(t, "[::]:0", defaults(t))
	_, port, err := net.SplitHostPort(server.addr)
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort("127.0.0.1", port)
	ask(t, addr, "REGISTER\x00t\x00ana\x00")
	ask(t, addr, "CONNECT\x00t\x00ana\x004000\x00")
	if got, want := ask(t, addr, "LIST_USERS\x00t\x00ana\x00"), "\x001\x00ana\x00127.0.0.1\x004000\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestFieldLimits: the longest values pass whole, one byte more is "other".
func TestFieldLimits(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	for name, c := range map[string]struct{ send, want string }{
		"longest user":         {"REGISTER\x00t\x00" + long(255) + "\x00", "\x00"},
		"user too long":        {"REGISTER\x00t\x00" + long(256) + "\x00", "\x02"},
		"longest time":         {"REGISTER\x00" + long(63) + "\x00ana\x00", "\x00"},
		"time too long":        {"REGISTER\x00" + long(64) + "\x00luis\x00", "\x02"},
		"operation too long":   {long(64) + "\x00t\x00ana\x00", "\x02"},
		"path too long":        {"PUBLISH\x00t\x00p\x00" + long(256) + "\x00d\x00", "\x04"},
		"description too long": {"PUBLISH\x00t\x00p\x00f\x00" + long(256) + "\x00", "\x04"},
		"longest publication":  {"PUBLISH\x00t\x00p\x00" + long(255) + "\x00" + long(255) + "\x00", "\x00"},
		"a megabyte of name":   {"REGISTER\x00t\x00" + long(1<<20) + "\x00", "\x02"},
		"a megabyte behind":    {"REGISTER\x00t\x00\x00" + long(1<<20), "\x02"},
		"a megabyte unknown":   {"WHAT\x00" + long(1<<20), "\x02"},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, defaults(t))
			ask(t, server.addr, "REGISTER\x00t\x00p\x00")
			ask(t, server.addr, "CONNECT\x00t\x00p\x004000\x00")
			conn := dial(t, server.addr)
			sent := make(chan error, 1)
			go func() {
				_, err := io.WriteString(conn, c.send)
				sent <- errors.Join(err, conn.CloseWrite())
			}()
			got, err := io.ReadAll(conn)
			if string(got) != c.want || err != nil {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
			if err := <-sent; err != nil {
				t.Errorf("the server did not let us finish: %v", err)
			}
		})
	}
}

// TestSilentClientIsAnswered: nobody is left without a status, also one who
// never finishes a request.
func TestSilentClientIsAnswered(t *testing.T) {
	opts := defaults(t)
	opts.RequestTimeout = 50 * time.Millisecond
	server := start(t, opts)
	for _, sent := range []string{"", "PUBLISH\x00", "PUBLISH\x00t\x00ana\x00/f\x00tex"} {
		conn := dial(t, server.addr)
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		want := "\x04"
		if sent == "" {
			want = "\x02"
		}
		if string(got) != want || err != nil {
			t.Errorf("after %q: got %q, %v; want %q", sent, got, err, want)
		}
	}
}

// TestFullServerMakesWait: past the bound a connection waits; the silent ones
// that fill it cost only their own time.
func TestFullServerMakesWait(t *testing.T) {
	opts := defaults(t)
	opts.MaxConns = 2
	opts.RequestTimeout = 200 * time.Millisecond
	server := start(t, opts)
	for range opts.MaxConns {
		dial(t, server.addr)
	}
	if got := ask(t, server.addr, "REGISTER\x00t\x00ana\x00"); got != "\x00" {
		t.Errorf("got %q, want status 0", got)
	}
}

// TestClientGone: a client that resets before or while it is answered.
func TestClientGone(t *testing.T) {
	server := start(t, defaults(t))
	for i := range 50 {
		conn := dial(t, server.addr)
		if err := conn.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "REGISTER\x00t\x00u%d\x00", i); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	if got := ask(t, server.addr, "REGISTER\x00t\x00ana\x00"); got != "\x00" {
		t.Errorf("got %q, want status 0", got)
	}
}

// TestStopFinishesWhatWasAccepted: a request that is under way when the server
// is told to stop gets its answer, and then nobody is served any more.
func TestStopFinishesWhatWasAccepted(t *testing.T) {
	dir := &gate{Directory: directorytest.New(t), entered: make(chan struct{}), open: make(chan struct{})}
	opts := defaults(t)
	opts.Directory = dir
	server := start(t, opts)
	conn := dial(t, server.addr)
	if _, err := io.WriteString(conn, "REGISTER\x00t\x00ana\x00"); err != nil {
		t.Fatal(err)
	}
	<-dir.entered
	server.stop()
	close(dir.open)
	if got, err := io.ReadAll(conn); string(got) != "\x00" || err != nil {
		t.Errorf("got %q, %v; want status 0", got, err)
	}
	<-server.done
	if conn, err := net.Dial("tcp", server.addr); err == nil {
		_ = conn.Close()
		t.Error("still listening after the end")
	}
}

// TestStopDoesNotWaitForSilence: a silent client does not keep the server up.
func TestStopDoesNotWaitForSilence(t *testing.T) {
	opts := defaults(t)
	opts.RequestTimeout = time.Hour
	opts.StopTimeout = 50 * time.Millisecond
	server := start(t, opts)
	conn := dial(t, server.addr)
	if got := ask(t, server.addr, "REGISTER\x00t\x00ana\x00"); got != "\x00" {
		t.Fatalf("got %q, want status 0", got)
	}
	server.stop()
	select {
	case <-server.done:
	case <-time.After(patience):
		t.Fatal("the server waits for a silent client")
	}
	if got, err := io.ReadAll(conn); string(got) != "\x02" || err != nil {
		t.Errorf("the silent client got %q, %v; want status 2", got, err)
	}
}

// A gate is a directory whose Register waits to be let through.
type gate struct {
	lonja.Directory
	entered, open chan struct{}
}

func (g *gate) Register(ctx context.Context, user lonja.UserName) error {
	close(g.entered)
	<-g.open
	return g.Directory.Register(ctx, user)
}

// TestLinesAndRecords: what is printed, and what the operation log is told.
func TestLinesAndRecords(t *testing.T) {
	var out syncBuffer
	var records []lonja.OperationRecord
	var mu sync.Mutex
	opts := defaults(t)
	opts.Announce = &out
	opts.Record = func(r lonja.OperationRecord) {
		mu.Lock()
		defer mu.Unlock()
		records = append(records, r)
	}
	server := start(t, opts)
	for _, request := range []string{
		"REGISTER\x0023/11/2026 05:54:17\x00ana\x00",
		"CONNECT\x00t1\x00ana\x004000\x00",
		"PUBLISH\x00t2\x00ana\x00/f\x00text\x00",
		"LIST_CONTENT\x00t3\x00ana\x00luis\x00",
		"GET_MULTIFILE\x00t4\x00ana\x00f\x00",
		"DELETE\x00t5\x00ana\x00/f\x00",
		"LIST_USERS\x00t6\x00ana\x00",
		"SEARCH\x00t7\x00ana\x00two words\x00\x00\x00\x00\x00\x000\x00\x00\x00",
		"REGISTER\x00\x1b[2J\x00e\nvil\x00",
		"NOTHING\x00t7\x00ana\x00",
		"REGISTER\x00t8\x00\x00",
	} {
		ask(t, server.addr, request)
	}
	server.stop()
	<-server.done
	wantLines := `s> OPERATION REGISTER FROM ana AT 23/11/2026 05:54:17
s> OPERATION CONNECT FROM ana AT t1
s> OPERATION PUBLISH FROM ana AT t2
s> OPERATION LIST_CONTENT FROM ana AT t3
s> OPERATION GET_MULTIFILE FROM ana AT t4
s> OPERATION DELETE FROM ana AT t5
s> OPERATION LIST_USERS FROM ana AT t6
s> OPERATION SEARCH FROM ana AT t7
s> OPERATION REGISTER FROM e` + "\ufffd" + `vil AT ` + "\ufffd" + `[2J
s> OPERATION NOTHING FROM  AT t7
s> OPERATION REGISTER FROM  AT t8
`
	if got := out.String(); got != wantLines {
		t.Errorf("lines: got\n%s\nwant\n%s", got, wantLines)
	}
	wantRecords := []lonja.OperationRecord{
		{User: "ana", Operation: "REGISTER", Timestamp: "23/11/2026 05:54:17"},
		{User: "ana", Operation: "CONNECT", Timestamp: "t1"},
		{User: "ana", Operation: "PUBLISH", File: "/f", Timestamp: "t2"},
		{User: "ana", Operation: "LIST_CONTENT", File: "luis", Timestamp: "t3"},
		{User: "ana", Operation: "GET_MULTIFILE", File: "f", Timestamp: "t4"},
		{User: "ana", Operation: "DELETE", File: "/f", Timestamp: "t5"},
		{User: "ana", Operation: "LIST_USERS", Timestamp: "t6"},
		{User: "ana", Operation: "SEARCH", File: "two words", Timestamp: "t7"},
		{User: "e\nvil", Operation: "REGISTER", Timestamp: "\x1b[2J"},
	}
	if fmt.Sprint(records) != fmt.Sprint(wantRecords) {
		t.Errorf("records: got\n%q\nwant\n%q", records, wantRecords)
	}
}

// TestStuckOutputHoldsNobodyUp: requests go on when nobody reads the lines,
// and the loss is told.
func TestStuckOutputHoldsNobodyUp(t *testing.T) {
	r, w := io.Pipe() // nobody reads it until later
	var log syncBuffer
	opts := defaults(t)
	opts.Announce = w
	opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	server := start(t, opts)
	long := strings.Repeat("u", 255)
	for range 6000 { // more lines than are kept
		if got := ask(t, server.addr, "UNREGISTER\x00t\x00"+long+"\x00"); got != "\x01" {
			t.Fatalf("got %q, want status 1", got)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	server.stop()
	<-server.done
	if !strings.Contains(log.String(), "lines were dropped") {
		t.Errorf("the log does not tell of dropped lines: %s", log.String())
	}
}

// TestBrokenListenerIsAnError: Serve returns instead of spinning.
func TestBrokenListenerIsAnError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if err := dirserver.New(defaults(t)).Serve(t.Context(), ln); err == nil {
		t.Error("got no error of a closed listener")
	}
}

// syncBuffer is a buffer that a server may write to while a test reads it.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// TestFullServerStops: silent clients in all places do not keep the server up.
func TestFullServerStops(t *testing.T) {
	opts := defaults(t)
	opts.MaxConns = 1
	opts.RequestTimeout = time.Hour
	opts.StopTimeout = 50 * time.Millisecond
	server := start(t, opts)
	silent := dial(t, server.addr)
	server.stop()
	select {
	case <-server.done:
	case <-time.After(patience):
		t.Fatal("the server waits for a silent client")
	}
	if got, err := io.ReadAll(silent); string(got) != "\x02" || err != nil {
		t.Errorf("the silent client got %q, %v; want status 2", got, err)
	}
}

// A disk takes room bytes, then fails until it has more.
type disk struct {
	syncBuffer
	room    int
	refused chan struct{} // gets a token for each failure
}

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, _ := d.buf.Write(p[:min(len(p), d.room)])
	d.room -= n
	if n < len(p) {
		d.refused <- struct{}{}
		return n, errors.New("no space left on device")
	}
	return n, nil
}

// TestTornLine: after a full disk, lines begin where lines begin.
func TestTornLine(t *testing.T) {
	out := &disk{room: 20, refused: make(chan struct{}, 1)}
	opts := defaults(t)
	opts.Announce = out
	server := start(t, opts)
	ask(t, server.addr, "REGISTER\x00t1\x00ana\x00")
	<-out.refused
	out.mu.Lock()
	out.room = 1 << 20
	out.mu.Unlock()
	ask(t, server.addr, "REGISTER\x00t2\x00luis\x00")
	server.stop()
	<-server.done
	if got, want := out.String(), "s> OPERATION REGISTE\ns> OPERATION REGISTER FROM luis AT t2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
