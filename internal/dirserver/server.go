// Package dirserver carries a directory's operations over the classic
// protocol: it listens, reads requests, has a lonja.Directory perform them and
// answers.
//
// It keeps no rule of the directory and no byte of the format: package
// directory and package classic do. What it owns is the patience with clients:
// a client that is slow, silent or gone costs one goroutine and one small
// buffer until its time is up, and nobody else notices.
package dirserver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"lonja"
	"lonja/internal/limits"
)

// The defaults of Options.
const (
	DefaultMaxConns       = 8192
	DefaultRequestTimeout = 10 * time.Second
	DefaultStopTimeout    = 3 * time.Second
	DefaultAnswerMemory   = 256 << 20
)

// Options is what a Server works with. Directory must be set.
type Options struct {
	Directory lonja.Directory

	// Record is told of each request for one of the directory's operations
	// that could be read whole, done or not, after its answer has gone. It
	// must not block. Nil: nobody is told.
	Record func(lonja.OperationRecord)
	// Announce gets the lines that the protocol wants on standard output.
	// A reader that stops reading loses lines, never holds up a request.
	Announce io.Writer
	Log      *slog.Logger

	// TLS takes over a connection that begins like one of TLS, which it can read
	// from its first byte on. ctx ends when Serve is to end; TLS returns when the
	// connection is done, at the latest StopTimeout after that. It need not close
	// it. The connection is no longer one of MaxConns. Nil: there is no such
	// dialect, and what begins so is a malformed request.
	TLS func(ctx context.Context, conn net.Conn, visit limits.Visit)
	// Bound reports whether a user's account is bound to keys: nobody acts for it
	// in the classic dialect, which proves none. It must not block. Nil: none is.
	Bound func(lonja.UserName) bool
	// ClassicOff refuses all requests of the classic protocol, whatever they are.
	ClassicOff bool

	// Limits says who asks for too much. Nil: nobody does.
	Limits *limits.Limiter
	// Limited is told of each request that was refused for its limit, or
	// connection without one. It must not block. Nil: nobody is told.
	Limited func(limits.Reason)

	// MaxConns bounds the connections being served. Further ones wait in the
	// kernel's queue.
	MaxConns int
	// RequestTimeout bounds the reading of a request, and the wait of a long
	// answer for memory. Answers may take a second longer for each 64 KiB.
	RequestTimeout time.Duration
	// AnswerMemory bounds the bytes of all long answers that clients have not
	// read yet. A single one may be longer.
	AnswerMemory int64
	// StopTimeout bounds how long Serve waits for clients once it is stopped.
	StopTimeout time.Duration
}

// withDefaults returns the options with what was left out filled in.
func (o Options) withDefaults() Options {
	if o.Record == nil {
		o.Record = func(lonja.OperationRecord) {}
	}
	if o.Announce == nil {
		o.Announce = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Limits == nil {
		o.Limits = limits.New(limits.Options{}, time.Now())
	}
	if o.Bound == nil {
		o.Bound = func(lonja.UserName) bool { return false }
	}
	if o.Limited == nil {
		o.Limited = func(limits.Reason) {}
	}
	if o.MaxConns <= 0 {
		o.MaxConns = DefaultMaxConns
	}
	if o.RequestTimeout <= 0 {
		o.RequestTimeout = DefaultRequestTimeout
	}
	if o.AnswerMemory <= 0 {
		o.AnswerMemory = DefaultAnswerMemory
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = DefaultStopTimeout
	}
	return o
}

// A Server serves one directory on any number of listeners.
type Server struct {
	opts     Options
	slots    chan struct{} // one token for each connection being served
	handlers sync.WaitGroup
	open     *openConns
	announce *announcer
	limited  digest
	failures *failureLog
	answers  *allowance
	silent   *limits.Room // connections of which nothing has been read
}

// New returns a Server. It does nothing until Serve is called.
func New(opts Options) *Server {
	opts = opts.withDefaults()
	return &Server{
		opts:     opts,
		slots:    make(chan struct{}, opts.MaxConns),
		open:     newOpenConns(),
		announce: newAnnouncer(opts.Announce, opts.Log),
		failures: newFailureLog(opts.Log),
		answers:  newAllowance(opts.AnswerMemory),
		silent:   limits.NewRoom(opts.MaxConns),
	}
}

// Serve accepts connections from ln until ctx ends, and closes ln. Then it
// finishes what was accepted, for at most StopTimeout, and returns nil. An
// error means that ln broke. When Serve has returned, no goroutine of it is
// left and all lines have been written, unless nobody takes them. Serve is
// called once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	stopAnnouncing := s.announce.start()
	defer stopAnnouncing()
	defer s.failures.end()
	stopWatch := context.AfterFunc(ctx, func() { s.stopAccepting(ln) })
	defer stopWatch()

	// Operations outlive ctx: what was accepted is finished.
	working, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	err := s.acceptAll(ctx, working, ln)
	_ = ln.Close() // its end is what we want; it may be closed already
	s.open.expire(time.Now().Add(s.opts.StopTimeout))
	defer time.AfterFunc(s.opts.StopTimeout, giveUp).Stop()
	s.handlers.Wait()
	return err
}

// queueGrace is how long connections that the kernel has already accepted for
// us are still taken over when the server stops.
const queueGrace = 20 * time.Millisecond

// stopAccepting lets the accept loop empty the kernel's queue and then fail.
func (s *Server) stopAccepting(ln net.Listener) {
	if d, ok := ln.(interface{ SetDeadline(t time.Time) error }); ok {
		if err := d.SetDeadline(time.Now().Add(queueGrace)); err == nil {
			return
		}
	}
	_ = ln.Close()
}

// acceptAll serves each connection in a goroutine of its own, whose operations
// end with working, until ctx ends (nil) or ln breaks (its error).
func (s *Server) acceptAll(ctx, working context.Context, ln net.Listener) error {
	pause := newPause()
	for {
		if !s.awaitSlot(ctx) {
			return nil
		}
		conn, err := ln.Accept()
		if err != nil {
			<-s.slots
			switch {
			case ctx.Err() != nil:
				return nil
			case errors.Is(err, net.ErrClosed):
				return err
			}
			// Out of file descriptors or memory, or a client that gave up
			// already: serve the others, and try again.
			s.opts.Log.Warn("cannot accept a connection", slog.Any("error", err))
			pause.wait(ctx)
			continue
		}
		pause.reset()
		s.handlers.Add(1)
		go s.serveConn(ctx, working, conn, s.opts.Limits.Enter(remoteAddr(conn)))
	}
}

// awaitSlot waits until one connection more may be served. It is false if none
// may when ctx ends: then nobody who still waits can be served in time.
func (s *Server) awaitSlot(ctx context.Context) bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
	}
	// Who says nothing makes room for others, where that is what most do.
	s.silent.Thin(max(s.opts.MaxConns/2, leastCrowd))
	select {
	case s.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// serveConn serves a connection in the dialect that it speaks. ctx ends when no
// more are accepted, working when those that were are given up.
func (s *Server) serveConn(ctx, working context.Context, conn net.Conn, visit limits.Visit) {
	defer func() {
		s.opts.Limits.Leave(visit)
		_ = conn.Close()
		s.handlers.Done()
	}()
	serve := func(conn net.Conn, visit limits.Visit, bufs *buffers) { s.exchange(working, conn, visit, bufs) }
	if other := s.sortConn(serve, conn, visit); other != nil {
		_ = conn.SetDeadline(time.Time{})
		s.opts.TLS(ctx, other, visit)
	}
}
