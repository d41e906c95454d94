package fileapi

import (
	"net/netip"
	"strings"
)

// WaysHeader says, in an answer to Have, which of the peer's addresses lead to it only
// because something between here and there forwards what comes to them. Whoever has
// connected to one of those can tell a person so.
const WaysHeader = "Lonja-Ways"

// Ways are those addresses. What is zero is not there, or is an address of the peer's
// own too.
type Ways struct {
	Mapped netip.AddrPort // the peer's router has mapped it at the peer's wish
	Seen   netip.AddrPort // where the directory sees the peer, with the peer's own port: somebody may have forwarded that
}

const (
	wayMapped = "mapped"
	waySeen   = "seen"
)

// String returns what stands in a WaysHeader, such as
// "mapped=203.0.113.9:4445, seen=203.0.113.9:5000"; "" if there is nothing to say.
func (w Ways) String() string {
	var parts []string
	for _, way := range []struct {
		name string
		at   netip.AddrPort
	}{{wayMapped, w.Mapped}, {waySeen, w.Seen}} {
		if way.at.IsValid() {
			parts = append(parts, way.name+"="+way.at.String())
		}
	}
	return strings.Join(parts, ", ")
}

// maxWays bounds the bytes that are looked at.
const maxWays = 256

// ParseWays is the way back. What it does not know, or cannot read, is left out: a
// later version may say more.
func ParseWays(text string) (w Ways) {
	if len(text) > maxWays {
		return Ways{}
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		at, err := netip.ParseAddrPort(value)
		if err != nil || at.Addr().Zone() != "" {
			continue
		}
		at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		switch name {
		case wayMapped:
			w.Mapped = at
		case waySeen:
			w.Seen = at
		}
	}
	return w
}
