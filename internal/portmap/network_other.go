//go:build !linux

package portmap

import (
	"net"
	"net/netip"
)

// gatewayTo guesses: where the kernel is not asked for its routes, the router is
// taken for the first host of the network by which this machine goes out, as it
// is in most homes. A wrong guess finds no router, and nothing else.
func gatewayTo(to netip.Addr) netip.Addr {
	local := localTo(to)
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}
	}
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().Unmap() == local && prefix.Bits() < 31 {
			return prefix.Masked().Addr().Next()
		}
	}
	return netip.Addr{}
}
