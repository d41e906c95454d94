package bench

import (
	"context"
	"net"

	"golang.org/x/time/rate"

	"lonja/internal/node"
)

// throttleBurst is how much a throttled node sends at once.
const throttleBurst = 64 << 10

// throttled has a node send no more than so many bytes a second, over all its
// connections together, what TLS adds included.
func throttled(bytesPerSecond int64) func(*node.Options) {
	limiter := rate.NewLimiter(rate.Limit(bytesPerSecond), throttleBurst)
	return func(o *node.Options) {
		o.Through = func(ln net.Listener) net.Listener { return throttledListener{ln, limiter} }
	}
}

type throttledListener struct {
	net.Listener
	limiter *rate.Limiter
}

func (l throttledListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &throttledConn{Conn: conn, limiter: l.limiter, open: ctx, close: cancel}, nil
}

// A throttledConn waits before it sends. Close ends the waiting.
type throttledConn struct {
	net.Conn
	limiter *rate.Limiter
	open    context.Context
	close   context.CancelFunc
}

func (c *throttledConn) Write(b []byte) (sent int, err error) {
	for len(b) > 0 {
		n := min(len(b), throttleBurst)
		if c.limiter.WaitN(c.open, n) != nil {
			return sent, net.ErrClosed
		}
		n, err = c.Conn.Write(b[:n])
		sent += n
		if err != nil {
			return sent, err
		}
		b = b[n:]
	}
	return sent, nil
}

func (c *throttledConn) Close() error {
	c.close()
	return c.Conn.Close()
}
