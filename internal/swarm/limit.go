package swarm

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"lonja/internal/fairshare"
)

// A Limit bounds how fast something arrives. Several swarms may have one together.
// A nil Limit bounds nothing.
type Limit struct{ *rate.Limiter }

// leastBurst is as much as one Read of a TLS connection returns.
const leastBurst = 16 << 10

// NewLimit returns the Limit of a rate, nil for none. In a tenth of a second,
// what was not used in the one before may be made up for.
func NewLimit(r fairshare.Rate) *Limit {
	if r == 0 {
		return nil
	}
	return &Limit{rate.NewLimiter(rate.Limit(r), max(leastBurst, int(r/10)))}
}

// pay takes n bytes off and returns how long to wait because of them.
func (l *Limit) pay(now time.Time, n int) time.Duration {
	if l == nil || n == 0 {
		return 0
	}
	return l.ReserveN(now, n).DelayFrom(now)
}

// A slowConn is read no faster than its limits are. The other side learns of that as
// of any slow receiver: TCP has no room.
type slowConn struct {
	net.Conn
	limits []*Limit
	closed context.Context
	close  context.CancelFunc
}

// Slow has a connection keep to limits, unless it leads to an address of which is, if
// set, says that they do not count for it.
func Slow(conn net.Conn, is func(netip.Addr) bool, limits ...*Limit) net.Conn {
	if limits = slices.DeleteFunc(limits, func(l *Limit) bool { return l == nil }); len(limits) == 0 || near(is, conn.RemoteAddr()) {
		return conn
	}
	c := &slowConn{Conn: conn, limits: limits}
	c.closed, c.close = context.WithCancel(context.Background())
	return c
}

func near(is func(netip.Addr) bool, addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && is != nil && is(tcp.AddrPort().Addr().Unmap().WithZone(""))
}

func (c *slowConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), leastBurst)])
	now := time.Now()
	var wait time.Duration
	for _, limit := range c.limits {
		wait = max(wait, limit.pay(now, n))
	}
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.closed.Done():
		}
	}
	return n, err
}

func (c *slowConn) Close() error {
	c.close()
	return c.Conn.Close()
}
