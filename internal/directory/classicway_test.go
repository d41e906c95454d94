package directory

import (
	"net/netip"
	"strings"
	"testing"

	"lonja"
)

// TestClassicWay: of several ways, the one that most classic clients can use.
func TestClassicWay(t *testing.T) {
	for _, c := range []struct{ ways, want string }{
		{"192.168.1.7:4445 [2001:db8::7]:4445 198.51.100.7:4445 203.0.113.7:1", "198.51.100.7:4445"},
		{"[fd00::7]:4445 10.0.0.7:4445", "10.0.0.7:4445"},
		{"[fd00::7]:4445 [fd00::8]:4445", "[fd00::7]:4445"},
		{"", "invalid AddrPort"},
	} {
		var ways []lonja.Endpoint
		for s := range strings.FieldsSeq(c.ways) {
			ways = append(ways, lonja.Endpoint{AddrPort: netip.MustParseAddrPort(s)})
		}
		if got := classicWay(ways).String(); got != c.want {
			t.Errorf("of %s: got %s, want %s", c.ways, got, c.want)
		}
	}
}
