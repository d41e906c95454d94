package transport

import (
	"cmp"
	"net/netip"
	"slices"

	"lonja"
)

// Order returns ways as they are best tried from a machine whose interfaces are
// in the networks own: first those in one of these networks, then those that
// are the same everywhere, then private ones of other networks, which hardly
// ever lead anywhere; else in the order in which the peer told them. What no
// other machine can be reached at is left out, unless this is the only machine
// there is, as own says by being empty.
func Order(ways []lonja.Endpoint, own []netip.Prefix) []lonja.Endpoint {
	rank := func(e lonja.Endpoint) int {
		addr := e.Addr().WithZone("").Unmap()
		switch {
		case slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Contains(addr) }):
			return 0
		case addr.IsGlobalUnicast() && !addr.IsPrivate():
			return 1
		case addr.IsGlobalUnicast():
			return 2
		}
		return 3
	}
	usable := slices.DeleteFunc(slices.Clone(ways), func(e lonja.Endpoint) bool {
		return !e.IsValid() || e.Port() == 0 || e.Addr().IsUnspecified() || e.Addr().IsMulticast() ||
			e.Addr().IsLoopback() && len(own) > 0 && rank(e) > 0
	})
	slices.SortStableFunc(usable, func(a, b lonja.Endpoint) int { return cmp.Compare(rank(a), rank(b)) })
	return slices.Compact(usable)
}
