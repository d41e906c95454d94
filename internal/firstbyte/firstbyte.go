// Package firstbyte lets a node speak both dialects on one port: it looks at the
// first byte of each connection, without taking it, and hands the connection to
// whoever serves that dialect. 0x16 begins every TLS handshake (RFC 8446 section
// 5.1); an operation of the classic protocol begins with a letter.
//
// What it hands on is the connection itself, not a wrapping: files go from it by
// sendfile. It knows of a connection until then, and no longer: strangers can take
// places from each other, but none from a dialect. A directory, which counts its
// clients before it looks at them, does its own sorting.
package firstbyte

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lonja/internal/limits"
)

// tlsHandshake is the content type of a TLS record that shakes hands.
const tlsHandshake = 0x16

// Options is how patient a Sorter is, and with how many. The zero Options are good.
type Options struct {
	// Patience is how long a connection may say nothing (10 s), and Wait how long
	// it may then wait until its dialect accepts it (30 s).
	Patience, Wait time.Duration
	// Silent is how many connections may have said nothing yet (256). The oldest
	// gives way to the next.
	Silent int
	// Waiting is how many connections of one dialect may wait until they are
	// accepted (256). More are closed; the other dialect has places of its own.
	Waiting int
	// PerAddress is how many connections of one address, as package limits counts
	// them, may be silent or wait (128). More are closed.
	PerAddress int
	// Loopback applies PerAddress to this machine too.
	Loopback bool
}

// A Sorter is a listener cut in two.
type Sorter struct {
	ln        net.Listener
	opts      Options
	silent    *limits.Room
	addresses *limits.Limiter

	Secure, Classic net.Listener // whose connections begin with a TLS handshake, or not
}

// New returns a Sorter of the connections that ln accepts. Both its listeners
// have the address of ln; closing one refuses its dialect. Run must be called.
func New(ln net.Listener, opts Options) *Sorter {
	opts.Patience = cmp.Or(opts.Patience, 10*time.Second)
	opts.Wait = cmp.Or(opts.Wait, 30*time.Second)
	opts.Silent = cmp.Or(opts.Silent, 256)
	opts.Waiting = cmp.Or(opts.Waiting, 256)
	opts.PerAddress = cmp.Or(opts.PerAddress, 128)
	return &Sorter{
		ln: ln, opts: opts, silent: limits.NewRoom(opts.Silent),
		addresses: limits.New(limits.Options{ConnectionsPerAddress: opts.PerAddress, Loopback: opts.Loopback}, time.Now()),
		Secure:    newHalf(ln.Addr(), opts.Waiting), Classic: newHalf(ln.Addr(), opts.Waiting),
	}
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
	for {
		conn, err := s.ln.Accept()
		switch {
		case err == nil:
			s.enter(ctx, conn, &undecided)
			continue
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

// enter has a connection sorted, if its address has not too many already. Who has
// been silent for longest gives way to it, so that a crowd of silent ones keeps
// nobody out.
func (s *Sorter) enter(ctx context.Context, conn net.Conn, undecided *sync.WaitGroup) {
	visit := s.addresses.Enter(addressOf(conn))
	if visit.Entry != limits.Serve {
		s.addresses.Leave(visit)
		_ = conn.Close()
		return
	}
	guest := s.silent.Enter(func() { _ = conn.Close() })
	undecided.Go(func() {
		defer s.addresses.Leave(visit)
		first, err := s.listen(ctx, conn)
		if !s.silent.Leave(guest) || err != nil {
			_ = conn.Close()
			return
		}
		to := s.Classic
		if first == tlsHandshake {
			to = s.Secure
		}
		to.(*half).hand(ctx, conn, s.opts.Wait)
	})
}

func addressOf(conn net.Conn) netip.Addr {
	if at, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return at.AddrPort().Addr()
	}
	return netip.Addr{}
}

// listen returns the first byte that a connection says, if it says it in time.
func (s *Sorter) listen(ctx context.Context, conn net.Conn) (byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	_ = conn.SetReadDeadline(time.Now().Add(s.opts.Patience))
	first, err := peek(conn)
	if !stop() {
		err = context.Cause(ctx)
	}
	return first, cmp.Or(err, conn.SetReadDeadline(time.Time{}))
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
	places chan struct{} // holds one token for each connection that waits
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHalf(addr net.Addr, waiting int) *half {
	return &half{addr: addr, places: make(chan struct{}, waiting), conns: make(chan net.Conn), closed: make(chan struct{})}
}

// hand waits until the connection is accepted, and closes it if that is not soon,
// or if too many wait already.
func (h *half) hand(ctx context.Context, conn net.Conn, wait time.Duration) {
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	default:
		_ = conn.Close()
		return
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case h.conns <- conn:
		return
	case <-h.closed:
	case <-late.C:
	case <-ctx.Done():
	}
	_ = conn.Close()
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
