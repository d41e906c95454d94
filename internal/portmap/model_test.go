package portmap

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// A happening is something that can happen to a network, and how much.
type happening struct {
	what string
	much int // from 0 to 7200
}

var (
	happenings = []string{"wait", "off", "on", "restart", "refuse", "permit", "take", "address", "lease", "move"}
	networks   = []network{home, {}, {gateway: home.gateway, local: netip.MustParseAddr("192.168.1.12")}}
)

func (r *rig) happen(h happening) {
	switch h.what {
	case "wait":
		r.pass(time.Duration(h.much) * time.Second)
	case "off", "on":
		r.off = h.what == "off"
	case "restart":
		r.restart()
	case "refuse", "permit":
		r.refuses = h.what == "refuse"
	case "take":
		r.foreign = []uint16{testPort + uint16(h.much%2), testPort + uint16(h.much%3)}
		for _, port := range r.foreign {
			delete(r.table, port)
		}
	case "address":
		r.address = netip.AddrFrom4([4]byte{[]byte{1, 10}[h.much%2], 2, 3, byte(h.much)})
	case "lease":
		r.lease = []time.Duration{0, 30 * time.Second, time.Hour}[h.much%3]
	case "move":
		r.at = networks[h.much%len(networks)]
	}
}

// play lets all of it happen and returns what is wrong. However it was, as soon
// as a good router has been there for long enough the port is mapped, and what
// is said of it is so; and at the end nothing of ours is left that does not end
// by itself.
func play(all []happening) error {
	r := startRig(newBox(), home)
	for _, h := range all {
		r.happen(h)
		if n := len(r.states); n > 1 && r.states[n-1] == r.states[n-2] {
			return fmt.Errorf("after %v: told the same twice: %q", h, r.state())
		}
		if s := r.state(); s.Problem == None && !public(s.Mapping.Endpoint.Addr()) {
			return fmt.Errorf("after %v: %q", h, s)
		}
	}
	r.off, r.refuses, r.address = false, false, testOutside
	if !r.at.gateway.IsValid() {
		r.at = home
	}
	r.pass(lastRetry + lookEvery)
	s := r.state()
	port := s.Mapping.Endpoint.Port()
	if s.Problem != None || s.Mapping.Endpoint.Addr() != testOutside || !r.live(port) {
		return fmt.Errorf("the state is %q and the router has %v", s, r.table)
	}
	r.pass(DefaultLease) // what had to be left behind has ended
	for other, end := range r.table {
		if other != port && !end.IsZero() && r.live(other) {
			return fmt.Errorf("beside port %d the router has %v", port, r.table)
		}
	}
	if err := r.end(); err != nil || r.live(port) {
		return fmt.Errorf("at the end (%w) the router has %v", err, r.table)
	}
	return nil
}

func TestMapperAgainstAModel(t *testing.T) {
	one := rapid.Custom(func(t *rapid.T) happening {
		return happening{rapid.SampledFrom(happenings).Draw(t, "what"), rapid.IntRange(0, 7200).Draw(t, "much")}
	})
	rapid.Check(t, func(rt *rapid.T) {
		all := rapid.SliceOfN(one, 0, 30).Draw(rt, "happenings")
		var err error
		synctest.Test(t, func(*testing.T) { err = play(all) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}
