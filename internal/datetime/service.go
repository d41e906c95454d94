package datetime

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"lonja"
)

// Time limits of the service. A question is a few hundred bytes and its answer
// takes microseconds, so only who is silent or slow comes near them.
const (
	headerTimeout = 5 * time.Second  // from connecting to the end of the header
	readTimeout   = 10 * time.Second // from connecting to the end of the body
	writeTimeout  = 10 * time.Second // from the end of the header to the end of the answer
	idleTimeout   = 30 * time.Second // between two questions on one connection
	stopTimeout   = time.Second      // to finish what was accepted, once told to end
)

// maxHeader bounds the header of a request, in bytes. net/http adds 4 KiB.
const maxHeader = 8 << 10

// defaultMaxConns is the bound on connections unless the options give one.
const defaultMaxConns = 4096

// ServiceOptions say how a Service works. The zero value is ready for use.
type ServiceOptions struct {
	// Now tells the time, in the location in which it is to be shown.
	// The default is time.Now. It is called by many goroutines at once.
	Now func() time.Time
	// MaxConns bounds the connections that are served at once on one
	// listener. Further ones wait. The default is 4096.
	MaxConns int
	// Log gets what the operator should know. The default discards it.
	Log *slog.Logger
}

// A Service answers get_datetime over SOAP 1.1 and describes itself in a WSDL.
// It is an http.Handler, and may serve several listeners at once.
type Service struct {
	now      func() time.Time
	maxConns int
	log      *slog.Logger
	// familiar is the body of the last request that was found to be a
	// well-formed question. Programs ask in the same words each time, and
	// the same bytes need not be parsed twice.
	familiar atomic.Pointer[string]
}

// NewService builds a Service.
func NewService(options ServiceOptions) *Service {
	s := &Service{now: options.Now, maxConns: options.MaxConns, log: options.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.maxConns <= 0 {
		s.maxConns = defaultMaxConns
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Serve answers on ln until ctx ends, then finishes what was accepted, for up
// to a second, and returns nil once the last connection is closed. The error
// is that of a listener that failed. Serve closes ln in any case.
func (s *Service) Serve(ctx context.Context, ln net.Listener) error {
	var conns sync.WaitGroup
	server := s.server(&conns)
	served := make(chan error, 1)
	go func() { served <- server.Serve(limit(ln, s.maxConns)) }()

	var err error
	select {
	case err = <-served:
		_ = server.Close()
	case <-ctx.Done():
		stop(ctx, server)
		err = <-served
	}
	conns.Wait()
	if err == nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return lonja.E(lonja.Unavailable, "serve the date and time", err)
}

// server returns the HTTP server, which counts its connections in conns.
func (s *Service) server(conns *sync.WaitGroup) *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed, http.StateHijacked:
				conns.Done()
			}
		},
	}
}

// stop ends a server gently, and then not. ctx has ended; only its values
// serve on.
func stop(ctx context.Context, server *http.Server) {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close()
	}
}
