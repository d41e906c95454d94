package firstbyte

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// sorting returns a running Sorter, how to reach it, and what ends it.
func sorting(t *testing.T, opts Options) (s *Sorter, dial func() net.Conn, end func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = New(ln, opts)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	end = func() error { cancel(); err := <-ended; ended <- err; return err }
	t.Cleanup(func() { _ = end() })
	return s, func() net.Conn {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		return conn
	}, end
}

// TestSortsByTheFirstByte, takes nothing, and hands on a plain TCP connection.
func TestSortsByTheFirstByte(t *testing.T) {
	s, dial, end := sorting(t, Options{})
	for _, c := range []struct {
		says string
		to   net.Listener
	}{
		{"\x16\x03\x01 hello", s.Secure},
		{"GET_FILE\x00/x\x00", s.Classic},
		{"\x00", s.Classic},
	} {
		conn := dial()
		if _, err := io.WriteString(conn, c.says); err != nil {
			t.Fatal(err)
		}
		got, err := c.to.Accept()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, len(c.says))
		if _, err := io.ReadFull(got, b); err != nil || string(b) != c.says {
			t.Errorf("read %q, %v; want %q", b, err, c.says)
		}
		if _, plain := got.(*net.TCPConn); !plain {
			t.Errorf("got a %T", got)
		}
		_ = got.Close()
	}
	if err := end(); err != nil {
		t.Errorf("the end: %v", err)
	}
	if _, err := s.Secure.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// TestLetsGo of who says nothing, of who leaves, of whom nobody wants, and of
// all at the end.
func TestLetsGo(t *testing.T) {
	s, dial, end := sorting(t, Options{Patience: 50 * time.Millisecond, Most: 2})
	wantEnd := func(what string, conn net.Conn) {
		t.Helper()
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: still open, %v", what, err)
		}
	}
	for range 3 { // more than there are places
		wantEnd("silent", dial())
	}
	_ = s.Classic.Close()
	unwanted := dial()
	if _, err := io.WriteString(unwanted, "GET_FILE\x00"); err != nil {
		t.Fatal(err)
	}
	wantEnd("of a dialect that is off", unwanted)
	waiting := dial()
	if _, err := io.WriteString(waiting, "\x16"); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Errorf("the end: %v", err)
	}
	wantEnd("not accepted", waiting)
}
