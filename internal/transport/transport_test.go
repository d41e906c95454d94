package transport

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
)

func way(s string) lonja.Endpoint { return lonja.Endpoint{AddrPort: netip.MustParseAddrPort(s)} }

// A place is what answers at a way.
type place struct {
	after time.Duration // that the connection takes
	cert  *tls.Certificate
	mute  bool // never says anything
	fails error
}

// An internet has places, and notes when each was called.
type internet struct {
	places map[lonja.Endpoint]place
	begun  time.Time

	mu     sync.Mutex
	called []string
	ended  sync.WaitGroup
}

func (n *internet) dial(ctx context.Context, at lonja.Endpoint) (net.Conn, error) {
	n.mu.Lock()
	n.called = append(n.called, fmt.Sprint(at, " after ", time.Since(n.begun)))
	n.mu.Unlock()
	p := n.places[at]
	select {
	case <-time.After(p.after):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.fails != nil {
		return nil, &net.OpError{Op: "dial", Err: p.fails}
	}
	ours, theirs := net.Pipe()
	n.ended.Go(func() {
		if p.mute {
			_, _ = theirs.Read(make([]byte, 1<<16))
			_, _ = theirs.Read(make([]byte, 1)) // until the end
		} else {
			server := tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{*p.cert}, MinVersion: tls.VersionTLS13})
			if server.Handshake() == nil {
				_, _ = server.Read(make([]byte, 1))
			}
		}
		_ = theirs.Close()
	})
	return ours, nil
}

func certificate(t *testing.T) *tls.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// expecting believes whoever shows that certificate.
func expecting(cert *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if !slices.Equal(state.PeerCertificates[0].Raw, cert.Certificate[0]) {
				return lonja.E(lonja.Untrusted, "", errors.New("this is somebody else"))
			}
			return nil
		},
	}
}

// TestRace: who wins, when each way begins, and that nothing is left behind.
func TestRace(t *testing.T) {
	peer, other := certificate(t), certificate(t)
	refused := errors.New("refused")
	for _, c := range []struct {
		name   string
		places []place
		wins   int // or -1
		calls  []time.Duration
		says   string
		kind   lonja.Kind
	}{
		{"the first one is quick", []place{{cert: peer}, {cert: peer}}, 0, []time.Duration{0}, "", 0},
		{"the first one is slow", []place{{after: time.Second, cert: peer}, {cert: peer}}, 1, []time.Duration{0, 250 * time.Millisecond}, "", 0},
		{"the first one fails", []place{{fails: refused}, {cert: peer}}, 1, []time.Duration{0, 0}, "", 0},
		{"the first one is mute", []place{{mute: true}, {cert: peer}}, 1, []time.Duration{0, 250 * time.Millisecond}, "", 0},
		{"somebody else answers first", []place{{cert: other}, {after: time.Second, cert: peer}}, 1, []time.Duration{0, 0}, "", 0},
		{"somebody else only", []place{{fails: refused}, {cert: other}}, -1, []time.Duration{0, 0}, "somebody else", lonja.Untrusted},
		{"nobody", []place{{fails: refused}, {mute: true}}, -1, []time.Duration{0, 0}, "no answer", lonja.Unavailable},
		{"no way", nil, -1, nil, "no address", lonja.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := &internet{places: map[lonja.Endpoint]place{}, begun: time.Now()}
				var ways []lonja.Endpoint
				var calls []string
				for i, p := range c.places {
					at := way(fmt.Sprintf("192.0.2.%d:4445", i))
					ways, net.places[at] = append(ways, at), p
					if i < len(c.calls) {
						calls = append(calls, fmt.Sprint(at, " after ", c.calls[i]))
					}
				}
				conn, err := NewDialer(Options{Dial: net.dial}).Dial(t.Context(), ways, expecting(peer))
				if c.wins >= 0 {
					if err != nil || conn.Way != ways[c.wins] {
						t.Fatalf("got %v, %v", conn, err)
					}
					_ = conn.Close()
				} else if lonja.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %v, want %q of kind %q", err, c.says, c.kind)
				}
				net.ended.Wait()
				if !slices.Equal(net.called, calls) {
					t.Errorf("called %v, want %v", net.called, calls)
				}
			})
		})
	}
}

// TestDialEnds with its context, at once.
func TestDialEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := way("192.0.2.1:4445")
		net := &internet{places: map[lonja.Endpoint]place{at: {mute: true}}, begun: time.Now()}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := NewDialer(Options{Dial: net.dial}).Dial(ctx, []lonja.Endpoint{at, at, at, at, at, at}, expecting(certificate(t)))
		if !errors.Is(err, lonja.Canceled) || time.Since(net.begun) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(net.begun))
		}
		net.ended.Wait()
	})
}

func TestOrder(t *testing.T) {
	lan := []netip.Prefix{netip.MustParsePrefix("192.168.1.7/24"), netip.MustParsePrefix("fd00:1::7/64")}
	for _, c := range []struct {
		name      string
		own       []netip.Prefix
		ways, got string
	}{
		{"of one network first", lan, "198.51.100.1:1 10.0.0.1:2 192.168.1.9:3 [fd00:1::9]:4", "192.168.1.9:3 [fd00:1::9]:4 198.51.100.1:1 10.0.0.1:2"},
		{"else as told", nil, "198.51.100.1:1 [2001:db8::1]:2 203.0.113.1:3", "198.51.100.1:1 [2001:db8::1]:2 203.0.113.1:3"},
		{"nowhere", lan, "0.0.0.0:1 127.0.0.1:2 224.0.0.1:3 192.168.1.9:0 192.168.1.9:4", "192.168.1.9:4"},
		{"one machine", nil, "127.0.0.1:2 [::1]:3", "127.0.0.1:2 [::1]:3"},
		{"twice", lan, "192.168.1.9:4 192.168.1.9:4", "192.168.1.9:4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ways []lonja.Endpoint
			for s := range strings.FieldsSeq(c.ways) {
				ways = append(ways, way(s))
			}
			var got []string
			for _, w := range Order(ways, c.own) {
				got = append(got, w.String())
			}
			if strings.Join(got, " ") != c.got {
				t.Errorf("got %s, want %s", got, c.got)
			}
		})
	}
}
