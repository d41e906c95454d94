package portmap

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// gatewayTo asks the kernel, over netlink (RFC 3549), for the next router on the
// way to an IPv4 address; the zero address is none. It asks for the one route,
// not for the table: that may be large.
func gatewayTo(to netip.Addr) netip.Addr {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return netip.Addr{}
	}
	defer unix.Close(fd)
	// The kernel answers at once; in case it does not.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return netip.Addr{}
	}
	if err := unix.Sendto(fd, routeQuestion(to), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return netip.Addr{}
	}
	answer := make([]byte, 8<<10)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return netip.Addr{}
	}
	return parseRoute(answer[:n])
}

// routeQuestion is a header, what is asked, and the address as an attribute, in
// the machine's order of bytes.
func routeQuestion(to netip.Addr) []byte {
	const length = unix.SizeofNlMsghdr + unix.SizeofRtMsg + unix.SizeofRtAttr + 4
	order := binary.NativeEndian
	b := make([]byte, 0, length)
	b = order.AppendUint32(b, length)
	b = order.AppendUint16(b, unix.RTM_GETROUTE)
	b = order.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...)  // no sequence number, and no port
	b = append(b, unix.AF_INET, 32)    // the family, and the bits of the address
	b = append(b, make([]byte, 10)...) // the rest of the rtmsg
	b = order.AppendUint16(b, unix.SizeofRtAttr+4)
	b = order.AppendUint16(b, unix.RTA_DST)
	return append(b, to.AsSlice()...)
}

// parseRoute returns the router in the kernel's answer.
func parseRoute(answer []byte) netip.Addr {
	messages, err := syscall.ParseNetlinkMessage(answer)
	if err != nil {
		return netip.Addr{}
	}
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWROUTE {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return netip.Addr{}
		}
		for _, a := range attributes {
			if gateway, ok := netip.AddrFromSlice(a.Value); ok && a.Attr.Type == unix.RTA_GATEWAY {
				return gateway.Unmap()
			}
		}
	}
	return netip.Addr{}
}
