// Package apiserver carries a directory's operations over lonja.v1, the secure
// dialect: it takes over connections that begin with TLS, finds out who asks, has
// a lonja.MemberDirectory perform what is asked and answers, in frames (ALPN
// lonja/1) or as Connect (ALPN http/1.1).
//
// It listens nowhere: dirserver owns the port, and hands over what is not
// classic. It keeps no rule of the directory, no key and no certificate: it is
// given the TLS configuration and a function that issues certificates. What it
// owns is the patience with strangers before they have proved a key.
package apiserver

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"lonja"
	"lonja/internal/frames"
	"lonja/internal/limits"
)

// The protocols that a client may choose by ALPN (RFC 7301).
const (
	ProtocolFrames = "lonja/1"
	ProtocolHTTP   = "http/1.1"
)

// The defaults of Options.
const (
	DefaultMaxSessions      = 32768
	DefaultMaxHandshakes    = 4096
	DefaultHandshakeTimeout = 10 * time.Second
	DefaultMaxWaiting       = 8192
	DefaultMaxWaitingBytes  = 64 << 20
	DefaultStopTimeout      = 3 * time.Second
)

// A Certificate is what a member shows to others.
type Certificate struct {
	Chain       [][]byte // DER, the member's own first
	Authorities [][]byte // DER: whom to know other members by
	NotBefore   time.Time
	NotAfter    time.Time
}

// A Journal is what operators read; dirserver.Server is one. Its methods must
// not block.
type Journal interface {
	// Announce tells of a request.
	Announce(operation string, user lonja.UserName, timestamp string)
	// Failed tells of an operation that failed; it decides whether that is news.
	Failed(operation string, err error)
	// Refused tells of what was refused for its limit.
	Refused(reason limits.Reason, from net.Addr)
}

// Options is what a Server works with. Directory and TLS must be set.
type Options struct {
	Directory lonja.MemberDirectory
	// TLS has the directory's certificate and asks for one of the client. The
	// versions and protocols in it do not count.
	TLS *tls.Config
	// Issue makes the certificate of a member that may act for its user, whose
	// account has that number. Nil: sessions have none.
	Issue func(m lonja.Member, account uint64) (Certificate, error)
	// Authority tells whose certificates Issue makes now. When it is another one than
	// when a connection began, the next renewal on that brings a new certificate and
	// who vouches for it, wanted or not. Nil: it is always the same.
	Authority func() lonja.PeerID
	// Node is the name of this node of the directory, which clients are told.
	Node string
	// Classic is whether the directory speaks the classic dialect too.
	Classic bool

	Journal Journal                     // nil: nobody reads it
	Record  func(lonja.OperationRecord) // as in dirserver; nil: nobody is told
	// Observe is told of each operation that was performed: its method, how long
	// it took, and its error. It must not block. Nil: nobody is told.
	Observe func(method string, took time.Duration, err error)
	Log     *slog.Logger
	Limits  *limits.Limiter // the one of the port; nil: no limits

	MaxSessions      int           // connections at once; further ones are closed
	MaxHandshakes    int           // unfinished ones; when there are more, the oldest is closed
	HandshakeTimeout time.Duration // for one
	MaxWaiting       int           // requests that wait for the store, of all connections
	MaxWaitingBytes  int64         // of the large ones among them, and likewise of those that watch
	StopTimeout      time.Duration // for requests to be answered when ServeConn is to end
	Patience         frames.ServerOptions
}

func (o Options) withDefaults() Options {
	if o.Record == nil {
		o.Record = func(lonja.OperationRecord) {}
	}
	if o.Authority == nil {
		o.Authority = func() lonja.PeerID { return lonja.PeerID{} }
	}
	if o.Observe == nil {
		o.Observe = func(string, time.Duration, error) {}
	}
	if o.Journal == nil {
		o.Journal = noJournal{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Limits == nil {
		o.Limits = limits.New(limits.Options{}, time.Now())
	}
	if o.MaxSessions <= 0 {
		o.MaxSessions = DefaultMaxSessions
	}
	if o.MaxHandshakes <= 0 {
		o.MaxHandshakes = DefaultMaxHandshakes
	}
	if o.HandshakeTimeout <= 0 {
		o.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = DefaultMaxWaiting
	}
	if o.MaxWaitingBytes <= 0 {
		o.MaxWaitingBytes = DefaultMaxWaitingBytes
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = DefaultStopTimeout
	}
	o.Patience.StopTimeout = o.StopTimeout
	o.Patience.Slots = make(chan struct{}, o.MaxWaiting)
	o.Patience.Waiting = semaphore.NewWeighted(o.MaxWaitingBytes)
	o.Patience.Streaming = semaphore.NewWeighted(o.MaxWaitingBytes)
	return o
}

type noJournal struct{}

func (noJournal) Announce(string, lonja.UserName, string) {}
func (noJournal) Failed(string, error)                    {}
func (noJournal) Refused(limits.Reason, net.Addr)         {}

// A Server serves connections that are handed to it.
type Server struct {
	opts       Options
	tls        *tls.Config
	sessions   chan struct{}   // one token for each connection
	handshakes *limits.Room    // those that are not finished
	computing  chan struct{}   // one token for each handshake that computes
	http       *httpServer     // serves what chose ProtocolHTTP
	clock      timestamps      // for the lines of the journal
	serving    [2]atomic.Int64 // connections by dialect: frames, HTTP
}

// New returns a Server. It does nothing until ServeConn is called.
func New(opts Options) *Server {
	opts = opts.withDefaults()
	config := opts.TLS.Clone()
	config.MinVersion = tls.VersionTLS13
	config.MaxVersion = tls.VersionTLS13
	config.NextProtos = []string{ProtocolFrames, ProtocolHTTP}
	if config.ClientAuth == tls.NoClientCert {
		config.ClientAuth = tls.RequestClientCert
	}
	s := &Server{
		opts: opts, tls: config,
		sessions:   make(chan struct{}, opts.MaxSessions),
		handshakes: limits.NewRoom(opts.MaxHandshakes),
		computing:  make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	s.http = newHTTPServer(s)
	return s
}

// ServeConn serves a connection until the client ends it or ctx ends: then it
// answers what was read, for at most StopTimeout. It closes conn. It may be
// called by any number of goroutines at once.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn, visit limits.Visit) {
	defer conn.Close()
	select {
	case s.sessions <- struct{}{}:
		defer func() { <-s.sessions }()
	default:
		s.opts.Journal.Refused(limits.AddressConnections, conn.RemoteAddr())
		return
	}
	vouches := s.opts.Authority() // before: a later one is told of
	secure, err := s.handshake(ctx, conn)
	if err != nil {
		s.opts.Log.Debug("no TLS session", slog.Any("from", conn.RemoteAddr()), slog.Any("error", err))
		return
	}
	caller := newCaller(secure, visit)
	caller.vouches.Store(&vouches)
	dialect := dialectHTTP
	if caller.inFrames {
		dialect = dialectFrames
	}
	s.serving[dialect].Add(1)
	defer s.serving[dialect].Add(-1)
	if dialect == dialectHTTP {
		s.http.serve(withCaller(ctx, caller), secure)
		return
	}
	err = frames.Serve(withCaller(ctx, caller), secure, frameService{s}, s.opts.Patience)
	if err != nil {
		s.opts.Log.Debug("a session broke off", slog.Any("from", conn.RemoteAddr()), slog.Any("error", err))
	}
}

// What index of Server.serving is which.
const (
	dialectFrames = iota
	dialectHTTP
)

// Serving returns how many connections are served in frames, and over HTTP.
func (s *Server) Serving() (inFrames, overHTTP int) {
	return int(s.serving[dialectFrames].Load()), int(s.serving[dialectHTTP].Load())
}

// Handshakes returns how many handshakes are not finished.
func (s *Server) Handshakes() int { return s.handshakes.Len() }

// timestamps makes the text of the present second once.
type timestamps struct {
	mu     sync.Mutex
	second int64
	text   string
}

func (t *timestamps) now() string {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if second := now.Unix(); second != t.second {
		t.second, t.text = second, now.Format(lonja.TimestampLayout)
	}
	return t.text
}
