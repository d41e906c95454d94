package oplog

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
)

const (
	// defaultConnections is far more than the directories that share a log. At
	// some 150 KiB for each at the very worst, it bounds what strangers can take.
	defaultConnections = 256

	// failurePause is how long the service rests when it cannot accept or
	// receive, for instance when the process has no file descriptor left.
	failurePause = 50 * time.Millisecond

	// fullNotice is how often at most it is told that there are too many
	// connections.
	fullNotice = time.Minute

	// portTries bounds the search for a port that is free for both TCP and UDP.
	portTries = 16
)

// ServiceOptions say how a Service listens and where it prints.
type ServiceOptions struct {
	// Host is the name or address to listen on. Empty is all addresses, IPv4
	// and IPv6.
	Host string
	// Port is for TCP and UDP alike. 0 is any that is free for both.
	Port uint16
	// Out gets the lines, whole lines in each Write; it must be there. The
	// service makes sure that there is one Write at a time; a writer that others
	// write to as well does its own locking.
	Out io.Writer
	// Log gets what operators should know; nil discards it.
	Log *slog.Logger
	// MaxConnections bounds the TCP connections at once. A further one takes the
	// place of the one that has been idle for longest, or is closed as it comes
	// if none is idle. 0 is 256.
	MaxConnections int
}

// A Service is the operation log. It prints
//
//	[<timestamp>] <username>: <operation> <filename>
//
// for each call, before it answers it. A call that cannot be printed is not
// answered, so that its sender sends it again.
type Service struct {
	stream      *net.TCPListener
	datagrams   *net.UDPConn
	out         *printer
	log         *slog.Logger
	connections int
}

// Listen opens the service's sockets; Run serves them, and closes them. Whoever
// does not come to Run calls Close. The error is of kind lonja.Unavailable:
// the port is in use, forbidden, or the host is not this machine's.
func Listen(o ServiceOptions) (*Service, error) {
	stream, datagrams, err := listenBoth(o.Host, o.Port)
	if err != nil {
		return nil, lonja.E(lonja.Unavailable, "operation log", err)
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		stream:      stream,
		datagrams:   datagrams,
		out:         newPrinter(o.Out, log),
		log:         log,
		connections: positive(o.MaxConnections, defaultConnections),
	}, nil
}

// positive is n, or otherwise when n is none.
func positive(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// listenBoth opens TCP and UDP on one port. With port 0 the port that TCP got
// may be taken for UDP; then it tries another.
func listenBoth(host string, port uint16) (*net.TCPListener, *net.UDPConn, error) {
	for try := 1; ; try++ {
		stream, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
		if err != nil {
			return nil, nil, err
		}
		at := stream.Addr().(*net.TCPAddr)
		datagrams, err := net.ListenUDP("udp", &net.UDPAddr{IP: at.IP, Port: at.Port, Zone: at.Zone})
		if err == nil {
			return stream.(*net.TCPListener), datagrams, nil
		}
		err = errors.Join(err, stream.Close())
		if port != 0 || try == portTries || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, nil, err
		}
	}
}

// Addr returns where the service listens, over TCP and UDP. The unspecified
// IPv6 address stands for all addresses of both families.
func (s *Service) Addr() netip.AddrPort {
	at := s.stream.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// Close closes the sockets. It may be called at any time, also twice; a Run
// then returns an error.
func (s *Service) Close() error {
	return errors.Join(ignoreClosed(s.stream.Close()), ignoreClosed(s.datagrams.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Run serves until ctx ends, and then returns nil: after all that it had read is
// printed and answered, each connection is closed, and each goroutine of the
// service has ended. A client that does not read its answers delays that by a
// few seconds at most. So does an Out that blocks: then a goroutine stays behind
// in its Write, and what could not be printed is not answered. Any error means
// that the service cannot go on. Run may be called once.
func (s *Service) Run(ctx context.Context) error {
	running, runningCtx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(runningCtx, s.interrupt)
	defer stop()
	running.Go(func() error { return s.serveStreams(runningCtx) })
	running.Go(func() error { return s.serveDatagrams(runningCtx) })
	err := errors.Join(running.Wait(), s.Close())
	if s.out.stuck.Load() {
		s.log.Warn("nobody reads the operation log: its last calls are not printed")
	}
	if err != nil {
		return lonja.E(lonja.KindOf(err), "operation log", err)
	}
	return nil
}

// interrupt makes the service's goroutines end, each after what it is doing: a
// call over UDP that was just printed is still answered.
func (s *Service) interrupt() {
	_ = s.stream.Close()
	_ = s.datagrams.SetReadDeadline(time.Unix(1, 0))
	close(s.out.stopping)
}

// serveStreams accepts connections, and returns when each has ended.
func (s *Service) serveStreams(ctx context.Context) error {
	var serving errgroup.Group
	defer func() { _ = serving.Wait() }() // a session's end is its own matter
	all := newSessions(s.connections)
	var noticed time.Time
	for {
		conn, err := s.stream.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.log.Warn("operation log cannot accept a connection", "err", err)
				pause(ctx, failurePause)
				continue
			}
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		session := newSession(ctx, conn, s.out, all)
		admitted, full := all.admit(session)
		if admitted {
			serving.Go(func() error { s.serveStream(session); return nil })
		} else {
			session.end()
			_ = conn.Close()
		}
		if full && time.Since(noticed) > fullNotice {
			noticed = time.Now()
			s.log.Warn("operation log has too many connections: it closes idle ones, and refuses others", "limit", s.connections)
		}
	}
}

// serveStream serves one connection to its end, and closes it.
func (s *Service) serveStream(session *session) {
	defer session.conn.Close()
	if err := session.serve(); err != nil {
		s.log.Debug("operation log connection ended", "peer", session.conn.RemoteAddr().String(), "err", err)
	}
}

// pause waits for d or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
