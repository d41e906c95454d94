package apiclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"lonja"
	"lonja/internal/frames"
)

// connection returns a connection that takes requests, and opens one if there is
// none. An error has a *net.OpError of a "dial" in its chain.
func (c *Client) connection(ctx context.Context) (*link, error) {
	c.mu.Lock()
	if l := c.current; l != nil {
		select {
		case <-l.Leaving():
		default:
			c.mu.Unlock()
			return l, nil
		}
	}
	a := c.begin()
	c.mu.Unlock()
	select {
	case <-a.done:
		return a.link, a.err
	case <-ctx.Done():
		return nil, undialled(lonja.Canceled, context.Cause(ctx))
	}
}

// begin returns the attempt that goes on, or begins one, after the pause that the
// last failure asks for. It is called with mu held.
func (c *Client) begin() *attempt {
	if c.dialing != nil {
		return c.dialing
	}
	a := &attempt{done: make(chan struct{})}
	if c.closed {
		a.err = undialled(lonja.Unavailable, errClosed)
		close(a.done)
		return a
	}
	c.dialing = a
	pause := time.Until(c.notBefore)
	c.tasks.Go(func() { c.attempt(a, pause) })
	return a
}

// attempt tries all addresses, once.
func (c *Client) attempt(a *attempt, pause time.Duration) {
	defer close(a.done)
	err := sleep(c.ctx, pause)
	if err == nil {
		for _, address := range c.addresses() {
			var l *link
			if l, err = c.dial(address); err == nil {
				c.arrived(a, l)
				return
			}
			c.opts.Log.Debug("no connection to the directory", slog.String("at", address), slog.Any("error", err))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialing = nil
	kind := lonja.KindOf(err)
	if kind != lonja.Malformed && kind != lonja.Untrusted {
		kind = lonja.Unavailable
	}
	a.err = undialled(kind, err)
	c.failures++
	c.notBefore = time.Now().Add(c.pause())
}

func sleep(ctx context.Context, length time.Duration) error {
	if length <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pause is how long to wait after so many failures. It is called with mu held.
func (c *Client) pause() time.Duration {
	pause := c.opts.MostPause
	if c.failures < 16 {
		pause = min(pause, c.opts.LeastPause<<(c.failures-1))
	}
	return pause/2 + rand.N(pause/2+1)
}

// undialled is the error of what nobody was asked.
func undialled(kind lonja.Kind, err error) error {
	if dial, ok := errors.AsType[*net.OpError](err); !ok || dial.Op != "dial" {
		err = &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	return lonja.E(kind, "connect to the directory", err)
}

// dial opens a connection to one address.
func (c *Client) dial(address string) (*link, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.opts.DialTimeout)
	defer cancel()
	raw, err := c.opts.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	config := c.tls
	if config.ServerName == "" {
		config = config.Clone()
		if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
			_ = raw.Close()
			return nil, lonja.E(lonja.Invalid, "connect", err)
		}
	}
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	if got := secure.ConnectionState().NegotiatedProtocol; got != protocol {
		_ = raw.Close()
		return nil, lonja.E(lonja.Malformed, "connect", fmt.Errorf("%s does not speak %s", address, protocol))
	}
	conn, err := frames.NewClient(ctx, secure, c.opts.Patience)
	if err != nil {
		return nil, err
	}
	return &link{conn, address}, nil
}

// arrived makes l the current connection and watches over it.
func (c *Client) arrived(a *attempt, l *link) {
	c.mu.Lock()
	c.dialing = nil
	if c.closed {
		c.mu.Unlock()
		_ = l.Close()
		a.err = undialled(lonja.Unavailable, errClosed)
		return
	}
	a.link, c.current, c.failures = l, l, 0
	for i, address := range c.opts.Addresses {
		if address == l.address {
			c.next = i
		}
	}
	c.tasks.Go(func() { c.watchOver(l) })
	c.mu.Unlock()
}

// watchOver waits for the end of a connection.
func (c *Client) watchOver(l *link) {
	select {
	case <-l.Leaving():
	case <-c.ctx.Done():
	}
	c.mu.Lock()
	c.next = (c.next + 1) % len(c.opts.Addresses) // the other nodes are likelier to be there
	c.mu.Unlock()
	<-l.Lost() // Close ends it too
	_ = l.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == l {
		c.current = nil
	}
}
