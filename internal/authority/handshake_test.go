package authority

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"lonja"
	"lonja/internal/identity"
)

// patience is how long a handshake may take on a machine that is busy.
const patience = 30 * time.Second

// A meeting is what came of a connection over loopback: each side's error, or
// what it knows of the other.
type meeting struct {
	serverErr, clientErr error
	server, client       tls.ConnectionState
}

// meet has a client connect to a server, and the server say a byte.
func meet(t testing.TB, server, client *tls.Config) (m meeting) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() {
		raw, err := l.Accept()
		if err != nil {
			m.serverErr = err
			return
		}
		c := tls.Server(raw, server)
		defer c.Close()
		if m.serverErr = c.HandshakeContext(ctx); m.serverErr == nil {
			m.server = c.ConnectionState()
			_, m.serverErr = c.Write([]byte{1})
		}
	})
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, client)
	if m.clientErr = c.HandshakeContext(ctx); m.clientErr == nil {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, m.clientErr = io.ReadFull(c, make([]byte, 1)); m.clientErr == nil {
			m.client = c.ConnectionState()
		}
	}
	_ = c.Close()
	both.Wait()
	return m
}

// err joins what both sides say.
func (m meeting) err() error { return errors.Join(m.serverErr, m.clientErr) }

// seedKey returns a key that is always the same.
func seedKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func publicOf(k ed25519.PrivateKey) lonja.PublicKey {
	return lonja.PublicKey(k.Public().(ed25519.PublicKey))
}

// selfSigned returns a certificate of no authority for whatever key.
func selfSigned(t testing.TB, key crypto.Signer) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: epoch.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// otherKeys are keys of the kinds that are not taken.
func otherKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"RSA": r, "ECDSA": e}
}

// node returns the options of a node that has pinned these.
func node(t testing.TB, c *clock, pinned ...lonja.PeerID) DirectoryOptions {
	t.Helper()
	k, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := identity.Certificate(k)
	if err != nil {
		t.Fatal(err)
	}
	return DirectoryOptions{Pinned: pinned, Certificate: cert, Protocols: []string{"lonja/1"}, Clock: c.Now}
}

var protocols = []string{"lonja/1", "http/1.1"}

func TestNodeMeetsDirectory(t *testing.T) {
	c := newClock()
	a := open(t, c)
	o := node(t, c, a.Fingerprint())
	m := meet(t, a.ServerConfig(protocols), DirectoryClientConfig(o))
	if err := m.err(); err != nil {
		t.Fatal(err)
	}
	key, err := KeyOf(m.server)
	if want := o.Certificate.PrivateKey.(identity.Key).PublicKey(); err != nil || key != want {
		t.Errorf("the directory sees the key %v, %v; want %v", key, err, want)
	}
	if m.server.NegotiatedProtocol != "lonja/1" || m.server.Version != tls.VersionTLS13 {
		t.Errorf("got %q, version %x", m.server.NegotiatedProtocol, m.server.Version)
	}
	if set, err := SetOf(m.client); err != nil || set.Fingerprint() != a.Fingerprint() {
		t.Errorf("the node sees another authority: %v", err)
	}
}

// TestServerCertificateIsRenewed while the server runs.
func TestServerCertificateIsRenewed(t *testing.T) {
	c := newClock()
	a := open(t, c)
	server := a.ServerConfig(protocols)
	for hours := range 50 {
		c.set(epoch.Add(time.Duration(hours) * time.Hour))
		if m := meet(t, server, DirectoryClientConfig(node(t, c, a.Fingerprint()))); m.err() != nil {
			t.Fatalf("after %d hours: %v", hours, m.err())
		}
	}
}

func TestFirstContact(t *testing.T) {
	c := newClock()
	a := open(t, c)
	o := node(t, c)
	m := meet(t, a.ServerConfig(protocols), DirectoryClientConfig(o))
	if unknown, ok := errors.AsType[*UnknownAuthorityError](m.clientErr); !ok || unknown.Found != a.Fingerprint() || len(unknown.Pinned) != 0 {
		t.Errorf("nothing pinned, nobody to ask: got error %v", m.clientErr)
	}
	var shown lonja.PeerID
	answer := errors.New("the person says no")
	o.FirstContact = func(id lonja.PeerID) error { shown = id; return answer }
	if m := meet(t, a.ServerConfig(protocols), DirectoryClientConfig(o)); !errors.Is(m.clientErr, answer) || shown != a.Fingerprint() {
		t.Errorf("got error %v, shown %v", m.clientErr, shown)
	}
	answer = nil
	if m := meet(t, a.ServerConfig(protocols), DirectoryClientConfig(o)); m.err() != nil {
		t.Error(m.err())
	}
	// Who has pinned something is not asked: that would make a question of an alarm.
	o.Pinned = []lonja.PeerID{{1}}
	if m := meet(t, a.ServerConfig(protocols), DirectoryClientConfig(o)); !errors.Is(m.clientErr, lonja.Untrusted) {
		t.Errorf("another one pinned: got error %v", m.clientErr)
	}
}

// TestFalseDirectories: each is what somebody between could try.
func TestFalseDirectories(t *testing.T) {
	c := newClock()
	a, mallory := open(t, c), open(t, c)
	member := seedKey(1)
	der, err := a.Issue(lonja.Member{User: "mallory", Key: publicOf(member)}, 7, 0)
	if err != nil {
		t.Fatal(err)
	}
	genuine, err := a.serverCertificate()
	if err != nil {
		t.Fatal(err)
	}
	own, err := mallory.serverCertificate()
	if err != nil {
		t.Fatal(err)
	}
	set := genuine.Certificate[1:]
	with := func(key crypto.PrivateKey, certs ...[]byte) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{{Certificate: certs, PrivateKey: key}}}
	}
	many := [][]byte{own.Certificate[0]}
	for range maxCertificates {
		many = append(many, own.Certificate[1])
	}
	old := mallory.ServerConfig(protocols)
	old.MinVersion, old.MaxVersion = 0, tls.VersionTLS12
	attacks := map[string]*tls.Config{
		"another authority":                    mallory.ServerConfig(protocols),
		"its own leaf below the genuine one":   with(mallory.serverKey, append([][]byte{own.Certificate[0]}, set...)...),
		"a member's certificate":               with(member, append([][]byte{der}, set...)...),
		"the genuine certificate, not its key": with(mallory.serverKey, genuine.Certificate...),
		"the authority's own certificate":      with(a.now.Load().key, set[0], set[0]),
		"both authorities":                     with(mallory.serverKey, own.Certificate[0], own.Certificate[1], set[0]),
		"the genuine one behind its own":       with(mallory.serverKey, own.Certificate[0], own.Certificate[1], set[0], set[0]),
		"no authority":                         with(mallory.serverKey, own.Certificate[0]),
		"very many certificates":               with(mallory.serverKey, many...),
		"TLS 1.2":                              old,
	}
	for kind, key := range otherKeys(t) {
		attacks[kind] = &tls.Config{Certificates: []tls.Certificate{selfSigned(t, key)}}
	}
	for name, server := range attacks {
		asked := false
		o := node(t, c, a.Fingerprint())
		o.FirstContact = func(lonja.PeerID) error { asked = true; return nil }
		o.Rotated = func(Rotation) { asked = true }
		m := meet(t, server, DirectoryClientConfig(o))
		if m.clientErr == nil || asked {
			t.Errorf("%s: got through, or somebody was asked", name)
		}
		if name != "TLS 1.2" && name != "the genuine certificate, not its key" && !errors.Is(m.clientErr, lonja.Untrusted) {
			t.Errorf("%s: got error %v, want %v", name, m.clientErr, lonja.Untrusted)
		}
	}
}

// TestWithoutCertificate: the directory takes who shows none, and learns no key.
func TestWithoutCertificate(t *testing.T) {
	c := newClock()
	a := open(t, c)
	config := DirectoryClientConfig(node(t, c, a.Fingerprint()))
	config.Certificates = nil
	m := meet(t, a.ServerConfig(protocols), config)
	if err := m.err(); err != nil {
		t.Fatal(err)
	}
	if key, err := KeyOf(m.server); !errors.Is(err, lonja.Untrusted) || !key.IsZero() {
		t.Errorf("the directory sees the key %v, %v", key, err)
	}
}

// TestFalseNodes: the directory takes who proves an Ed25519 key over TLS 1.3.
func TestFalseNodes(t *testing.T) {
	c := newClock()
	a := open(t, c)
	client := func(change func(*tls.Config)) *tls.Config {
		config := DirectoryClientConfig(node(t, c, a.Fingerprint()))
		change(config)
		return config
	}
	attacks := map[string]*tls.Config{
		"TLS 1.2": client(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }),
		"the certificate of another key": client(func(c *tls.Config) {
			c.Certificates[0].PrivateKey = crypto.Signer(seedKey(9))
		}),
	}
	for kind, key := range otherKeys(t) {
		attacks[kind] = client(func(c *tls.Config) { c.Certificates = []tls.Certificate{selfSigned(t, key)} })
	}
	for name, config := range attacks {
		if m := meet(t, a.ServerConfig(protocols), config); m.serverErr == nil || m.clientErr == nil {
			t.Errorf("%s: got through: %v", name, m.err())
		}
	}
}

// TestRotatedDirectory: the proof brings nodes along as long as it lasts, and
// nothing else does.
func TestRotatedDirectory(t *testing.T) {
	c := newClock()
	a := open(t, c)
	server := a.ServerConfig(protocols) // of a process that runs on
	first := a.Fingerprint()
	if err := a.Rotate(DefaultOverlap); err != nil {
		t.Fatal(err)
	}
	second := a.Fingerprint()
	c.set(epoch.Add(time.Hour))
	if err := a.Rotate(DefaultOverlap); err != nil {
		t.Fatal(err)
	}
	third := a.Fingerprint()
	connect := func(pinned lonja.PeerID, server *tls.Config) (*Rotation, error) {
		var told *Rotation
		o := node(t, c, pinned)
		o.Rotated = func(r Rotation) { told = &r }
		m := meet(t, server, DirectoryClientConfig(o))
		return told, m.clientErr
	}
	for i, pinned := range []lonja.PeerID{first, second, third} {
		told, err := connect(pinned, server)
		switch {
		case err != nil:
			t.Errorf("%d: %v", i, err)
		case (told == nil) != (pinned == third):
			t.Errorf("%d: told %v", i, told)
		case told != nil && (told.From != pinned || told.To != third || !told.Until.Equal(latest(pinned == first))):
			t.Errorf("%d: told %v", i, told)
		}
	}
	// The same without the proofs.
	st := a.now.Load()
	bare := &Authority{opts: a.opts, serverKey: a.serverKey}
	bare.now.Store(newState(&Set{current: st.set.current}, st.key))
	for i, pinned := range []lonja.PeerID{first, second} {
		if told, err := connect(pinned, bare.ServerConfig(protocols)); !errors.Is(err, lonja.Untrusted) || told != nil {
			t.Errorf("%d, no proof: told %v, error %v", i, told, err)
		}
	}
	c.set(epoch.Add(DefaultOverlap + time.Minute)) // the first is over, the second is not
	if _, err := connect(first, server); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("after the overlap: got error %v", err)
	}
	if _, err := connect(second, server); err != nil {
		t.Errorf("within the overlap: %v", err)
	}
}

// latest returns until when the first key holds in TestRotatedDirectory, or the
// second.
func latest(first bool) time.Time {
	if first {
		return epoch.Add(DefaultOverlap)
	}
	return epoch.Add(DefaultOverlap + time.Hour)
}

// TestNothingIsResumed: a node that has a cache of sessions is checked whole
// again, and checks whole.
func TestNothingIsResumed(t *testing.T) {
	c := newClock()
	a := open(t, c)
	server, o := a.ServerConfig(protocols), node(t, c, a.Fingerprint())
	cache := tls.NewLRUClientSessionCache(10)
	for range 3 {
		config := DirectoryClientConfig(o)
		config.ClientSessionCache, config.ServerName = cache, "lonja"
		m := meet(t, server, config)
		if m.err() != nil || m.client.DidResume || m.server.DidResume {
			t.Errorf("resumed: %t, %v", m.client.DidResume, m.err())
		}
	}
	if _, ok := cache.Get("lonja"); ok {
		t.Error("the directory has given a ticket")
	}
	// Where tickets are given and kept all the same, what is pinned by then counts.
	server.SessionTicketsDisabled = false
	resume := func() meeting {
		config := DirectoryClientConfig(o)
		config.SessionTicketsDisabled = false
		config.ClientSessionCache, config.ServerName = cache, "lonja"
		return meet(t, server, config)
	}
	for i := range 2 {
		if m := resume(); m.err() != nil || m.client.DidResume != (i == 1) {
			t.Fatalf("resumed: %t, %v", m.client.DidResume, m.err())
		}
	}
	o.Pinned = []lonja.PeerID{{1}}
	if m := resume(); !errors.Is(m.clientErr, lonja.Untrusted) {
		t.Errorf("another one is pinned by now: got error %v", m.clientErr)
	}
}

// TestConfigurationRemembers: a node that runs for months keeps to whom it has
// accepted, and comes along when that one rotates.
func TestConfigurationRemembers(t *testing.T) {
	c := newClock()
	a, mallory := open(t, c), open(t, c)
	stolen := &Authority{opts: a.opts, serverKey: a.serverKey} // the first key, in other hands later
	stolen.now.Store(a.now.Load())
	asked, rotated := 0, 0
	o := node(t, c)
	o.FirstContact = func(lonja.PeerID) error { asked++; return nil }
	o.Rotated = func(Rotation) { rotated++ }
	config := DirectoryClientConfig(o)
	connect := func(to *Authority) error { return meet(t, to.ServerConfig(protocols), config).clientErr }
	if err := errors.Join(connect(a), connect(a)); err != nil || asked != 1 {
		t.Errorf("asked %d times, %v", asked, err)
	}
	if err := connect(mallory); !errors.Is(err, lonja.Untrusted) || asked != 1 {
		t.Errorf("another one: asked %d times, %v", asked, err)
	}
	if err := a.Rotate(time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(connect(a), connect(a), connect(stolen)); err != nil || rotated != 1 {
		t.Errorf("within the overlap: told %d times, %v", rotated, err)
	}
	c.set(epoch.Add(2 * time.Hour))
	if err := connect(a); err != nil {
		t.Errorf("after the overlap: %v", err)
	}
	if err := connect(stolen); !errors.Is(err, lonja.Untrusted) || asked != 1 {
		t.Errorf("the first key after the overlap: asked %d times, %v", asked, err)
	}
}
