package portmap

import (
	"net"
	"net/netip"

	"github.com/jackpal/gateway"
)

// lookAround reads from the route table where this machine is.
func lookAround() network {
	all, err := gateway.DiscoverGateways()
	if err != nil {
		return network{}
	}
	for _, ip := range all { // a tunnel's route has no gateway
		if router, ok := netip.AddrFromSlice(ip); ok && router.Unmap().Is4() && !router.Unmap().IsUnspecified() {
			return networkBehind(router.Unmap())
		}
	}
	return network{}
}

// networkBehind asks the kernel for this machine's address on the router's
// side. No packet is sent.
func networkBehind(router netip.Addr) network {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(router, ssdpPort)))
	if err != nil {
		return network{}
	}
	defer conn.Close()
	return network{gateway: router, local: conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()}
}
