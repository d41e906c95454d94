package reach

import (
	"net"
	"net/netip"
	"slices"

	"lonja"
)

// maxInterfaces bounds what is looked at: machines with containers have
// hundreds.
const maxInterfaces = 256

// Interfaces reads this machine's interfaces. An interface that cannot be read,
// as it went in between, is one without addresses. An error is Unavailable.
func Interfaces() ([]Interface, error) {
	found, err := net.Interfaces()
	if err != nil {
		return nil, lonja.E(lonja.Unavailable, "read the network interfaces", err)
	}
	out := outgoing()
	all := make([]Interface, 0, len(found))
	for _, f := range found[:min(len(found), maxInterfaces)] {
		i := Interface{
			Name:     f.Name,
			Up:       f.Flags&net.FlagUp != 0,
			Loopback: f.Flags&net.FlagLoopback != 0,
			Tunnel:   f.Flags&net.FlagPointToPoint != 0,
		}
		addrs, _ := f.Addrs()
		for _, a := range addrs {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				i.Addrs = append(i.Addrs, prefix.Addr().Unmap())
			}
		}
		i.Default = slices.ContainsFunc(i.Addrs, func(a netip.Addr) bool { return slices.Contains(out, a) })
		all = append(all, i)
	}
	return all, nil
}

// outgoing returns the addresses that this machine goes out to the Internet
// with. It has the kernel choose them for a root name server, to which no packet
// is sent.
func outgoing() []netip.Addr {
	var addrs []netip.Addr
	for _, far := range []string{"198.41.0.4:53", "[2001:503:ba3e::2:30]:53"} {
		conn, err := net.Dial("udp", far)
		if err != nil {
			continue
		}
		addrs = append(addrs, conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap())
		conn.Close()
	}
	return addrs
}
