// Package fileserver is the serving side of the transfer between peers over
// TLS: GET and HEAD of a content, whole or a range (RFC 9110 section 14), of the
// hashes of its pieces, and of which pieces are here, over HTTP/1.1. It answers
// only members, and only with what it is given: files that are published, normally
// those of a share.Set, and Downloads, of which some pieces are here.
//
// It opens no file itself, checks no certificate and listens nowhere: node hands
// it connections, the function that tells whose they are, and the files. Package
// upload does the same in the classic protocol.
package fileserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"lonja"
	"lonja/internal/fairshare"
	"lonja/internal/fileapi"
	"lonja/internal/pacing"
)

// Options say what a Server serves, to whom, and how long it is patient. Files
// and Who must be set; what else is zero gets the value in parentheses.
type Options struct {
	Files Files

	// Who tells whose a connection is, whose handshake is done. It is asked for
	// each request, so that a member who is none any more gets nothing on a
	// connection from before. It is called by many goroutines at once.
	Who func(*tls.ConnectionState) (lonja.Member, error)

	// Changed, if set, is told that a file was found to be another than was
	// published with that id, for somebody to withdraw it. It is called by many
	// goroutines at once, again and again for one file, and must not wait.
	Changed func(lonja.FileID)

	// Ways, if set, returns which addresses lead here by way of something else, for
	// those who ask what is here. It is called by many goroutines at once.
	Ways func() fileapi.Ways

	// Uploads say how many users are served at once, in which turns, and how fast.
	Uploads fairshare.Options
	// Pacer, if set, does so in the place of Uploads, also for others.
	Pacer *pacing.Pacer
	// Near, if set, reports whether an address is near enough for no rate to
	// count. It is called by many goroutines at once.
	Near func(netip.Addr) bool

	MaxConns     int // connections of members at once; more are told so (1024)
	MaxPerMember int // of them, those of one user; likewise (64)

	// MaxStrangers bounds the connections beside those, on which no member has
	// asked for anything yet (256): the oldest is closed for the next.
	// StrangersPerAddress are those of one address, as package limits counts them
	// (128); more are closed. Loopback counts those of this machine too.
	MaxStrangers, StrangersPerAddress int
	Loopback                          bool

	RequestTimeout time.Duration // for the handshake, and for a request to arrive (10 s)
	IdleTimeout    time.Duration // for the next request on a connection (2 min)
	StallTimeout   time.Duration // for a receiver that takes nothing (1 min)
	Grace          time.Duration // for transfers to end when Serve is told to (3 s)

	Log *slog.Logger // nil for none
}

// A Server answers other peers. Serve may be called for several listeners; what
// Options bound is bounded for all of them together.
type Server struct {
	opts Options
	door *door
}

// New builds a Server.
func New(opts Options) *Server {
	opts.MaxConns = cmp.Or(opts.MaxConns, 1024)
	opts.MaxPerMember = cmp.Or(opts.MaxPerMember, 64)
	opts.MaxStrangers = cmp.Or(opts.MaxStrangers, 256)
	opts.StrangersPerAddress = cmp.Or(opts.StrangersPerAddress, 128)
	opts.RequestTimeout = cmp.Or(opts.RequestTimeout, 10*time.Second)
	opts.IdleTimeout = cmp.Or(opts.IdleTimeout, 2*time.Minute)
	opts.StallTimeout = cmp.Or(opts.StallTimeout, time.Minute)
	opts.Grace = cmp.Or(opts.Grace, 3*time.Second)
	opts.Log = cmp.Or(opts.Log, slog.New(slog.DiscardHandler))
	if opts.Changed == nil {
		opts.Changed = func(lonja.FileID) {}
	}
	if opts.Ways == nil {
		opts.Ways = func() fileapi.Ways { return fileapi.Ways{} }
	}
	if opts.Pacer == nil {
		opts.Pacer = pacing.New(opts.Uploads)
	}
	if opts.Near == nil {
		opts.Near = func(netip.Addr) bool { return false }
	}
	return &Server{opts: opts, door: newDoor(opts)}
}

// maxHeader bounds the header of a request, in bytes; net/http adds 4 KiB.
const maxHeader = 8 << 10

// Serve answers the connections of l, which are *tls.Conn, shaken hands with or
// not yet, until ctx ends. Then it closes l, waits for Grace until transfers
// have ended, cuts the others, and returns nil when all of that is over.
//
// The error is of kind Unavailable if l fails for good before ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	visits := s.door.visits()
	server := &http.Server{
		Handler:           s,
		Protocols:         &protocols,
		ReadTimeout:       s.opts.RequestTimeout, // of all of a request, the body that it should not have too
		ReadHeaderTimeout: s.opts.RequestTimeout, // also for the handshake
		WriteTimeout:      s.opts.StallTimeout,   // put off while the receiver takes something: see sender
		IdleTimeout:       s.opts.IdleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         visits.changed,
		ConnContext:       func(ctx context.Context, conn net.Conn) context.Context { return visits.context(ctx, conn) },
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	stopped := context.AfterFunc(ctx, func() {
		defer close(ended)
		shutDown(server, s.opts.Grace)
	})
	err := server.Serve(l)
	if stopped() { // l failed by itself
		shutDown(server, s.opts.Grace)
		visits.wait()
		return lonja.E(lonja.Unavailable, "listen", err)
	}
	<-ended
	visits.wait()
	return nil
}

func shutDown(server *http.Server, grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		_ = server.Close()
	}
}
