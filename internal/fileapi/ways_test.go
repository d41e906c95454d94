package fileapi

import (
	"net/netip"
	"strings"
	"testing"
)

func TestWays(t *testing.T) {
	at := netip.MustParseAddrPort
	for text, want := range map[string]Ways{
		"":                         {},
		"mapped=203.0.113.9:4445":  {Mapped: at("203.0.113.9:4445")},
		"seen=[2001:db8::1]:65535": {Seen: at("[2001:db8::1]:65535")},
		"mapped=203.0.113.9:4445, seen=198.51.100.7:5000": {at("203.0.113.9:4445"), at("198.51.100.7:5000")},
	} {
		if got := ParseWays(text); got != want {
			t.Errorf("%q is taken for %+v, want %+v", text, got, want)
		}
		if got := want.String(); got != text {
			t.Errorf("%+v is written as %q, want %q", want, got, text)
		}
	}
	for text, want := range map[string]Ways{
		"relayed=1.2.3.4:5;x, seen=1.2.3.4:5,,=":        {Seen: at("1.2.3.4:5")},
		"seen=[::ffff:1.2.3.4]:5":                       {Seen: at("1.2.3.4:5")},
		"seen=[fe80::1%eth0]:5":                         {},
		"Seen=1.2.3.4:5":                                {},
		"seen=1.2.3.4":                                  {},
		"seen=1.2.3.4:5" + strings.Repeat(" ", maxWays): {},
	} {
		if got := ParseWays(text); got != want {
			t.Errorf("%q is taken for %+v, want %+v", text, got, want)
		}
	}
}

func FuzzParseWays(f *testing.F) {
	f.Add("mapped=203.0.113.9:4445, seen=[2001:db8::1]:5000")
	f.Add("seen=[::ffff:1.2.3.4]:5,mapped=")
	f.Fuzz(func(t *testing.T, text string) {
		w := ParseWays(text)
		if again := ParseWays(w.String()); again != w {
			t.Errorf("%q is %+v, and written again %+v", text, w, again)
		}
	})
}
