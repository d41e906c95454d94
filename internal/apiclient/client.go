// Package apiclient is a lonja.MemberDirectory over the network, in the secure
// dialect: one connection in frames, on which any number of requests are under
// way at once.
//
// It keeps no session and no file: whoever uses it begins and renews sessions,
// brings the TLS configuration (its key, and whom it trusts), and decides when to
// ask again after the connection is lost: who is not asked dials nobody.
package apiclient

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"lonja"
	"lonja/internal/frames"
)

// The defaults of Options.
const (
	DefaultTimeout     = 20 * time.Second
	DefaultDialTimeout = 10 * time.Second
	DefaultLeastPause  = 500 * time.Millisecond
	DefaultMostPause   = time.Minute
)

// protocol is what the client speaks, by ALPN.
const protocol = "lonja/1"

// Options is what a Client works with. Addresses and TLS must be set.
type Options struct {
	// Addresses are the host and port of each node of the directory. Which one
	// is asked first is left to chance.
	Addresses []string
	// TLS has the client's certificate and says whom to trust; without a
	// ServerName it is that of the address. The versions and protocols in it do
	// not count.
	TLS *tls.Config
	// Timeout bounds a request whose context has no earlier end.
	Timeout time.Duration
	// DialTimeout bounds one attempt at one address, with TLS and the greeting.
	DialTimeout time.Duration
	// LeastPause and MostPause bound the wait between two attempts at all
	// addresses; it doubles, and chance takes up to half of it away.
	LeastPause, MostPause time.Duration
	// Dial opens a connection. Nil: TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Log  *slog.Logger
	// Patience is that of the connection.
	Patience frames.ClientOptions
}

func (o Options) withDefaults() Options {
	length := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	length(&o.Timeout, DefaultTimeout)
	length(&o.DialTimeout, DefaultDialTimeout)
	length(&o.LeastPause, DefaultLeastPause)
	length(&o.MostPause, DefaultMostPause)
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// A Client speaks to one directory. It connects when it is first asked,
// and again when it is asked after it has lost the connection. All methods may be called by any number
// of goroutines at once. Close ends it.
//
// Errors are those of lonja.MemberDirectory. What failed with Unavailable,
// Canceled or Malformed may have happened, unless a *net.OpError of a "dial" is
// in its chain: then nobody was asked. What was not sent is sent again by itself,
// once there is another connection.
type Client struct {
	opts  Options
	tls   *tls.Config
	ctx   context.Context // of the client's whole life, for what outlives a call
	close context.CancelFunc
	tasks sync.WaitGroup // what keeps the connection

	mu        sync.Mutex
	current   *link
	dialing   *attempt // nil while nobody dials
	next      int      // of Addresses, to be asked next
	failures  int      // attempts in a row
	notBefore time.Time
	closed    bool
}

// A link is a connection.
type link struct {
	*frames.Client
	address string
}

// An attempt at a connection, which any number of calls wait for.
type attempt struct {
	done chan struct{}
	link *link
	err  error
}

var _ lonja.MemberDirectory = (*Client)(nil)

// New returns a Client. It opens no connection.
func New(opts Options) *Client {
	opts = opts.withDefaults()
	config := opts.TLS.Clone()
	config.MinVersion, config.MaxVersion = tls.VersionTLS13, tls.VersionTLS13
	config.NextProtos = []string{protocol}
	c := &Client{opts: opts, tls: config, next: rand.IntN(max(len(opts.Addresses), 1))}
	c.ctx, c.close = context.WithCancel(context.Background())
	return c
}

// Close ends the connection, and what is under way with Unavailable. No goroutine
// of the client is left when it returns.
func (c *Client) Close() error {
	c.close()
	c.mu.Lock()
	c.closed = true
	l := c.current
	c.mu.Unlock()
	if l != nil {
		_ = l.Close()
	}
	c.tasks.Wait()
	return nil
}

// Key returns the key that the client proves to hold, or the zero key.
func (c *Client) Key() lonja.PublicKey {
	shown := c.tls.Certificates
	if c.tls.GetClientCertificate != nil {
		if cert, err := c.tls.GetClientCertificate(&tls.CertificateRequestInfo{Version: tls.VersionTLS13}); err == nil && cert != nil {
			shown = []tls.Certificate{*cert}
		}
	}
	if len(shown) == 0 || shown[0].PrivateKey == nil {
		return lonja.PublicKey{}
	}
	signer, ok := shown[0].PrivateKey.(crypto.Signer)
	if !ok {
		return lonja.PublicKey{}
	}
	key, ok := signer.Public().(ed25519.PublicKey)
	if !ok || len(key) != len(lonja.PublicKey{}) {
		return lonja.PublicKey{}
	}
	return lonja.PublicKey(key)
}

var errClosed = errors.New("the client is closed")

// addresses are all of them, the one to be asked next first.
func (c *Client) addresses() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Concat(c.opts.Addresses[c.next:], c.opts.Addresses[:c.next])
}
