package portmap

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"lonja"
)

func TestStatesAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for p := range problemCount {
		s := State{Problem: p, Detail: "detail"}
		if problemTexts[p].what == "" || seen[s.String()] {
			t.Errorf("problem %d says %q", p, s)
		}
		seen[s.String()] = true
		if advice := s.Advice(testPort); (advice == "") != (p == None) || strings.Contains(advice, "%") {
			t.Errorf("problem %d advises %q", p, advice)
		}
	}
	at := lonja.EndpointFrom(testOutside, testPort)
	mapped := State{Mapping: Mapping{Endpoint: at, By: "NAT-PMP", Until: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	if got, want := mapped.String(), "mapped to 1.2.3.21:4445 by NAT-PMP, until 03:04:05"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"1.2.3.4": true, "8.8.8.8": true, "172.32.0.1": true, "100.128.0.1": true,
		"10.0.0.1": false, "172.16.0.1": false, "192.168.3.4": false, "100.64.0.1": false, "127.0.0.1": false,
		"169.254.1.1": false, "224.0.0.1": false, "255.255.255.255": false, "0.1.2.3": false, "203.0.113.5": false, "250.1.1.1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: %v, want %v", text, got, want)
		}
	}
}
