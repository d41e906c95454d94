package directory

import (
	"encoding/binary"
	"net/netip"

	"lonja"
)

// A detail is what others are to know of a session, in bytes the node's key, then its
// ways: of each the number of bytes of its address, 4 or 16, the address, and the port in
// two bytes. Then come the contents that it is fetching, of each its number of bytes, 32,
// and its id. If the node has told which program it is, a 0 and that follow, or a 1 and
// that if it yields to others.
type detail struct {
	reach    *lonja.Reach
	fetching []lonja.FileID
	node     lonja.NodeID
	yields   bool
}

// What stands before the node, in the place of a number of bytes.
const (
	detailStays  = 0
	detailYields = 1
)

// append appends the bytes of a detail.
func (d detail) append(b []byte) []byte {
	b = append(b, d.reach.Key[:]...)
	for _, way := range d.reach.Ways {
		addr := way.Addr().WithZone("").AsSlice()
		b = append(append(b, byte(len(addr))), addr...)
		b = binary.BigEndian.AppendUint16(b, way.Port())
	}
	for _, file := range d.fetching {
		b = append(append(b, byte(len(file))), file[:]...)
	}
	if d.node.IsZero() {
		return b
	}
	how := byte(detailStays)
	if d.yields {
		how = detailYields
	}
	return append(append(b, how), d.node[:]...)
}

func (d detail) String() string { return string(d.append(nil)) }

// parseDetail is the way back, and reports false for what is no detail.
func parseDetail(s string) (d detail, ok bool) {
	d.reach = new(lonja.Reach)
	if len(s) < len(d.reach.Key) {
		return detail{}, false
	}
	rest := s[copy(d.reach.Key[:], s):]
	for len(rest) > 0 {
		size := int(rest[0])
		rest = rest[1:]
		switch size {
		case 4, 16:
			if rest, ok = d.parseWay(rest, size); !ok {
				return detail{}, false
			}
		case len(lonja.FileID{}):
			if len(rest) < size || len(d.fetching) == lonja.MaxFetching {
				return detail{}, false
			}
			d.fetching = append(d.fetching, lonja.FileID([]byte(rest[:size])))
			rest = rest[size:]
		case detailStays, detailYields: // the last thing
			d.yields = size == detailYields
			if copy(d.node[:], rest); len(rest) != len(d.node) || d.node.IsZero() {
				return detail{}, false
			}
			return d, true
		default:
			return detail{}, false
		}
	}
	return d, true
}

// parseWay takes a way with an address of that many bytes, and returns the rest.
func (d *detail) parseWay(s string, size int) (rest string, ok bool) {
	if len(s) < size+2 || len(d.reach.Ways) == lonja.MaxWays || len(d.fetching) > 0 {
		return "", false
	}
	addr, _ := netip.AddrFromSlice([]byte(s[:size]))
	port := binary.BigEndian.Uint16([]byte(s[size:]))
	d.reach.Ways = append(d.reach.Ways, lonja.Endpoint{AddrPort: netip.AddrPortFrom(addr, port)})
	return s[size+2:], true
}

func keyOfDetail(s string) (k lonja.PublicKey) {
	copy(k[:], s)
	return k
}

// nodeOfDetail returns which program began a session, if it has told.
func nodeOfDetail(s string) lonja.NodeID {
	d, _ := parseDetail(s)
	return d.node
}
