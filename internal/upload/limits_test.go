package upload

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
)

// A pipeListener hands out the server's ends of in-memory connections, so that
// time can be simulated.
type pipeListener struct {
	conns  chan net.Conn
	closed context.Context
	close  context.CancelFunc
}

func newPipeListener() *pipeListener {
	l := &pipeListener{conns: make(chan net.Conn)}
	l.closed, l.close = context.WithCancel(context.Background())
	return l
}

func (l *pipeListener) dial() net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed.Done():
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.close(); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// simulate runs test against a Server in simulated time.
func simulate(t *testing.T, opts Options, test func(t *testing.T, l *pipeListener)) {
	simulateWith(t, func() Options { return opts }, test)
}

// simulateWith is simulate with options that tell the simulated time.
func simulateWith(t *testing.T, options func() Options, test func(t *testing.T, l *pipeListener)) {
	synctest.Test(t, func(t *testing.T) {
		l, opts := newPipeListener(), options()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- New(opts).Serve(ctx, l) }()
		test(t, l)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func readAll(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	if got, err := io.ReadAll(conn); err != nil || string(got) != want {
		t.Errorf("answer is %.60q (%v), want %.60q", got, err, want)
	}
}

func TestSilentClientGetsAStatusInTime(t *testing.T) {
	for _, sent := range []string{"", "GET_FILE\x00/fi"} {
		opts := Options{Files: published(t, nil), RequestTimeout: 10 * time.Second, LingerTimeout: 5 * time.Second}
		simulate(t, opts, func(t *testing.T, l *pipeListener) {
			conn := l.dial()
			begun := time.Now()
			say(t, conn, sent)
			readAll(t, conn, "\x02")
			if took := time.Since(begun); took != 15*time.Second {
				t.Errorf("the connection ended after %v, want 10s for the request and 5s for a client that does not close", took)
			}
		})
	}
}

// A client that does not even take its status is dropped.
func TestClientThatTakesNoStatus(t *testing.T) {
	opts := Options{Files: published(t, nil), RequestTimeout: 10 * time.Second, LingerTimeout: 5 * time.Second}
	for _, request := range []string{"GET_FILE\x00/file\x00", "GET_FILE\x00/other\x00"} {
		simulate(t, opts, func(t *testing.T, l *pipeListener) {
			conn := l.dial()
			say(t, conn, request)
			<-time.After(16 * time.Second) // simulated
			if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("later %d bytes come (%v), want none and a closed connection", n, err)
			}
		})
	}
}

// A receiver that takes a little now and then gets everything, however long it
// takes, and every byte once.
func TestSlowReceiver(t *testing.T) {
	content := make([]byte, 100_000)
	for i := range content {
		content[i] = byte(i % 251)
	}
	opts := Options{Files: published(t, content), StallTimeout: 30 * time.Second, RequestTimeout: time.Minute}
	simulate(t, opts, func(t *testing.T, l *pipeListener) {
		conn := l.dial()
		begun := time.Now()
		say(t, conn, "GET_FILE\x00/file\x00")
		var got []byte
		for len(got) < 1+len(content) {
			<-time.After(29 * time.Second) // simulated
			part := make([]byte, 1000)
			n, err := conn.Read(part)
			if err != nil {
				t.Fatalf("after %d bytes: %v", len(got), err)
			}
			got = append(got, part[:n]...)
		}
		if !bytes.Equal(got[1:], content) {
			t.Error("the content is not the file's")
		}
		if took := time.Since(begun); took < 40*time.Minute {
			t.Errorf("it took %v only: the receiver was not slow", took)
		}
	})
}

func TestStalledReceiverIsDropped(t *testing.T) {
	opts := Options{Files: published(t, make([]byte, 100_000)), StallTimeout: 30 * time.Second}
	simulate(t, opts, func(t *testing.T, l *pipeListener) {
		conn := l.dial()
		say(t, conn, "GET_FILE\x00/file\x00")
		if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		<-time.After(61 * time.Second) // simulated: twice the stall time, and a bit
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("a minute later %d bytes come (%v), want none and a closed connection", n, err)
		}
	})
}

// On a real connection the receiver that comes back too late sees a failure.
func TestStalledReceiverSeesAReset(t *testing.T) {
	log, dropped := logUntil("transfer broken off")
	addr, _ := start(t, Options{Files: sparse(t, beyondBuffers), StallTimeout: 50 * time.Millisecond, Log: log})
	conn := begin(t, addr)
	<-dropped
	if _, err := io.Copy(io.Discard, conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the receiver sees %v, want %v", err, syscall.ECONNRESET)
	}
}

// Past the bound a connection waits and is served once there is room.
func TestMaxConns(t *testing.T) {
	opts := Options{Files: published(t, []byte("content")), MaxConns: 2, RequestTimeout: time.Minute}
	simulate(t, opts, func(t *testing.T, l *pipeListener) {
		first, second := l.dial(), l.dial()
		waiting := make(chan net.Conn)
		go func() { waiting <- l.dial() }()
		synctest.Wait()
		select {
		case <-waiting:
			t.Fatal("a third connection was accepted")
		default:
		}
		_ = first.Close()
		third := <-waiting
		say(t, third, "GET_FILE\x00/file\x00")
		readAll(t, third, "\x00content")
		say(t, second, "GET_FILE\x00/file\x00")
		readAll(t, second, "\x00content")
	})
}

// Stopping does not wait for clients that never ask.
func TestStopDoesNotWait(t *testing.T) {
	for _, sent := range []string{"", "GET_FILE\x00/other\x00"} {
		opts := Options{Files: published(t, nil), RequestTimeout: time.Hour, LingerTimeout: time.Hour}
		var begun time.Time
		synctest.Test(t, func(t *testing.T) {
			l := newPipeListener()
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- New(opts).Serve(ctx, l) }()
			conn := l.dial()
			begun = time.Now()
			say(t, conn, sent)
			if sent != "" {
				if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Serve: %v", err)
			}
			if took := time.Since(begun); took != 0 {
				t.Errorf("after %q Serve took %v to end, want no time", sent, took)
			}
		})
	}
}

// A troubledListener fails a few times before it accepts.
type troubledListener struct {
	*pipeListener
	failures int
}

func (l *troubledListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, syscall.EMFILE
	}
	return l.pipeListener.Accept()
}

func TestAcceptTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &troubledListener{newPipeListener(), 10}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		begun := time.Now()
		go func() { ended <- New(Options{Files: published(t, []byte("content"))}).Serve(ctx, l) }()
		conn := l.dial()
		// 5, 10, 20 ... 640 ms, then 1 s each
		if took, want := time.Since(begun), 1275*time.Millisecond+2*time.Second; took != want {
			t.Errorf("ten failures took %v, want %v", took, want)
		}
		say(t, conn, "GET_FILE\x00/file\x00")
		readAll(t, conn, "\x00content")
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestListenerClosedByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		ended := make(chan error, 1)
		go func() { ended <- New(Options{Files: published(t, nil)}).Serve(t.Context(), l) }()
		idle := l.dial()
		_ = l.Close()
		if err := <-ended; !errors.Is(err, lonja.Unavailable) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v, want %v of kind Unavailable", err, net.ErrClosed)
		}
		if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a connection is left open: %v", err)
		}
	})
}
