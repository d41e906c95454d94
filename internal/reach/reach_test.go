package reach

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lonja"
)

const port = 4445

func addrs(texts ...string) []netip.Addr {
	all := make([]netip.Addr, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParseAddr(text)
	}
	return all
}

func endpoint(text string) lonja.Endpoint {
	return lonja.Endpoint{AddrPort: netip.MustParseAddrPort(text)}
}

var (
	lo       = Interface{Name: "lo", Up: true, Loopback: true, Addrs: addrs("127.0.0.1", "::1")}
	wlan     = Interface{Name: "wlan0", Up: true, Default: true, Addrs: addrs("192.168.1.11", "2a00:1450::11", "fd00:1::11", "fe80::11")}
	ethernet = Interface{Name: "eth1", Up: true, Addrs: addrs("10.3.0.7", "169.254.3.4")}
	vpn      = Interface{Name: "tun0", Up: true, Tunnel: true, Addrs: addrs("10.8.0.2")}
	docker   = Interface{Name: "docker0", Up: true, Addrs: addrs("172.17.0.1", "fe80::1")}
	server   = Interface{Name: "ens3", Up: true, Default: true, Addrs: addrs("1.2.3.30", "2a00:1450::30")}
	provider = Interface{Name: "wwan0", Up: true, Default: true, Addrs: addrs("100.72.0.5")}
)

func down(i Interface) Interface {
	i.Up = false
	return i
}

func TestOrder(t *testing.T) {
	for _, tc := range []struct {
		name  string
		given Given
		want  []string
	}{
		{"a laptop", Given{Interfaces: []Interface{lo, wlan}}, []string{"192.168.1.11:4445", "[fd00:1::11]:4445", "[2a00:1450::11]:4445"}},
		{
			"with all there is",
			Given{
				Interfaces: []Interface{docker, vpn, lo, ethernet, wlan}, Mapped: endpoint("1.2.3.21:4446"), Seen: netip.MustParseAddr("1.2.3.21"),
			},
			[]string{
				"192.168.1.11:4445", "10.3.0.7:4445", "[fd00:1::11]:4445", "1.2.3.21:4446", "[2a00:1450::11]:4445",
				"1.2.3.21:4445", "10.8.0.2:4445", "172.17.0.1:4445",
			},
		},
		{"mapped and seen the same", Given{Interfaces: []Interface{provider}, Mapped: endpoint("1.2.3.21:4445"), Seen: netip.MustParseAddr("1.2.3.21")}, []string{"1.2.3.21:4445", "100.72.0.5:4445"}},
		{"a server", Given{Interfaces: []Interface{lo, server}, Seen: netip.MustParseAddr("::ffff:1.2.3.30")}, []string{"1.2.3.30:4445", "[2a00:1450::30]:4445"}},
		{"nothing but loopback", Given{Interfaces: []Interface{lo}, Seen: netip.MustParseAddr("127.0.0.1")}, []string{"127.0.0.1:4445", "[::1]:4445"}},
		{"interfaces that are down", Given{Interfaces: []Interface{lo, down(wlan), ethernet}}, []string{"10.3.0.7:4445"}},
		{"nothing", Given{}, nil},
		{"one address to listen at", Given{Interfaces: []Interface{lo, wlan, ethernet}, Listen: netip.MustParseAddr("10.3.0.7"), Mapped: endpoint("1.2.3.21:9")}, []string{"10.3.0.7:4445", "1.2.3.21:9"}},
		{"loopback to listen at", Given{Interfaces: []Interface{lo, wlan}, Listen: netip.MustParseAddr("127.0.0.1"), Seen: netip.MustParseAddr("1.2.3.21")}, []string{"127.0.0.1:4445"}},
		{"all addresses to listen at", Given{Interfaces: []Interface{lo, ethernet}, Listen: netip.IPv6Unspecified()}, []string{"10.3.0.7:4445"}},
		{"a bridge that leads out", Given{Interfaces: []Interface{{Name: "br-lan", Up: true, Default: true, Addrs: addrs("192.168.7.2")}, ethernet}}, []string{"192.168.7.2:4445", "10.3.0.7:4445"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.given.Port = port
			var got []string
			for _, e := range Order(tc.given) {
				got = append(got, e.String())
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

func TestOrderHasRoomForWhatIsOutside(t *testing.T) {
	many := Interface{Name: "eth0", Up: true, Default: true}
	for i := range 100 {
		many.Addrs = append(many.Addrs, netip.AddrFrom4([4]byte{192, 168, 1, byte(i)}))
	}
	given := Given{Interfaces: []Interface{many}, Port: port, Mapped: endpoint("1.2.3.21:4446"), Seen: netip.MustParseAddr("1.2.3.21")}
	got := Order(given)
	if len(got) != lonja.MaxWays {
		t.Fatalf("%d endpoints, want %d", len(got), lonja.MaxWays)
	}
	if want := []lonja.Endpoint{given.Mapped, endpoint("1.2.3.21:4445")}; !slices.Equal(got[len(got)-2:], want) {
		t.Errorf("got %v at the end, want %v", got[len(got)-2:], want)
	}
}

// TestForwarded: an address that this machine has itself is not forwarded to it, and one
// that is mapped need not be looked for in what the directory sees.
func TestForwarded(t *testing.T) {
	outside := netip.MustParseAddr("1.2.3.21")
	for name, tc := range map[string]struct {
		given        Given
		mapped, seen string // "" for none
	}{
		"nothing":                   {Given{Interfaces: []Interface{lo, wlan}}, "", ""},
		"both":                      {Given{Interfaces: []Interface{lo, wlan}, Mapped: endpoint("1.2.3.21:4446"), Seen: outside}, "1.2.3.21:4446", "1.2.3.21:4445"},
		"the same":                  {Given{Interfaces: []Interface{lo, wlan}, Mapped: endpoint("1.2.3.21:4445"), Seen: outside}, "1.2.3.21:4445", ""},
		"seen where it is":          {Given{Interfaces: []Interface{lo, server}, Seen: netip.MustParseAddr("1.2.3.30")}, "", ""},
		"it listens at loopback":    {Given{Interfaces: []Interface{lo, wlan}, Listen: netip.MustParseAddr("127.0.0.1"), Seen: outside}, "", ""},
		"it listens at one address": {Given{Interfaces: []Interface{lo, wlan}, Listen: netip.MustParseAddr("192.168.1.11"), Seen: outside}, "", "1.2.3.21:4445"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.given.Port = port
			mapped, seen := Forwarded(tc.given)
			for _, is := range []struct {
				got  lonja.Endpoint
				want string
			}{{mapped, tc.mapped}, {seen, tc.seen}} {
				if want := is.want; is.got.IsValid() != (want != "") || want != "" && is.got.String() != want {
					t.Errorf("got %v, want %q", is.got, want)
				}
			}
		})
	}
}

// TestOrderOfAnything has interfaces at random: what is announced is bounded,
// told once, and never of the link alone.
func TestOrderOfAnything(t *testing.T) {
	address := rapid.Custom(func(t *rapid.T) netip.Addr {
		b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")
		first := rapid.SampledFrom([]string{"\x7f\x00", "\xa9\xfe", "\xc0\xa8", "\xfe\x80", "\xfd\x00", "\x20\x01", "\xff\x02"}).Draw(t, "first")
		copy(b, first)
		a, _ := netip.AddrFromSlice(b[:rapid.SampledFrom([]int{4, 16}).Draw(t, "length")])
		return a
	})
	rapid.Check(t, func(t *rapid.T) {
		given := Given{Port: port, Interfaces: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Interface {
			return Interface{
				Name: rapid.SampledFrom([]string{"eth0", "docker0", "lo"}).Draw(t, "name"),
				Up:   rapid.Bool().Draw(t, "up"), Tunnel: rapid.Bool().Draw(t, "tunnel"), Default: rapid.Bool().Draw(t, "default"),
				Addrs: rapid.SliceOfN(address, 0, 8).Draw(t, "addrs"),
			}
		}), 0, 5).Draw(t, "interfaces")}
		got := Order(given)
		if len(got) > lonja.MaxWays {
			t.Fatalf("%d endpoints", len(got))
		}
		for i, e := range got {
			if slices.Contains(got[:i], e) {
				t.Fatalf("%v is told twice", e)
			}
			if a := e.Addr(); a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsLoopback() != got[0].Addr().IsLoopback() {
				t.Fatalf("%v is told", e)
			}
		}
	})
}

// TestInterfaces reads this machine's and compares with what package net says.
func TestInterfaces(t *testing.T) {
	got, err := Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var read []string
	for _, i := range got {
		for _, a := range i.Addrs {
			read = append(read, fmt.Sprint(i.Name, " ", a, " ", i.Up, i.Loopback))
		}
	}
	if !slices.ContainsFunc(read, func(s string) bool { return strings.HasSuffix(s, " 127.0.0.1 true true") }) {
		t.Errorf("there is no loopback in %q", read)
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) > len(read) {
		t.Errorf("got %q, and net says %v", read, all)
	}
	if ways := Order(Given{Interfaces: got, Port: port}); len(ways) == 0 {
		t.Errorf("no endpoints of %v", got)
	}
}
