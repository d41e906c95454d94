package apiserver

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"lonja"
	"lonja/internal/limits"
)

// handshake makes a TLS session of a connection. Strangers can begin as many as
// they like, so: few compute at once, which leaves the processors to others; so
// many may be unfinished, and the oldest gives way to the next; and none may
// take longer than its time.
func (s *Server) handshake(ctx context.Context, conn net.Conn) (*tls.Conn, error) {
	gate := &gatedConn{Conn: conn, computing: s.computing}
	secure := tls.Server(gate, s.tls)
	guest := s.handshakes.Enter(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(s.opts.HandshakeTimeout))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	gate.enter()
	// In a goroutine of its own, whose stack ends with it: it grows to 16 KiB,
	// which the session would keep for as long as it lasts.
	shaken := make(chan error, 1)
	go func() { shaken <- secure.Handshake() }()
	err := <-shaken
	gate.finish()
	if !s.handshakes.Leave(guest) && err == nil {
		err = errGaveWay
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	return secure, conn.SetDeadline(time.Time{})
}

var errGaveWay = errors.New("too many handshakes were not finished: the oldest one was given up")

// A gatedConn is the connection below a handshake. Its reading and writing
// goroutine holds a place among those that compute, but for the time that it
// waits for the other side.
type gatedConn struct {
	net.Conn
	computing chan struct{}
	finished  bool // set before another goroutine uses the connection
}

func (g *gatedConn) enter() { g.computing <- struct{}{} }

// finish gives the place back for good.
func (g *gatedConn) finish() {
	g.finished = true
	<-g.computing
}

// Read implements net.Conn.
func (g *gatedConn) Read(b []byte) (int, error) {
	if !g.finished {
		<-g.computing
		defer g.enter()
	}
	return g.Conn.Read(b)
}

// A caller is who speaks on a connection.
type caller struct {
	key   lonja.PublicKey // that the client has proved to hold; zero for none
	from  netip.AddrPort
	addr  net.Addr // the same
	visit limits.Visit
	// user is whom a connection in frames has connected. One over HTTP may carry
	// the requests of several.
	user     atomic.Pointer[lonja.UserName]
	inFrames bool
	// vouches is the authority that the client was told of last.
	vouches atomic.Pointer[lonja.PeerID]
}

// newCaller looks at a session whose handshake is finished.
func newCaller(conn *tls.Conn, visit limits.Visit) *caller {
	state := conn.ConnectionState()
	c := &caller{addr: conn.RemoteAddr(), visit: visit, inFrames: state.NegotiatedProtocol == ProtocolFrames}
	if tcp, ok := c.addr.(*net.TCPAddr); ok {
		at := tcp.AddrPort()
		c.from = netip.AddrPortFrom(at.Addr().WithZone("").Unmap(), at.Port())
	}
	if shown := state.PeerCertificates; len(shown) > 0 {
		if key, ok := shown[0].PublicKey.(ed25519.PublicKey); ok && len(key) == len(c.key) {
			c.key = lonja.PublicKey(key)
		}
	}
	return c
}

type callerKey struct{}

func withCaller(ctx context.Context, c *caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	return c
}
