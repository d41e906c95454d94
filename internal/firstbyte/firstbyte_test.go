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
	s, dial, end := sorting(t, Options{Patience: 50 * time.Millisecond, Silent: 2})
	for range 3 {
		wantEnd(t, "silent", dial())
	}
	_ = s.Classic.Close()
	unwanted := dial()
	if _, err := io.WriteString(unwanted, "GET_FILE\x00"); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, "of a dialect that is off", unwanted)
	waiting := dial()
	if _, err := io.WriteString(waiting, "\x16"); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Errorf("the end: %v", err)
	}
	wantEnd(t, "not accepted", waiting)
}

func wantEnd(t *testing.T, what string, conn net.Conn) {
	t.Helper()
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: still open, %v", what, err)
	}
}

// says writes something on a connection that may be closed already.
func says(conn net.Conn, what string) net.Conn {
	_, _ = io.WriteString(conn, what)
	return conn
}

// wantAccepted fails unless l accepts that connection next.
func wantAccepted(t *testing.T, l net.Listener, conn net.Conn) {
	t.Helper()
	accepted := make(chan net.Conn, 1)
	go func() {
		got, _ := l.Accept()
		accepted <- got
	}()
	select {
	case got := <-accepted:
		if got == nil || got.RemoteAddr().String() != conn.LocalAddr().String() {
			t.Fatal("another one was accepted, or none")
		}
		_ = got.Close()
	case <-time.After(10 * time.Second):
		t.Fatal("it is not accepted")
	}
}

// TestSilentCrowd: who says nothing keeps nobody out, however many there are and
// however patient the Sorter is.
func TestSilentCrowd(t *testing.T) {
	s, dial, _ := sorting(t, Options{Patience: time.Hour, Silent: 4})
	crowd := make([]net.Conn, 40)
	for i := range crowd {
		crowd[i] = dial()
		if i%8 == 0 {
			wantAccepted(t, s.Secure, says(dial(), "\x16"))
			wantAccepted(t, s.Classic, says(dial(), "GET_FILE\x00"))
		}
	}
	for _, conn := range crowd[:len(crowd)-4] {
		wantEnd(t, "one of the crowd", conn)
	}
	wantAccepted(t, s.Secure, says(crowd[len(crowd)-1], "\x16")) // silent, not stupid
}

// TestOneAddress: what one address takes up, another one does not lack, and it
// has again when it lets go.
func TestOneAddress(t *testing.T) {
	s, dial, _ := sorting(t, Options{Patience: time.Hour, Wait: time.Hour, PerAddress: 3, Loopback: true})
	from := func(ip byte) net.Conn {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, ip)}}
		conn, err := dialer.Dial("tcp", s.Secure.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		return conn
	}
	taken := []net.Conn{says(dial(), "\x16"), dial(), dial()} // one waits, two are silent
	wantEnd(t, "one too many", dial())
	wantAccepted(t, s.Classic, says(from(2), "GET_FILE\x00"))
	wantAccepted(t, s.Secure, taken[0])
	for _, conn := range taken[1:] {
		_ = conn.Close()
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn := says(dial(), "GET_FILE\x00")
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			wantAccepted(t, s.Classic, conn)
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the address has no place again")
		}
	}
}

// TestOneDialectIsStuck: that nobody accepts what speaks the one dialect is
// nothing to the other, and does not last for who waits.
func TestOneDialectIsStuck(t *testing.T) {
	s, dial, _ := sorting(t, Options{Patience: time.Hour, Wait: time.Hour, Silent: 4, Waiting: 3})
	stuck := make([]net.Conn, 12)
	for i := range stuck {
		stuck[i] = says(dial(), "GET_FILE\x00")
	}
	ended := make(chan net.Conn)
	for _, conn := range stuck {
		go func() {
			_, _ = conn.Read(make([]byte, 1))
			ended <- conn
		}()
	}
	for range len(stuck) - 3 { // those without a place
		<-ended
	}
	wantAccepted(t, s.Secure, says(dial(), "\x16"))
	for range 3 {
		if conn, err := s.Classic.Accept(); err != nil {
			t.Fatal(err)
		} else {
			_ = conn.Close()
		}
		<-ended
	}
}

// TestNobodyAccepts: who waits is let go in the end.
func TestNobodyAccepts(t *testing.T) {
	_, dial, _ := sorting(t, Options{Patience: time.Hour, Wait: 50 * time.Millisecond})
	wantEnd(t, "classic", says(dial(), "GET_FILE\x00"))
	wantEnd(t, "secure", says(dial(), "\x16"))
}
