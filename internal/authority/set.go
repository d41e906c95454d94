package authority

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"lonja"
	"lonja/internal/peercert"
)

// MaxPredecessors bounds the earlier keys that an authority still vouches for.
const MaxPredecessors = 8

// maxCertificates bounds the certificates that somebody presents: one of its
// own and a Set.
const maxCertificates = 1 + 1 + 2*MaxPredecessors

// A Set is the public part of an authority: the certificate of its present key,
// and for each earlier one, the latest first, a pair. It is not changed once it
// is made. By itself it proves nothing: see FollowsFrom.
type Set struct {
	current *x509.Certificate
	pairs   []pair
}

// A pair joins an earlier key to the one after it, while both certificates last.
type pair struct {
	proof *x509.Certificate // of the later key, signed by the earlier one
	bond  *x509.Certificate // of the earlier key, signed by the later one
}

// newSet checks that certificates are those of a Set, in its order: that each
// signature is right and each key one that is taken.
func newSet(certs []*x509.Certificate) (*Set, error) {
	if len(certs)%2 != 1 || len(certs) > maxCertificates-1 {
		return nil, fmt.Errorf("%d certificates are no authority", len(certs))
	}
	for _, c := range certs {
		if !c.IsCA || !c.BasicConstraintsValid {
			return nil, errors.New("a certificate among them is not that of an authority")
		}
		if _, err := peercert.KeyOf(c); err != nil {
			return nil, err
		}
	}
	s := &Set{current: certs[0]}
	if err := s.current.CheckSignatureFrom(s.current); err != nil {
		return nil, fmt.Errorf("the authority's own signature is wrong: %w", err)
	}
	later := s.current
	for two := range slices.Chunk(certs[1:], 2) {
		p := pair{proof: two[0], bond: two[1]}
		if err := p.check(later); err != nil {
			return nil, err
		}
		s.pairs = append(s.pairs, p)
		later = p.bond
	}
	return s, nil
}

// check returns nil if p joins a key to that of the certificate later.
func (p pair) check(later *x509.Certificate) error {
	if !bytes.Equal(p.proof.RawSubjectPublicKeyInfo, later.RawSubjectPublicKeyInfo) {
		return errors.New("the proof of a rotation is for another key")
	}
	if err := p.proof.CheckSignatureFrom(p.bond); err != nil {
		return fmt.Errorf("the proof of a rotation is not signed by the earlier key: %w", err)
	}
	if err := p.bond.CheckSignatureFrom(later); err != nil {
		return fmt.Errorf("an earlier key is not signed by the later one: %w", err)
	}
	return nil
}

// lasts reports whether both certificates are valid at now.
func (p pair) lasts(now time.Time) bool {
	return !now.Before(p.proof.NotBefore) && !now.After(p.end()) && !now.Before(p.bond.NotBefore)
}

// end returns when the pair does not hold any more.
func (p pair) end() time.Time {
	if p.bond.NotAfter.Before(p.proof.NotAfter) {
		return p.bond.NotAfter
	}
	return p.proof.NotAfter
}

// ParseSet reads what PEM writes. The error is of kind Untrusted.
func ParseSet(text []byte) (*Set, error) {
	certs, rest, err := parseCertificates(text)
	if err == nil && len(rest) > 0 {
		err = errors.New("something else stands among the certificates")
	}
	var s *Set
	if err == nil {
		s, err = newSet(certs)
	}
	if err != nil {
		return nil, untrusted("read authority", err)
	}
	return s, nil
}

// PEM returns the certificates, for files and for nodes that keep them.
func (s *Set) PEM() []byte {
	var text []byte
	for _, c := range s.certificates() {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: c.Raw})...)
	}
	return text
}

// ReadSet reads what DER returns. The error is of kind Untrusted.
func ReadSet(der [][]byte) (*Set, error) {
	if len(der) > maxCertificates-1 {
		return nil, untrusted("read authority", fmt.Errorf("%d certificates are no authority", len(der)))
	}
	certs := make([]*x509.Certificate, len(der))
	for i, text := range der {
		var err error
		if certs[i], err = x509.ParseCertificate(text); err != nil {
			return nil, untrusted("read authority", err)
		}
	}
	s, err := newSet(certs)
	if err != nil {
		return nil, untrusted("read authority", err)
	}
	return s, nil
}

// DER returns the certificates, for nodes that are told of a rotation.
func (s *Set) DER() [][]byte {
	var all [][]byte
	for _, c := range s.certificates() {
		all = append(all, c.Raw)
	}
	return all
}

// certificates returns all, in their order.
func (s *Set) certificates() []*x509.Certificate {
	certs := []*x509.Certificate{s.current}
	for _, p := range s.pairs {
		certs = append(certs, p.proof, p.bond)
	}
	return certs
}

// Fingerprint returns the identity of the present key.
func (s *Set) Fingerprint() lonja.PeerID { return identityOf(s.current) }

// Earlier returns the identities of the earlier keys that hold at now, the
// latest first, and until when each does.
func (s *Set) Earlier(now time.Time) []Earlier {
	var all []Earlier
	for _, p := range s.lasting(now) {
		all = append(all, Earlier{identityOf(p.bond), p.end()})
	}
	return all
}

// An Earlier is a key that an authority had before.
type Earlier struct {
	ID    lonja.PeerID
	Until time.Time
}

// lasting returns the pairs that hold at now: none behind one that does not.
func (s *Set) lasting(now time.Time) []pair {
	for i, p := range s.pairs {
		if !p.lasts(now) {
			return s.pairs[:i]
		}
	}
	return s.pairs
}

// A Rotation is what a Set proves to who has pinned an earlier key.
type Rotation struct {
	From, To lonja.PeerID
	Until    time.Time // From is not to be trusted any more after this
}

// FollowsFrom returns nil if one of the pinned identities is that of the present
// key, or of an earlier one from which the present one follows at now; then the
// rotation says so. The error is of kind Untrusted and says both fingerprints.
func (s *Set) FollowsFrom(pinned []lonja.PeerID, now time.Time) (*Rotation, error) {
	present := s.Fingerprint()
	if slices.Contains(pinned, present) {
		return nil, nil
	}
	until := s.current.NotAfter
	for _, p := range s.lasting(now) {
		if p.end().Before(until) {
			until = p.end()
		}
		if from := identityOf(p.bond); slices.Contains(pinned, from) {
			return &Rotation{From: from, To: present, Until: until}, nil
		}
	}
	return nil, &UnknownAuthorityError{Pinned: slices.Clone(pinned), Found: present}
}

// An UnknownAuthorityError says that a directory is not the one that was
// expected. It is of kind Untrusted.
type UnknownAuthorityError struct {
	Pinned []lonja.PeerID // none if there was no expectation
	Found  lonja.PeerID
}

// Error says both fingerprints.
func (e *UnknownAuthorityError) Error() string {
	if len(e.Pinned) == 0 {
		return fmt.Sprintf("nothing is known of the directory; its fingerprint is %v", e.Found)
	}
	return fmt.Sprintf("the directory has the fingerprint %v, and not %v, which is trusted: "+
		"either somebody stands between, or it was set up anew; ask who runs it", e.Found, e.Pinned[len(e.Pinned)-1])
}

// Unwrap returns the kind.
func (e *UnknownAuthorityError) Unwrap() error { return lonja.Untrusted }

// verify returns nil if the set vouches for leaf at now, for that usage. Others
// are certificates that came with it: with them a key that is newer than the
// set may follow from it.
func (s *Set) verify(leaf *x509.Certificate, others []*x509.Certificate, usage x509.ExtKeyUsage, now time.Time) error {
	if leaf.IsCA {
		return errors.New("it is the certificate of an authority, not of one that it vouches for")
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(s.current)
	for _, p := range s.pairs {
		between.AddCert(p.bond)
	}
	for _, c := range others {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return explain(err, leaf, now)
}

// explain says in plain words what is wrong with a certificate.
func explain(err error, leaf *x509.Certificate, now time.Time) error {
	if err == nil {
		return nil
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		switch {
		case invalid.Reason == x509.IncompatibleUsage:
			return errors.New("the certificate is not meant for this")
		case invalid.Reason != x509.Expired:
		case now.Before(leaf.NotBefore):
			return fmt.Errorf("the certificate is not valid before %s, and here it is %s: is one of the clocks wrong?", stamp(leaf.NotBefore), stamp(now))
		case now.After(leaf.NotAfter):
			return fmt.Errorf("the certificate has expired at %s, and here it is %s: is one of the clocks wrong?", stamp(leaf.NotAfter), stamp(now))
		default:
			return errors.New("the authority that signed the certificate is not valid any more")
		}
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return errors.New("the certificate is signed by another authority: that is no member of this directory")
	}
	return fmt.Errorf("the certificate is not valid: %w", err)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func untrusted(op string, err error) error { return lonja.E(lonja.Untrusted, op, err) }

// identityOf returns the identity of a certificate whose key has been looked at.
func identityOf(c *x509.Certificate) lonja.PeerID {
	key, err := peercert.KeyOf(c)
	if err != nil {
		panic(err) // newSet has looked
	}
	return key.ID()
}
