package authority

import (
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/peercert"
)

// A peer is a node in these tests: a member with a certificate.
type peer struct {
	member  lonja.Member
	key     ed25519.PrivateKey
	set     *Set
	cert    *tls.Certificate
	revoked []lonja.PublicKey
	ended   uint64 // the last account that has ended
	clock   *clock
}

func newPeer(t testing.TB, a *Authority, c *clock, user lonja.UserName, n byte) *peer {
	t.Helper()
	p := &peer{member: lonja.Member{User: user, Key: publicOf(seedKey(n))}, key: seedKey(n), set: a.Set(), clock: c}
	der, err := a.Issue(p.member, 7, 0)
	if err != nil {
		t.Fatal(err)
	}
	if p.cert, err = MemberCertificate(der, p.key, user, p.set); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *peer) options() PeerOptions {
	return PeerOptions{
		Set:         func() *Set { return p.set },
		Certificate: func() (*tls.Certificate, error) { return p.cert, nil },
		Revoked: func(m lonja.Member, account uint64) bool {
			return slices.Contains(p.revoked, m.Key) || p.ended != 0 && account <= p.ended
		},
		Protocols: []string{"http/1.1"},
		Clock:     p.clock.Now,
	}
}

func (p *peer) server() *tls.Config { return PeerServerConfig(p.options()) }

func (p *peer) to(other *peer) *tls.Config {
	return PeerClientConfig(p.options(), Expected{User: other.member.User, Keys: []lonja.PublicKey{other.member.Key}})
}

func TestPeersMeet(t *testing.T) {
	c := newClock()
	a := open(t, c)
	ana, luis := newPeer(t, a, c, "ana maría", 1), newPeer(t, a, c, "luis", 2)
	m := meet(t, ana.server(), luis.to(ana))
	if err := m.err(); err != nil {
		t.Fatal(err)
	}
	if got, account, err := MemberOf(m.server); err != nil || got != luis.member || account != 7 {
		t.Errorf("ana sees %v, %v", got, err)
	}
	if got, account, err := MemberOf(m.client); err != nil || got != ana.member || account != 7 {
		t.Errorf("luis sees %v, %v", got, err)
	}
	if m.client.NegotiatedProtocol != "http/1.1" || m.client.DidResume {
		t.Errorf("got %q", m.client.NegotiatedProtocol)
	}
}

// issued returns mallory with a certificate that an authority has signed in
// another way than it should.
func (p *peer) issued(t *testing.T, a *Authority, change func(*x509.Certificate), public crypto.PublicKey, key crypto.PrivateKey) *tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		URIs: []*url.URL{peercert.MemberURI(p.member.User)}, NotBefore: epoch.Add(-time.Hour), NotAfter: epoch.Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	change(template)
	st := a.now.Load()
	cert, err := sign(template, st.set.current, public, st.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{cert.Raw, st.set.current.Raw}, PrivateKey: key}
}

// TestFalsePeers: what mallory shows as a server is refused by who connects, and
// what it shows as a client by who serves, with words that say why.
func TestFalsePeers(t *testing.T) {
	c := newClock()
	a, foreign := open(t, c), open(t, c)
	ana := newPeer(t, a, c, "ana", 1)
	mallory := newPeer(t, a, c, "mallory", 3)
	der := mallory.cert.Certificate[0]
	public := mallory.key.Public()
	with := func(change func(*x509.Certificate)) *tls.Certificate {
		return mallory.issued(t, a, change, public, mallory.key)
	}
	st := a.now.Load()
	server, err := a.serverCertificate()
	if err != nil {
		t.Fatal(err)
	}
	self := selfSigned(t, mallory.key)
	below, err := sign(&x509.Certificate{
		URIs: []*url.URL{peercert.MemberURI("mallory")}, NotBefore: epoch.Add(-time.Hour), NotAfter: epoch.Add(time.Hour),
	}, mallory.cert.Leaf, seedKey(4).Public(), mallory.key)
	if err != nil {
		t.Fatal(err)
	}
	many := *mallory.cert
	for range maxCertificates {
		many.Certificate = append(many.Certificate, st.set.current.Raw)
	}
	attacks := map[string]struct {
		cert *tls.Certificate
		says string
	}{
		"expired":          {with(func(c *x509.Certificate) { c.NotAfter = epoch.Add(-time.Second) }), "has expired"},
		"not yet valid":    {with(func(c *x509.Certificate) { c.NotBefore = epoch.Add(time.Minute) }), "not valid before"},
		"foreign":          {newPeer(t, foreign, c, "mallory", 3).cert, "another authority"},
		"signed by itself": {&self, "another authority"},
		"an authority as leaf": {
			&tls.Certificate{Certificate: [][]byte{st.set.current.Raw}, PrivateKey: st.key}, "of an authority",
		},
		"a leaf that is an authority": {with(func(c *x509.Certificate) { c.IsCA = true; c.KeyUsage = x509.KeyUsageCertSign }), "of an authority"},
		"the directory's own":         {server, "no member"},
		"signed by a member": {
			&tls.Certificate{Certificate: [][]byte{below.Raw, der}, PrivateKey: seedKey(4)}, "",
		},
		"very many":           {&many, "at most"},
		"not for connections": {with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), "not meant for this"},
		"without a name":      {with(func(c *x509.Certificate) { c.URIs = nil; c.DNSNames = []string{"mallory"} }), "does not name"},
		"with two names": {
			with(func(c *x509.Certificate) { c.URIs = append(c.URIs, peercert.MemberURI("ana")) }), "does not name",
		},
	}
	for kind, key := range otherKeys(t) {
		attacks[kind] = struct {
			cert *tls.Certificate
			says string
		}{mallory.issued(t, a, func(*x509.Certificate) {}, key.Public(), key), "only Ed25519"}
	}
	for name, attack := range attacks {
		mallory.cert = attack.cert
		for side, err := range map[string]error{
			"serving":    meet(t, mallory.server(), ana.to(mallory)).clientErr,
			"connecting": meet(t, ana.server(), mallory.to(ana)).serverErr,
		} {
			if !errors.Is(err, lonja.Untrusted) || !strings.Contains(err.Error(), attack.says) {
				t.Errorf("%s, %s: got error %v, want %q", name, side, err, attack.says)
			}
		}
	}
	mallory.cert = with(func(*x509.Certificate) {})
	if err := errors.Join(meet(t, mallory.server(), ana.to(mallory)).err(), meet(t, ana.server(), mallory.to(ana)).err()); err != nil {
		t.Errorf("the template of these attacks is not good by itself: %v", err)
	}
}

// TestUsageOfOneSide: a certificate for clients serves nobody, and the reverse.
func TestUsageOfOneSide(t *testing.T) {
	c := newClock()
	a := open(t, c)
	ana, mallory := newPeer(t, a, c, "ana", 1), newPeer(t, a, c, "mallory", 3)
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth} {
		mallory.cert = mallory.issued(t, a, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{usage}
		}, mallory.key.Public(), mallory.key)
		serving := meet(t, mallory.server(), ana.to(mallory)).clientErr
		connecting := meet(t, ana.server(), mallory.to(ana)).serverErr
		if (serving == nil) != (usage == x509.ExtKeyUsageServerAuth) || (connecting == nil) != (usage == x509.ExtKeyUsageClientAuth) {
			t.Errorf("usage %v: serving %v, connecting %v", usage, serving, connecting)
		}
	}
}

// TestOtherThanExpected: a good member is still not the one that is meant.
func TestOtherThanExpected(t *testing.T) {
	c := newClock()
	a := open(t, c)
	ana, luis := newPeer(t, a, c, "ana", 1), newPeer(t, a, c, "luis", 2)
	phone := newPeer(t, a, c, "ana", 5)
	for name, e := range map[string]Expected{
		"another user":            {User: "ana", Keys: []lonja.PublicKey{ana.member.Key}},
		"another user's own key":  {User: "ana", Keys: []lonja.PublicKey{luis.member.Key}},
		"another key":             {User: "luis", Keys: []lonja.PublicKey{ana.member.Key}},
		"no key":                  {User: "luis"},
		"a name in another case":  {User: "Luis", Keys: []lonja.PublicKey{luis.member.Key}},
		"a name with an ending":   {User: "luis\x00", Keys: []lonja.PublicKey{luis.member.Key}},
		"a name that is a prefix": {User: "lui", Keys: []lonja.PublicKey{luis.member.Key}},
	} {
		if err := meet(t, luis.server(), PeerClientConfig(ana.options(), e)).clientErr; !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.Untrusted)
		}
	}
	either := Expected{User: "ana", Keys: []lonja.PublicKey{ana.member.Key, phone.member.Key}}
	for _, device := range []*peer{ana, phone} {
		if m := meet(t, device.server(), PeerClientConfig(luis.options(), either)); m.err() != nil {
			t.Error(m.err())
		}
	}
}

func TestRevokedPeer(t *testing.T) {
	c := newClock()
	a := open(t, c)
	ana, mallory := newPeer(t, a, c, "ana", 1), newPeer(t, a, c, "mallory", 3)
	server := ana.server()
	if m := meet(t, server, mallory.to(ana)); m.err() != nil {
		t.Fatal(m.err())
	}
	ana.ended = 7
	if m := meet(t, server, mallory.to(ana)); m.serverErr == nil || !strings.Contains(m.serverErr.Error(), "account has ended") {
		t.Errorf("of an account that has ended: got error %v", m.serverErr)
	}
	ana.ended = 6
	if m := meet(t, server, mallory.to(ana)); m.err() != nil {
		t.Errorf("of the account after one that has ended: %v", m.err())
	}
	ana.revoked = []lonja.PublicKey{mallory.member.Key} // while it serves
	for side, err := range map[string]error{
		"serving":    meet(t, mallory.server(), ana.to(mallory)).clientErr,
		"connecting": meet(t, server, mallory.to(ana)).serverErr,
	} {
		if !errors.Is(err, lonja.Untrusted) || !strings.Contains(err.Error(), "revoked") {
			t.Errorf("%s: got error %v", side, err)
		}
	}
}

// TestPeersHandshake: no certificate, another's, an old TLS.
func TestPeersHandshake(t *testing.T) {
	c := newClock()
	a := open(t, c)
	ana, luis, mallory := newPeer(t, a, c, "ana", 1), newPeer(t, a, c, "luis", 2), newPeer(t, a, c, "mallory", 3)
	old := func(config *tls.Config) *tls.Config {
		config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		return config
	}
	if m := meet(t, ana.server(), old(mallory.to(ana))); m.serverErr == nil || m.clientErr == nil {
		t.Error("a client that speaks TLS 1.2 only got through")
	}
	if m := meet(t, old(mallory.server()), ana.to(mallory)); m.serverErr == nil || m.clientErr == nil {
		t.Error("a server that speaks TLS 1.2 only got through")
	}
	stolen := *luis.cert
	stolen.PrivateKey = mallory.key
	stolen.Leaf = nil
	mallory.cert = &stolen
	if m := meet(t, ana.server(), mallory.to(ana)); m.serverErr == nil {
		t.Error("a client with another's certificate got through")
	}
	if m := meet(t, mallory.server(), ana.to(luis)); m.clientErr == nil {
		t.Error("a server with another's certificate got through")
	}
	mallory.cert = &tls.Certificate{}
	if m := meet(t, ana.server(), mallory.to(ana)); m.serverErr == nil {
		t.Error("a client without a certificate got through")
	}
}

// TestPeersAcrossRotations: whichever of the two has heard of it, as long as the
// overlap lasts, and not after.
func TestPeersAcrossRotations(t *testing.T) {
	c := newClock()
	a := open(t, c)
	before, early := newPeer(t, a, c, "ana", 1), newPeer(t, a, c, "eva", 5)
	if err := a.Rotate(time.Hour); err != nil {
		t.Fatal(err)
	}
	after := newPeer(t, a, c, "luis", 2)
	half := newPeer(t, a, c, "half", 4) // has the new authority, and its old certificate still
	half.set, half.cert = after.set, early.cert
	half.member, half.key = early.member, early.key
	all := map[string]*peer{"before": before, "after": after, "half": half}
	check := func(when string, want func(from, to string) bool) {
		for from, client := range all {
			for to, server := range all {
				if err := meet(t, server.server(), client.to(server)).err(); (err == nil) != want(from, to) {
					t.Errorf("%s: from %s to %s: %v", when, from, to, err)
				}
			}
		}
	}
	check("within", func(string, string) bool { return true })
	c.set(epoch.Add(2 * time.Hour))
	check("after", func(from, to string) bool {
		return from == to && from != "half" // the new knows the new, the old the old
	})
}

func TestIssue(t *testing.T) {
	c := newClock()
	a := open(t, c)
	good := lonja.Member{User: "ana", Key: publicOf(seedKey(1))}
	for name, err := range map[string]error{
		"account":    errOf(a.Issue(good, 1<<63, 0)),
		"too long":   errOf(a.Issue(good, 7, MaxLifetime+1)),
		"negative":   errOf(a.Issue(good, 7, -1)),
		"name":       errOf(a.Issue(lonja.Member{User: "a/b", Key: good.Key}, 7, 0)),
		"no key":     errOf(a.Issue(lonja.Member{User: "ana"}, 7, 0)),
		"name unfit": errOf(a.Issue(lonja.Member{User: "a\x1b", Key: good.Key}, 7, 0)),
	} {
		if !errors.Is(err, lonja.Invalid) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.Invalid)
		}
	}
	der, err := a.Issue(good, 7, 0)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil || !leaf.NotAfter.Equal(epoch.Add(DefaultLifetime)) || !leaf.NotBefore.Equal(epoch.Add(-skew)) {
		t.Errorf("from %v to %v, %v", leaf.NotBefore, leaf.NotAfter, err)
	}
	for name, err := range map[string]error{
		"another key":  errOf(MemberCertificate(der, seedKey(2), "ana", a.Set())),
		"another user": errOf(MemberCertificate(der, seedKey(1), "eva", a.Set())),
		"rubbish":      errOf(MemberCertificate(der[1:], seedKey(1), "ana", a.Set())),
	} {
		if !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.Untrusted)
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

func BenchmarkIssue(b *testing.B) {
	a := open(b, newClock())
	m := lonja.Member{User: "ana", Key: publicOf(seedKey(1))}
	for b.Loop() {
		if _, err := a.Issue(m, 7, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPeerHandshake is both sides over loopback, all checks included.
func BenchmarkPeerHandshake(b *testing.B) {
	c := newClock()
	a := open(b, c)
	ana, luis := newPeer(b, a, c, "ana", 1), newPeer(b, a, c, "luis", 2)
	server, client := ana.server(), luis.to(ana)
	for b.Loop() {
		if m := meet(b, server, client); m.err() != nil {
			b.Fatal(m.err())
		}
	}
}
