package portmap

import (
	"net/netip"

	"github.com/vishvananda/netlink"
)

// gatewayTo asks the kernel, over netlink (RFC 3549), for the next router on the
// way to an IPv4 address; the zero address is none. It asks for the one route,
// not for the table: that may be large.
func gatewayTo(to netip.Addr) netip.Addr {
	routes, err := netlink.RouteGet(to.AsSlice())
	if err != nil {
		return netip.Addr{}
	}
	for _, route := range routes {
		if gateway, ok := netip.AddrFromSlice(route.Gw); ok {
			return gateway.Unmap()
		}
	}
	return netip.Addr{}
}
