// Package firstbyte lets a node speak both dialects on one port: it looks at the
// first byte of each connection, without taking it, and hands the connection to
// whoever serves that dialect. 0x16 begins every TLS handshake (RFC 8446 section
// 5.1); an operation of the classic protocol begins with a letter.
//
// What it hands on is the connection itself, not a wrapping: files go from it by
// sendfile. A directory, which counts its clients before it looks at them, does
// its own sorting.
package firstbyte

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// tlsHandshake is the content type of a TLS record that shakes hands.
const tlsHandshake = 0x16

// Options is how patient a Sorter is. The zero Options are good.
type Options struct {
	// Patience is how long a connection may say nothing (10 s).
	Patience time.Duration
	// Most is how many connections may be undecided, or decided and not accepted
	// yet (256). Further ones wait in the kernel's queue.
	Most int
}

// A Sorter is a listener cut in two.
type Sorter struct {
	ln   net.Listener
	opts Options

	Secure, Classic net.Listener // whose connections begin with a TLS handshake, or not
}

// New returns a Sorter of the connections that ln accepts. Both its listeners
// have the address of ln; closing one refuses its dialect. Run must be called.
func New(ln net.Listener, opts Options) *Sorter {
	opts.Patience = cmp.Or(opts.Patience, 10*time.Second)
	opts.Most = cmp.Or(opts.Most, 256)
	return &Sorter{ln: ln, opts: opts, Secure: newHalf(ln.Addr()), Classic: newHalf(ln.Addr())}
}

// Run sorts until ctx ends or the listener fails for good, and closes all three
// listeners. It returns nil if ctx ended. When it has returned, connections that
// nobody accepted are closed and no goroutine is left.
func (s *Sorter) Run(ctx context.Context) error {
	var undecided sync.WaitGroup
	defer undecided.Wait()
	defer s.Secure.Close()
	defer s.Classic.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = s.ln.Close() })
	defer stop()
	defer s.ln.Close()
	places := make(chan struct{}, s.opts.Most)
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := s.ln.Accept()
		if err == nil {
			undecided.Go(func() {
				s.sort(ctx, conn)
				<-places
			})
			continue
		}
		<-places
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		}
		select { // out of file descriptors, say: others may give some back
		case <-time.After(acceptAgain):
		case <-ctx.Done():
		}
	}
}

// acceptAgain is the pause after a connection that could not be accepted.
const acceptAgain = 50 * time.Millisecond

// sort hands a connection on, or closes it if it says nothing in time.
func (s *Sorter) sort(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	_ = conn.SetReadDeadline(time.Now().Add(s.opts.Patience))
	first, err := peek(conn)
	if !stop() || err != nil {
		_ = conn.Close()
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	to := s.Classic
	if first == tlsHandshake {
		to = s.Secure
	}
	to.(*half).hand(ctx, conn)
}

// peek returns the first byte of what comes on a connection and leaves it there.
func peek(conn net.Conn) (byte, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	var b [1]byte
	var n int
	var peekErr error
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, _, peekErr = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK)
			if !errors.Is(peekErr, unix.EINTR) {
				return !errors.Is(peekErr, unix.EAGAIN)
			}
		}
	})
	if err = cmp.Or(err, peekErr); err == nil && n == 0 {
		err = io.EOF
	}
	return b[0], err
}

// A half is the listener of one dialect.
type half struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHalf(addr net.Addr) *half {
	return &half{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// hand waits until the connection is accepted, and closes it if it never is.
func (h *half) hand(ctx context.Context, conn net.Conn) {
	select {
	case h.conns <- conn:
	case <-h.closed:
		_ = conn.Close()
	case <-ctx.Done():
		_ = conn.Close()
	}
}

// Accept implements net.Listener.
func (h *half) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.closed:
		return nil, &net.OpError{Op: "accept", Net: h.addr.Network(), Addr: h.addr, Err: net.ErrClosed}
	}
}

// Close implements net.Listener.
func (h *half) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements net.Listener.
func (h *half) Addr() net.Addr { return h.addr }
