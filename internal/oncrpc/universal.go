package oncrpc

import (
	"net/netip"
	"strconv"
	"strings"
)

// UniversalAddress writes an address as rpcbind wants it: the IP address, the
// high byte of the port and the low byte, with dots between them
// (RFC 5665 §5.2.3.3 and §5.2.3.4).
func UniversalAddress(at netip.AddrPort) string {
	port := at.Port()
	return at.Addr().String() + "." + strconv.Itoa(int(port>>8)) + "." + strconv.Itoa(int(port&0xff))
}

// ParseUniversalAddress reads what UniversalAddress writes. The error is of
// kind lonja.Malformed.
func ParseUniversalAddress(s string) (netip.AddrPort, error) {
	rest, low, ok := cutByte(s)
	host, high, ok2 := cutByte(rest)
	addr, err := netip.ParseAddr(host)
	if !ok || !ok2 || err != nil {
		return netip.AddrPort{}, malformed("universal address")
	}
	return netip.AddrPortFrom(addr, uint16(high)<<8|uint16(low)), nil
}

// cutByte takes a number from 0 to 255 and the dot before it off the end.
func cutByte(s string) (rest string, value byte, ok bool) {
	dot := strings.LastIndexByte(s, '.')
	if dot < 0 {
		return "", 0, false
	}
	v, err := strconv.ParseUint(s[dot+1:], 10, 8)
	return s[:dot], byte(v), err == nil
}
