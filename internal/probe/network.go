package probe

import (
	"math/bits"
	"sync"
)

// A network knows whether it may well be this machine that cannot reach
// anybody. Then nobody is to be thrown out: when the network comes back the
// users would all have to connect again, and most would not notice.
//
// Three signs are distinguished. That this machine is out of ports or handles
// says nothing of a user, ever. That it knows no way to a user counts, unless
// it knew none to more than half of those probed last: a cable is out. And
// silence counts as long as somebody answered, if only by refusing, within the
// last maxSilent probes or half of all users: a router on the way is down. The
// number is so large that a small directory whose few users go home is not
// mistaken for one without a network.
type network struct {
	mu       sync.Mutex
	routes   uint64 // one bit for each of the last probes: there was no route
	probes   int    // how many of those bits are of a probe
	silences int    // probes since the last one that something came back of
	reached  int    // users reached in a row
	ours     bool   // the fault seems to be ours
}

const (
	window    = 64 // the bits of routes
	maxSilent = 64
)

// counts takes an outcome in and reports whether it says something of the
// user, who is one of that many; and whether by it the fault seems to be ours,
// or not any more, and did not before.
func (n *network) counts(o Outcome, users int) (counts, news bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.routes <<= 1
	n.probes = min(n.probes+1, window)
	n.silences++
	n.reached++
	switch o {
	case Reached:
		n.silences = 0
		counts = true
	case Refused:
		n.silences, n.reached = 0, 0
		counts = true
	case NoRoute:
		n.reached = 0
		n.routes |= 1
		counts = 2*bits.OnesCount64(n.routes) <= n.probes
	case Silent:
		n.reached = 0
		counts = n.silences <= max(maxSilent, users/2)
	case Starved:
		n.reached = 0
	}
	well := n.reached >= min(users, window)
	news = !counts && !n.ours || o == Reached && well && n.ours
	if news {
		n.ours = !counts
	}
	return counts, news
}
