package portmap

import (
	"net"
	"net/netip"
)

// faraway stands for the Internet where the kernel is asked for the way: the
// address of a root name server, to which nothing is sent. Those that are meant
// for documentation are in use in some networks.
var faraway = netip.MustParseAddr("198.41.0.4")

// lookAround asks the kernel where this machine is.
func lookAround() network {
	gateway := gatewayTo(faraway)
	if !gateway.Is4() || gateway.IsUnspecified() {
		return network{} // such as a tunnel, which has none
	}
	local := localTo(gateway)
	if !local.IsValid() {
		return network{}
	}
	return network{gateway: gateway, local: local}
}

// localTo returns this machine's address on the side of another, or the zero
// address. No packet is sent.
func localTo(a netip.Addr) netip.Addr {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, ssdpPort)))
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}
