// Package admin serves a directory's operator over HTTP: health, readiness and
// metrics, and the operations of operator.Directory.
//
//	GET  /healthz                what state the process is in; always 200
//	GET  /readyz                 200 while reads and writes are possible, else 503 and why not
//	GET  /metrics                for Prometheus
//	GET  /admin/v1/users         each account, as JSON lines
//	POST /admin/v1/remove-user   {"user": "..."}
//	GET  /admin/v1/stats         operator.Stats
//	GET  /admin/v1/export        JSON lines
//	POST /admin/v1/import        what export gave; answers operator.ImportReport
//	GET  /admin/v1/backup        every record, and an end mark
//	POST /admin/v1/restore       what backup gave
//	POST /admin/v1/check         answers operator.CheckReport
//	POST /admin/v1/invite        {"uses": 1, "until": 0, "note": ""}; answers Invited
//	GET  /admin/v1/invitations   each operator.Invitation, as JSON lines
//	POST /admin/v1/revoke-invitation  {"id": "..."}
//
// Whoever reaches the operations may do everything. They are served only on a
// loopback address or a Unix socket, and not to web pages: see guard. What has
// gone wrong is said as {"error": "..."}, also in the trailer ErrorTrailer of
// an answer that had begun.
//
// The package knows no directory and no file: it is handed the one, and
// streams the other.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"lonja/internal/operator"
)

// Prefix begins the paths of all operations.
const Prefix = "/admin/v1/"

// Header must be in each request for an operation, with the value "1": web
// pages cannot send it to another site unless that agrees, and this one
// never does.
const Header = "Lonja-Admin"

// ErrorTrailer comes after an answer that was begun and could not be finished,
// and says why, if the request has "TE: trailers". For others the connection
// is cut, so that nobody takes a part for the whole.
const ErrorTrailer = "Lonja-Error"

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute

	// DefaultStopTimeout is how long Serve waits for answers once it is stopped.
	DefaultStopTimeout = 3 * time.Second
	// DefaultStallTimeout is how long a stream may stand still: the other end
	// may be a pipe that a person feeds.
	DefaultStallTimeout = 5 * time.Minute
)

// Options is what a Server works with. All may be left out.
type Options struct {
	Metrics http.Handler // answers /metrics
	Version string       // of the program
	Place   func() Place // asked for each invitation; nil: it is not told
	Log     *slog.Logger

	StopTimeout  time.Duration
	StallTimeout time.Duration
}

func (o Options) withDefaults() Options {
	if o.Metrics == nil {
		o.Metrics = http.NotFoundHandler()
	}
	if o.Place == nil {
		o.Place = func() Place { return Place{} }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = DefaultStopTimeout
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = DefaultStallTimeout
	}
	return o
}

// A Server serves the operator of one directory, from before the directory is
// there until after it is gone. All methods may be called by any number of
// goroutines.
type Server struct {
	opts    Options
	handler http.Handler

	mu      sync.Mutex // guards all below; never held while calling out
	session *session   // nil while there is no directory
	why     func() string
}

// A session is the time during which a directory is served.
type session struct {
	dir     operator.Directory
	ctx     context.Context // ends with the session
	end     context.CancelFunc
	running sync.WaitGroup // operations; added to only under Server.mu
}

// New returns a Server without a directory.
func New(opts Options) *Server {
	s := &Server{opts: opts.withDefaults(), why: func() string { return "starting" }}
	s.handler = s.routes()
	return s
}

// Open has the server serve dir, until Shut.
func (s *Server) Open(dir operator.Directory) {
	ctx, end := context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = &session{dir: dir, ctx: ctx, end: end}
}

// Shut takes the directory away: it ends the operations that run on it and
// waits for them. From then on, why says in words why there is no directory.
// It is called for each question, and must not block. Before the first Open,
// Shut only changes why.
func (s *Server) Shut(why func() string) {
	s.mu.Lock()
	ended := s.session
	s.session, s.why = nil, why
	s.mu.Unlock()
	if ended != nil {
		ended.end()
		ended.running.Wait()
	}
}

// enter returns the session for an operation, which calls running.Done at its
// end; or nil and why there is none.
func (s *Server) enter() (*session, string) {
	s.mu.Lock()
	current, why := s.session, s.why
	if current != nil {
		current.running.Add(1)
	}
	s.mu.Unlock()
	if current == nil {
		return nil, why()
	}
	return current, ""
}

// ready returns nil, or why the directory cannot be used.
func (s *Server) ready() error {
	current, why := s.enter()
	if current == nil {
		return errors.New(why)
	}
	defer current.running.Done()
	return current.dir.Ready()
}

// ServeHTTP implements http.Handler. Operations are served only below Serve,
// which knows who can reach them.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Serve answers on ln until ctx ends, and closes it. Then it ends the
// operations that run, waits for answers for at most StopTimeout, and returns
// nil. An error means that ln broke. Nothing of it is left when it returns. It
// may be called for several listeners.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	base := context.WithValue(ctx, listenerKey{}, ln.Addr())
	var conns sync.WaitGroup // http.Server does not wait for those that it closes
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed:
				conns.Done()
			}
		},
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.StopTimeout)
		defer cancel()
		if server.Shutdown(patience) != nil {
			_ = server.Close() // its error is that of a listener that is closed
		}
	})
	err := server.Serve(ln)
	if stop() {
		_ = server.Close()
	} else {
		<-stopped
	}
	conns.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// listenerKey is the key of the listener's address in a request's context.
type listenerKey struct{}
