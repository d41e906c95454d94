package authority

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"lonja"
	"lonja/internal/peercert"
	"lonja/internal/statement"
)

// How long certificates last.
const (
	DefaultLifetime = 12 * time.Hour
	MaxLifetime     = 7 * 24 * time.Hour
	serverLifetime  = 24 * time.Hour // renewed when half of it is over
)

// newAuthority makes the first key.
func newAuthority(now time.Time) (*state, error) {
	key, template, err := newRoot(now)
	if err != nil {
		return nil, err
	}
	set := new(Set)
	if set.current, err = sign(template, template, key.Public(), key); err != nil {
		return nil, err
	}
	return newState(set, key), nil
}

// newRoot makes a key and what its certificate says.
func newRoot(now time.Time) (ed25519.PrivateKey, *x509.Certificate, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	id := lonja.PublicKey(public).ID()
	return key, &x509.Certificate{
		Subject:               pkix.Name{CommonName: "lonja directory " + id.String()[:16]},
		SubjectKeyId:          id[:20],
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}, nil
}

// rotate makes the next state.
func (st *state) rotate(overlap time.Duration, now time.Time) (*state, error) {
	key, template, err := newRoot(now)
	if err != nil {
		return nil, err
	}
	next := new(Set)
	if next.current, err = sign(template, template, key.Public(), key); err != nil {
		return nil, err
	}
	if overlap == 0 {
		return newState(next, key), nil
	}
	end := now.Add(overlap)
	var p pair
	if p.proof, err = sign(until(next.current, now, end), st.set.current, key.Public(), st.key); err != nil {
		return nil, err
	}
	if p.bond, err = sign(until(st.set.current, now, end), next.current, st.key.Public(), key); err != nil {
		return nil, err
	}
	next.pairs = append([]pair{p}, st.set.lasting(now)...)
	next.pairs = next.pairs[:min(len(next.pairs), MaxPredecessors)]
	return newState(next, key), nil
}

// until returns what a certificate of an authority says, to be signed by another
// and to last until end.
func until(c *x509.Certificate, now, end time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject: c.Subject, SubjectKeyId: c.SubjectKeyId,
		NotBefore: now.Add(-skew), NotAfter: end,
		KeyUsage: c.KeyUsage, BasicConstraintsValid: true, IsCA: true,
	}
}

// sign makes a certificate with a serial number that no other has.
func sign(template, parent *x509.Certificate, public crypto.PublicKey, key ed25519.PrivateKey) (*x509.Certificate, error) {
	return signFor(0, template, parent, public, key)
}

// signFor is sign for a member, whose account has that number.
func signFor(account uint64, template, parent *x509.Certificate, public crypto.PublicKey, key ed25519.PrivateKey) (*x509.Certificate, error) {
	var random [12]byte
	rand.Read(random[:]) // it never fails
	template.SerialNumber = peercert.SerialNumber(account, random)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// Issue signs a certificate for a member: that the key acts for the user, whose
// account has that number, for lifetime from now on, 0 standing for
// DefaultLifetime. Who calls it has seen to it that the key does. It returns DER (RFC 5280). The error is of kind Invalid.
func (a *Authority) Issue(m lonja.Member, account uint64, lifetime time.Duration) ([]byte, error) {
	if lifetime == 0 {
		lifetime = DefaultLifetime
	}
	if lifetime < 0 || lifetime > MaxLifetime {
		return nil, lonja.E(lonja.Invalid, "issue certificate", fmt.Errorf("a lifetime of %v is not between 0 and %v", lifetime, MaxLifetime))
	}
	if account > peercert.MaxAccount {
		return nil, lonja.E(lonja.Invalid, "issue certificate", fmt.Errorf("an account has the number %d, at most %d may be", account, uint64(peercert.MaxAccount)))
	}
	if _, err := lonja.ParseMemberName(string(m.User)); err != nil {
		return nil, err
	}
	if err := statement.CheckKey(m.Key); err != nil {
		return nil, lonja.E(lonja.Invalid, "issue certificate", err)
	}
	st, now := a.now.Load(), a.opts.Clock()
	c, err := signFor(account, endEntity(peercert.MemberURI(m.User), now, lifetime), st.set.current, ed25519.PublicKey(m.Key[:]), st.key)
	if err != nil {
		return nil, err
	}
	return c.Raw, nil
}

// endEntity returns what a certificate says with which both sides of a connection
// may be proved.
func endEntity(name *url.URL, now time.Time, lifetime time.Duration) *x509.Certificate {
	return &x509.Certificate{
		URIs:                  []*url.URL{name},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
}

// A serverCertificate is the directory's own, and when and by whom it was made.
type serverCertificate struct {
	by    *state
	until time.Time // another one is made then
	tls   *tls.Certificate
}

// serverCertificate returns the certificate of the directory's own server, with
// the Set.
func (a *Authority) serverCertificate() (*tls.Certificate, error) {
	st, now := a.now.Load(), a.opts.Clock()
	if have := a.server.Load(); have != nil && have.by == st && now.Before(have.until) {
		return have.tls, nil
	}
	leaf, err := sign(endEntity(peercert.DirectoryURI(), now, serverLifetime), st.set.current, a.serverKey.Public(), st.key)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: a.serverKey, Leaf: leaf}
	for _, cert := range st.set.certificates() {
		c.Certificate = append(c.Certificate, cert.Raw)
	}
	a.server.Store(&serverCertificate{st, now.Add(serverLifetime / 2), c})
	return c, nil
}

// MemberCertificate returns what a node proves itself with to peers: the
// certificate that its directory has issued, the key, and what peers need that
// have not heard of a rotation yet. The error is of kind Untrusted if the
// certificate is not for that key and user.
func MemberCertificate(der []byte, signer crypto.Signer, user lonja.UserName, set *Set) (*tls.Certificate, error) {
	if set == nil {
		return nil, untrusted("read certificate", errors.New("no authority of the directory is trusted now"))
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, untrusted("read certificate", err)
	}
	m, err := peercert.MemberOf(leaf)
	if err != nil {
		return nil, err
	}
	public, ok := signer.Public().(ed25519.PublicKey)
	if !ok || !slices.Equal(public, m.Key[:]) || m.User != user {
		return nil, untrusted("read certificate", errors.New("the directory has issued a certificate for another member"))
	}
	c := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: signer, Leaf: leaf}
	for _, p := range set.pairs {
		c.Certificate = append(c.Certificate, p.proof.Raw)
	}
	return c, nil
}
