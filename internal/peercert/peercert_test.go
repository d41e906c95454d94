package peercert_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/peercert"
)

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))

// certificate makes one of a template with signer's key, as it is read back.
func certificate(t testing.TB, template x509.Certificate, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(1)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func uris(all ...*url.URL) x509.Certificate { return x509.Certificate{URIs: all} }

func TestMemberOf(t *testing.T) {
	for _, name := range []lonja.UserName{
		"ana", "ana maría", "日本", `a\b`, "a@b:c", "100%", "a%2fb", "?", "#", ".", "..", "a;b=c", "[", "a+b",
		lonja.UserName(strings.Repeat("é", 127)),
	} {
		cert := certificate(t, uris(peercert.MemberURI(name)), key)
		want := lonja.Member{User: name, Key: lonja.PublicKey(key.Public().(ed25519.PublicKey))}
		if got, err := peercert.MemberOf(cert); err != nil || got != want {
			t.Errorf("%q: got %v, %v", name, got, err)
		}
		if err := peercert.CheckDirectory(cert); !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%q passes for a directory: %v", name, err)
		}
	}
	directory := certificate(t, uris(peercert.DirectoryURI()), key)
	if err := peercert.CheckDirectory(directory); err != nil {
		t.Error(err)
	}
	if got, err := peercert.MemberOf(directory); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("the directory passes for %v: %v", got, err)
	}
}

func TestNotAMember(t *testing.T) {
	ana := peercert.MemberURI("ana")
	raw := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for name, template := range map[string]x509.Certificate{
		"nothing":          {},
		"a host":           {DNSNames: []string{"ana"}},
		"two":              uris(ana, peercert.MemberURI("eva")),
		"also a host":      {URIs: []*url.URL{ana}, DNSNames: []string{"x"}},
		"also an address":  {URIs: []*url.URL{ana}, IPAddresses: []net.IP{{127, 0, 0, 1}}},
		"also a mailbox":   {URIs: []*url.URL{ana}, EmailAddresses: []string{"a@b"}},
		"no name":          uris(raw("lonja://member/")),
		"no path":          uris(raw("lonja://member")),
		"a path":           uris(raw("lonja://member/a/b")),
		"an escaped slash": uris(raw("lonja://member/a%2Fb")),
		"escaped for fun":  uris(raw("lonja://member/%61na")),
		"a query":          uris(raw("lonja://member/ana?x")),
		"a fragment":       uris(raw("lonja://member/ana#x")),
		"a user":           uris(raw("lonja://u@member/ana")),
		"a port":           uris(raw("lonja://member:1/ana")),
		"another scheme":   uris(raw("https://member/ana")),
		"a newline":        uris(raw("lonja://member/a%0A")),
		"not UTF-8":        uris(raw("lonja://member/%FF")),
		"a blank behind":   uris(raw("lonja://member/ana%20")),
	} {
		if got, err := peercert.MemberOf(certificate(t, template, key)); !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got %v, error %v, want %v", name, got, err, lonja.Untrusted)
		}
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := peercert.MemberOf(certificate(t, uris(ana), other)); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("an ECDSA key: got error %v, want %v", err, lonja.Untrusted)
	}
}

// TestAccountOf: the number of the account is in the serial number, which is
// positive and has at most 20 bytes; what others put there is a small number.
func TestAccountOf(t *testing.T) {
	full := [12]byte(bytes.Repeat([]byte{0xff}, 12))
	for _, account := range []uint64{0, 1, 1795000000000000000, peercert.MaxAccount} {
		for _, random := range [][12]byte{{}, {11: 1}, full} {
			n := peercert.SerialNumber(account, random)
			if got := peercert.AccountOf(&x509.Certificate{SerialNumber: n}); got != account || n.Sign() != 1 || n.BitLen() >= 20*8 {
				t.Errorf("account %d is in %x as %d", account, n, got)
			}
		}
	}
	before := new(big.Int).Lsh(big.NewInt(1), 120) // the largest one that there was once
	huge := new(big.Int).Lsh(big.NewInt(1), 200)
	for _, n := range []*big.Int{before, huge, new(big.Int).Neg(huge)} {
		if got := peercert.AccountOf(&x509.Certificate{SerialNumber: n}); got > 1<<24 {
			t.Errorf("%x has account %d", n, got)
		}
	}
}

// FuzzCertificate: whatever certificate comes, reading it ends, and a member
// that is found has a name that a member can have.
func FuzzCertificate(f *testing.F) {
	f.Add(certificate(f, uris(peercert.MemberURI("ana maría")), key).Raw)
	f.Add(certificate(f, uris(peercert.DirectoryURI()), key).Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		member, err := peercert.MemberOf(cert)
		if err != nil {
			return
		}
		if _, err := lonja.ParseMemberName(string(member.User)); err != nil || peercert.CheckDirectory(cert) == nil {
			t.Errorf("%q is a member: %v", member.User, err)
		}
	})
}
