package node

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/download"
	"lonja/internal/fairshare"
)

// TestRates: what a node sends and what it fetches keeps to the rates, if they are
// for peers on this machine too.
func TestRates(t *testing.T) {
	const rate = 4 << 20
	content := strings.Repeat("0123456789abcdef", 2<<20/16)
	for name, tc := range map[string]struct {
		ana, luis Rates
		least     time.Duration
	}{
		"sends":   {ana: Rates{Up: rate, Near: true}, least: 300 * time.Millisecond}, // half a second, less a tenth of one's worth and a quantum
		"fetches": {luis: Rates{Down: rate, Near: true}, least: 300 * time.Millisecond},
		"near":    {ana: Rates{Up: fairshare.LeastRate}, luis: Rates{DownEach: fairshare.LeastRate}},
	} {
		t.Run(name, func(t *testing.T) {
			v := newTown(t)
			ana := v.residentWith("ana", func(o *Options) { o.Secure.Rates = tc.ana })
			luis := v.residentWith("luis", func(o *Options) { o.Secure.Rates = tc.luis })
			v.ok(ana.Publish(t.Context(), ana.write("film", content), ""))
			began := time.Now()
			v.ok(luis.FetchMulti(t.Context(), "film", filepath.Join(t.TempDir(), "got"), nil))
			took := time.Since(began)
			if took < tc.least {
				t.Errorf("it took %v, want at least %v", took, tc.least)
			}
			if tc.least == 0 && took > 100*time.Second { // 209 s, if the rates counted
				t.Errorf("it took %v, as if the rates counted", took)
			}
		})
	}
}

// TestOneRateForBothDialects: what is sent to classic peers counts for the same rate, also
// where nothing else is spoken.
func TestOneRateForBothDialects(t *testing.T) {
	rates := Rates{Up: 4 << 20, Near: true}
	content := strings.Repeat("0123456789abcdef", 2<<20/16)
	v := newTown(t)
	ana, luis := v.residentWith("ana", func(o *Options) { o.Secure.Rates = rates }), v.resident("luis")
	v.ok(ana.Publish(t.Context(), ana.write("film", content), ""))
	classic := func(at lonja.Endpoint, name lonja.FileName) error {
		target := filepath.Join(t.TempDir(), "got")
		n, err := download.FetchFile(t.Context(), lonja.Holder{User: "ana", At: at, Name: name}, target, download.Options{})
		if err == nil && n != int64(len(content)) {
			t.Errorf("%d bytes came, want %d", n, len(content))
		}
		return err
	}
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- classic(lonja.Endpoint{AddrPort: ana.current().keeps.address()}, "film") }()
	v.ok(luis.FetchMulti(t.Context(), "film", filepath.Join(t.TempDir(), "got"), nil))
	v.ok(<-done)
	if took := time.Since(began); took < 800*time.Millisecond { // a second, less a tenth of one's worth and a quantum of each
		t.Errorf("it took %v in both dialects", took)
	}

	old := New(Options{Directory: v.rules, DirectoryName: "town:1", Listen: "127.0.0.1:0", Rates: rates})
	defer old.Close()
	v.ok(old.Register(t.Context(), "old"))
	v.ok(old.Connect(t.Context(), "old"))
	path := ana.write("old-film", content)
	v.ok(old.Publish(t.Context(), path, ""))
	peers, err := v.rules.ListUsers(t.Context(), "old")
	v.ok(err)
	peer, _ := peers.Of("old")
	began = time.Now()
	v.ok(classic(peer.At, lonja.FileName(path)))
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("it took %v in the classic dialect alone", took)
	}
}

func TestNetworks(t *testing.T) {
	looked := 0
	n := networks{look: func() []netip.Prefix {
		looked++
		return []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64")}
	}}
	for addr, want := range map[string]bool{
		"192.0.2.7": true, "192.0.3.7": false, "2001:db8::7": true, "2001:db8:1::7": false, "127.0.0.1": true, "::1": true, "fe80::1": true, "10.0.0.1": false,
	} {
		if got := n.has(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	if looked != 1 {
		t.Errorf("the interfaces are looked at %d times", looked)
	}
}
