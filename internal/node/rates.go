package node

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"lonja/internal/fairshare"
	"lonja/internal/pacing"
)

// Rates say how fast a node sends and fetches, and to how many it sends at once. What
// is zero has no limit, but for Slots, of which package fairshare has a default.
type Rates struct {
	Up, UpEach     fairshare.Rate // to all, and to each user
	Down, DownEach fairshare.Rate // from all, and from each node
	Slots          int            // users who are sent something at once
	// Queue is how long it is waited for a node in whose queue nothing moves; of zero
	// package swarm has a default.
	Queue time.Duration
	// Near has rates count for peers in the networks of this machine too.
	Near bool
}

// networks are those that this machine is in, looked at now and then.
type networks struct {
	look func() []netip.Prefix

	mu    sync.Mutex // guards what is below
	all   []netip.Prefix
	until time.Time
}

// networksLast is how long what was seen of the interfaces counts.
const networksLast = 30 * time.Second

// has reports whether an address is in one of the networks, or this machine's own.
func (n *networks) has(addr netip.Addr) bool {
	if addr.IsLoopback() || addr.IsLinkLocalUnicast() {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); now.After(n.until) {
		n.all, n.until = n.look(), now.Add(networksLast)
	}
	return slices.ContainsFunc(n.all, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// near tells for whom rates do not count; nil if they do for everybody, or there
// are none.
func (r *Rates) near(own *networks) func(netip.Addr) bool {
	if r.Near || r.Up == 0 && r.UpEach == 0 && r.Down == 0 && r.DownEach == 0 {
		return nil
	}
	return own.has
}

func (d *secureDialect) near() func(netip.Addr) bool { return d.Rates.near(&d.networks) }

// classic returns what classic uploads are paced by, together with all else that the
// pacer has: nothing where nothing limits them, as the kernel does it best then.
func (r *Rates) classic(pacer *pacing.Pacer) *pacing.Pacer {
	if r.Up == 0 && r.UpEach == 0 {
		return nil
	}
	return pacer
}

// uploads say how files are served.
func (r *Rates) uploads() fairshare.Options {
	return fairshare.Options{Slots: r.Slots, Total: r.Up, Each: r.UpEach}
}
