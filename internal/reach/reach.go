// Package reach says where a node may be reached: the list of endpoints that it
// announces, out of this machine's interfaces and of what its router and its
// directory know.
//
// Order decides and knows nothing but what it is given; Interfaces reads. It
// tries no endpoint and maps no port. The node uses it.
package reach

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"lonja"
)

// An Interface is a network interface of this machine, as far as endpoints go.
type Interface struct {
	Name     string
	Up       bool
	Loopback bool
	Tunnel   bool // a point-to-point link: a VPN, most often
	Default  bool // what goes out to the Internet goes by it
	Addrs    []netip.Addr
}

// Given is what a node's endpoints are made of.
type Given struct {
	Interfaces []Interface
	// Port is where the node listens.
	Port uint16
	// Listen is the one address that it listens at; zero or unspecified is all.
	Listen netip.Addr
	// Mapped is the router's port that leads to the node, or zero.
	Mapped lonja.Endpoint
	// Seen is the address from which the directory sees this machine, or zero. It
	// is worth a try with the node's own port: somebody may have forwarded it.
	Seen netip.Addr
}

// Order returns the endpoints to announce, the likeliest first, each once, and
// at most lonja.MaxWays: those of the LAN before the mapped one, as peers of
// one LAN gain most and lose nothing; then public addresses, then what the
// directory sees, and last what only few can reach. Addresses of the link alone
// are left out, and so is loopback, unless there is nothing else.
func Order(g Given) []lonja.Endpoint {
	ways := order(g)
	endpoints := make([]lonja.Endpoint, len(ways))
	for i, w := range ways {
		endpoints[i] = w.at
	}
	return endpoints
}

// Forwarded returns those of the endpoints that lead to the node only because the router
// maps them, or somebody forwards what the directory sees; zero where that is none, or
// is an address of this machine's own too.
func Forwarded(g Given) (byMapping, asSeen lonja.Endpoint) {
	for _, w := range order(g) {
		switch w.rank {
		case mapped:
			byMapping = w.at
		case seen:
			asSeen = w.at
		}
	}
	return byMapping, asSeen
}

func order(g Given) []way {
	var ways []way
	add := func(r rank, at lonja.Endpoint) {
		if at.IsValid() && !slices.ContainsFunc(ways, func(w way) bool { return w.at == at }) {
			ways = append(ways, way{r, at})
		}
	}
	for _, w := range local(g) {
		add(w.rank, w.at)
	}
	if g.Mapped.IsValid() {
		add(mapped, g.Mapped)
	}
	if g.Seen.IsValid() && !g.Seen.IsLoopback() && !listensAtLoopback(g) {
		add(seen, lonja.EndpointFrom(g.Seen, g.Port))
	}
	slices.SortStableFunc(ways, func(a, b way) int { return cmp.Compare(a.rank, b.rank) })
	if n := len(ways); n > 0 && ways[0].rank != loopback {
		ways = slices.DeleteFunc(ways, func(w way) bool { return w.rank == loopback })
	}
	return atMost(ways, lonja.MaxWays)
}

// A rank is how likely an endpoint is to be the right one: the first of these
// first.
type rank int

const (
	lan       rank = iota // of the network by which this machine goes out
	otherLAN              // of another one, private as well
	unique                // IPv6, unique local
	mapped                // through the router
	public4               // on an interface
	public6               // likewise
	seen                  // by the directory
	tunnelled             // of a VPN, or of a provider's own network
	virtual               // of machines within this one
	loopback
)

type way struct {
	rank rank
	at   lonja.Endpoint
}

// local returns what this machine itself has.
func local(g Given) []way {
	if g.Listen.IsValid() && !g.Listen.IsUnspecified() {
		return []way{{lan, lonja.EndpointFrom(g.Listen, g.Port)}}
	}
	var ways []way
	for _, i := range g.Interfaces {
		if !i.Up {
			continue
		}
		for _, a := range i.Addrs {
			a = a.Unmap().WithZone("")
			if a.IsLoopback() || a.IsGlobalUnicast() {
				ways = append(ways, way{rankOf(i, a), lonja.EndpointFrom(a, g.Port)})
			}
		}
	}
	return ways
}

func listensAtLoopback(g Given) bool { return g.Listen.IsLoopback() }

// shared is what providers number their customers' routers from, RFC 6598, and
// some VPNs their machines.
var shared = netip.MustParsePrefix("100.64.0.0/10")

func rankOf(i Interface, a netip.Addr) rank {
	switch {
	case i.Loopback || a.IsLoopback():
		return loopback
	case isVirtual(i):
		return virtual
	case i.Tunnel, shared.Contains(a):
		return tunnelled
	case a.Is4() && a.IsPrivate() && i.Default:
		return lan
	case a.Is4() && a.IsPrivate():
		return otherLAN
	case a.Is4():
		return public4
	case a.IsPrivate():
		return unique
	}
	return public6
}

// virtualNames are how the interfaces begin that container engines and
// hypervisors make for what runs within this machine.
var virtualNames = []string{"br-", "cni", "docker", "flannel", "lxc", "lxd", "podman", "vboxnet", "veth", "virbr", "vmnet"}

func isVirtual(i Interface) bool {
	return !i.Default && slices.ContainsFunc(virtualNames, func(name string) bool { return strings.HasPrefix(i.Name, name) })
}

// atMost leaves out what is too much, from the end, but neither the mapped
// endpoint nor what the directory sees: an interface may have any number of
// addresses, and those are one each.
func atMost(ways []way, most int) []way {
	for i := len(ways) - 1; i >= 0 && len(ways) > most; i-- {
		if r := ways[i].rank; r != mapped && r != seen {
			ways = slices.Delete(ways, i, i+1)
		}
	}
	return ways
}
