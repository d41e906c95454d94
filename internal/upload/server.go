// Package upload is the listening side of the transfer between peers in the
// classic protocol: it answers GET_FILE and GET_MULTIFILE with the files that
// it is given, normally those of a share.Set.
//
// It opens no file itself and knows nothing of users or directories; node
// runs it while its user is connected.
package upload

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"lonja"
	"lonja/internal/pacing"
)

// Files are what a Server may send.
type Files interface {
	// Open opens the file published under exactly this name and returns its
	// size too; the Server closes it. The error is of kind NoSuchFile if
	// nothing is published under name. Open is called by many goroutines
	// at once and must not wait for anything but the disk.
	Open(name lonja.FileName) (f *os.File, size int64, err error)
}

// Options say what a Server serves and how long it is patient. Files must be
// set; what else is zero gets the value in parentheses.
type Options struct {
	Files Files

	// SendSize sends the size of a whole file before its content, as some
	// other implementations do and the original does not.
	SendSize bool

	// Pacer, if set, says when something may be sent, which takes turns by address:
	// the protocol knows no users. No request of it needs a slot, as nobody could be
	// told a place. Near, if set, reports whether an address is near enough for no rate
	// to count; it is called by many goroutines at once.
	Pacer *pacing.Pacer
	Near  func(netip.Addr) bool

	MaxConns       int           // connections at once; more wait unaccepted (256)
	MaxPerAddress  int           // of them, those of one address that are served; more wait (16)
	LeastRate      int64         // bytes per second for a receiver to keep while all connections are taken (8 KiB)
	RequestTimeout time.Duration // for a request to arrive, and for a bare status to leave (10 s)
	StallTimeout   time.Duration // for a receiver that takes no byte: see send (30 s)
	LingerTimeout  time.Duration // for the receiver to close after the last byte (5 s)

	Log *slog.Logger // nil for none
}

// A Server answers other peers. It has no state of its own between
// connections: Serve may be called more than once, for several listeners.
type Server struct {
	opts    Options
	free    chan struct{} // one place for each connection that may be served
	turns   *turns
	crowded atomic.Int32 // listeners that have no place for another connection
}

// New builds a Server.
func New(opts Options) *Server {
	opts.MaxConns = cmp.Or(opts.MaxConns, 256)
	opts.MaxPerAddress = cmp.Or(opts.MaxPerAddress, 16)
	opts.LeastRate = cmp.Or(opts.LeastRate, 8<<10)
	opts.RequestTimeout = cmp.Or(opts.RequestTimeout, 10*time.Second)
	opts.StallTimeout = cmp.Or(opts.StallTimeout, 30*time.Second)
	opts.LingerTimeout = cmp.Or(opts.LingerTimeout, 5*time.Second)
	if opts.Near == nil {
		opts.Near = func(netip.Addr) bool { return false }
	}
	opts.Log = cmp.Or(opts.Log, slog.New(slog.DiscardHandler))
	return &Server{opts: opts, free: make(chan struct{}, opts.MaxConns), turns: newTurns(opts.MaxPerAddress)}
}

// Serve answers the connections of l until ctx ends, then closes l, cuts the
// transfers that are under way, and returns nil when all of that is over. A
// cut connection is reset, so that the receiver sees a failure: were it closed,
// half a file would look like a whole one.
//
// The error is of kind Unavailable if l fails for good before ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	defer l.Close()
	context.AfterFunc(ctx, func() { _ = l.Close() })

	var retry backOff
	for {
		if !s.place(ctx) {
			return nil
		}
		conn, err := l.Accept()
		if err == nil {
			retry = backOff{}
			serving.Go(func() {
				defer func() { <-s.free }()
				s.handle(ctx, conn)
			})
			continue
		}
		<-s.free
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return lonja.E(lonja.Unavailable, "listen", err)
		}
		s.opts.Log.Warn("a connection could not be accepted", "error", err)
		retry.wait(ctx)
	}
}

// place waits for a free place and reports whether there is one before ctx
// ends.
func (s *Server) place(ctx context.Context) bool {
	select {
	case s.free <- struct{}{}:
		return true
	default:
	}
	s.crowded.Add(1)
	defer s.crowded.Add(-1)
	select {
	case s.free <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// A backOff spaces out attempts that fail: when the process has no free
// handles, to accept again at once would only burn the processor.
type backOff struct{ pause time.Duration }

const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

func (b *backOff) wait(ctx context.Context) {
	b.pause = min(max(2*b.pause, firstPause), lastPause)
	select {
	case <-time.After(b.pause):
	case <-ctx.Done():
	}
}
