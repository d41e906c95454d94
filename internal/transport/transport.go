// Package transport gets through to peers: a Dialer takes the ways on which a
// peer may be reached and gives a connection on which it has proved who it is.
//
// The ways are tried side by side, each a little later than the one before
// (Happy Eyeballs, RFC 8305 section 5), and a way counts only when the TLS
// handshake is done: another machine may have the same address in another
// network, and must not win. Whom to believe is the business of the TLS
// configuration that the caller gives. It knows TCP; hole punching and relays are
// to be further ways of the same Dialer.
package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"lonja"
)

// Options is how a Dialer goes about it. The zero Options are good.
type Options struct {
	// Delay is how long a way is ahead of the next one (250 ms, RFC 8305
	// section 8). One that fails lets the next one begin at once.
	Delay time.Duration
	// Timeout bounds each way, with its handshake (10 s).
	Timeout time.Duration
	// Dial opens the connection under TLS. Nil: TCP.
	Dial func(ctx context.Context, at lonja.Endpoint) (net.Conn, error)
}

// A Dialer may be used by any number of goroutines at once.
type Dialer struct{ opts Options }

// NewDialer returns a Dialer.
func NewDialer(opts Options) *Dialer {
	opts.Delay = cmp.Or(opts.Delay, 250*time.Millisecond)
	opts.Timeout = cmp.Or(opts.Timeout, 10*time.Second)
	if opts.Dial == nil {
		var d net.Dialer
		opts.Dial = func(ctx context.Context, at lonja.Endpoint) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", at.String())
		}
	}
	return &Dialer{opts: opts}
}

// A Conn is a connection to a peer that has proved who it is.
type Conn struct {
	*tls.Conn
	Way lonja.Endpoint // that led there
}

// An attempt is one way's end.
type attempt struct {
	way  lonja.Endpoint
	conn *tls.Conn
	err  error
}

// Dial tries the ways, which are in the order in which they are to be tried, and
// returns the connection of the first that gets through; the caller closes it.
// At most lonja.MaxWays are tried. When Dial returns, nothing of the others is
// left.
//
// The error says of each way why it failed. It is of kind Untrusted if somebody
// answered who could not prove to be the peer and nobody did who could, of kind
// Canceled if ctx ended, and else Unavailable.
func (d *Dialer) Dial(ctx context.Context, ways []lonja.Endpoint, config *tls.Config) (*Conn, error) {
	ways = ways[:min(len(ways), lonja.MaxWays)]
	if len(ways) == 0 {
		return nil, lonja.E(lonja.Unavailable, "dial", errors.New("the peer has told no address"))
	}
	trying, giveUp := context.WithCancel(ctx)
	defer giveUp()
	ended := make(chan attempt)
	r := race{begin: func(way lonja.Endpoint) {
		go func() {
			conn, err := d.try(trying, way, config)
			ended <- attempt{way, conn, err}
		}()
	}, waiting: ways}
	won := r.run(ended, d.opts.Delay)
	giveUp()
	for ; r.under > 0; r.under-- {
		if late := <-ended; late.conn != nil {
			_ = late.conn.Close()
		}
	}
	if won.conn != nil {
		return &Conn{won.conn, won.way}, nil
	}
	if ctx.Err() != nil {
		return nil, lonja.E(lonja.Canceled, "dial", ctx.Err())
	}
	return nil, lonja.E(r.kind, "dial", errors.Join(r.failures...))
}

// A race is ways being tried side by side.
type race struct {
	begin    func(lonja.Endpoint)
	waiting  []lonja.Endpoint
	under    int // way
	failures []error
	kind     lonja.Kind // of the failures
}

// run returns the first attempt that got through, or one without a connection.
func (r *race) run(ended <-chan attempt, delay time.Duration) attempt {
	r.kind = lonja.Unavailable
	next := time.NewTimer(0)
	defer next.Stop()
	for len(r.waiting) > 0 || r.under > 0 {
		select {
		case <-next.C:
			if len(r.waiting) > 0 {
				r.begin(r.waiting[0])
				r.waiting = r.waiting[1:]
				r.under++
				next.Reset(delay)
			}
		case a := <-ended:
			r.under--
			if a.err == nil {
				return a
			}
			if errors.Is(a.err, lonja.Untrusted) {
				r.kind = lonja.Untrusted
			}
			r.failures = append(r.failures, fmt.Errorf("%s: %w", a.way, a.err))
			if errors.Is(a.err, context.Canceled) {
				r.waiting = nil
			}
			next.Reset(0)
		}
	}
	return attempt{}
}

// ErrSilent is why a way failed on which nothing came in time.
var ErrSilent = errors.New("no answer")

func (d *Dialer) try(ctx context.Context, way lonja.Endpoint, config *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.opts.Timeout, ErrSilent)
	defer cancel()
	plain, err := d.opts.Dial(ctx, way)
	if err != nil {
		return nil, silence(ctx, err)
	}
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, silence(ctx, err)
	}
	return conn, nil
}

// silence is the error of a way, in plain words where its time ran out.
func silence(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), ErrSilent) {
		return ErrSilent
	}
	if opErr, ok := errors.AsType[*net.OpError](err); ok && opErr.Op == "dial" {
		return opErr.Err // the way is named already
	}
	return err
}
