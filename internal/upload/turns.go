package upload

import (
	"net"
	"net/netip"
	"sync"
)

// turns shares the places of a Server between addresses: of the connections of
// one address a few are served at once, as many again several times over wait
// for their turn, and more are not worth it. It has an entry for as long as an
// address has a connection open, so it is bounded by the connections.
type turns struct {
	served int

	mu   sync.Mutex
	byIP map[netip.Addr]*turn
}

// A turn is what one address has open.
type turn struct {
	open   int           // guarded by turns.mu
	served chan struct{} // a value for each that is served
}

// waitingShare is how many connections of an address may wait for each that is
// served. A download opens up to 64 to the same peer.
const waitingShare = 4

func newTurns(served int) *turns {
	return &turns{served: served, byIP: make(map[netip.Addr]*turn)}
}

// enter counts a connection of ip, or returns nil if that has too many. What it
// returns is given back to leave.
func (t *turns) enter(ip netip.Addr) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry := t.byIP[ip]
	switch {
	case entry == nil:
		entry = &turn{served: make(chan struct{}, t.served)}
		t.byIP[ip] = entry
	case entry.open >= t.served*(1+waitingShare):
		return nil
	}
	entry.open++
	return entry
}

func (t *turns) leave(ip netip.Addr, entry *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if entry.open--; entry.open == 0 {
		delete(t.byIP, ip)
	}
}

// networkBits is the part of an IPv6 address that is counted: one machine can
// have all addresses of its network.
const networkBits = 64

// remoteIP returns what a connection is counted under. Connections that have no
// IP address, those in memory, count as of one.
func remoteIP(conn net.Conn) netip.Addr {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if network, err := ip.Prefix(networkBits); ip.Is6() && err == nil {
		return network.Addr()
	}
	return ip
}
