package statement

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"filippo.io/edwards25519"
	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"lonja"
)

// MaxAudience bounds the audience of a publication, in users.
const MaxAudience = 200

// SignPublication returns p with a Proof of its own that has the key of signer
// and its signature; p itself is not changed. The Proof of p must have the file
// and the date, and may have an audience, in any order. Signer is an Ed25519
// key. The error is of kind Invalid for what CheckForm does not take.
func SignPublication(p lonja.Publication, signer crypto.Signer) (lonja.Publication, error) {
	key, err := publicKey(signer)
	if err != nil {
		return p, err
	}
	if p.Proof == nil {
		return p, lonja.E(lonja.Invalid, "sign publication", errors.New("it has no content and no date"))
	}
	proof := *p.Proof
	proof.Audience = slices.Compact(slices.Sorted(slices.Values(p.Proof.Audience)))
	proof.Key = key
	p.Proof = &proof
	if err := CheckForm(p); err != nil {
		return p, err
	}
	proof.Signature, err = sign(signer, Publication(p))
	return p, err
}

// VerifyPublication returns nil if p is one that CheckForm takes and the key of
// its Proof has signed it. Whether that key speaks for the owner is another
// question: see Speaks and Follows. Invalid, Untrusted.
func VerifyPublication(p lonja.Publication) error { return VerifyPublicationBy(p, Signed) }

// VerifyPublicationBy is VerifyPublication for those who check many at once:
// signed says the same as Signed.
func VerifyPublicationBy(p lonja.Publication, signed SignedFunc) error {
	if err := CheckForm(p); err != nil {
		return err
	}
	if err := verify(p.Proof.Key, Publication(p), p.Proof.Signature, signed); err != nil {
		return &lonja.Error{Kind: lonja.Untrusted, Op: "check publication", User: p.Owner, File: p.Name, Err: err}
	}
	return nil
}

// CheckForm returns nil if p can be a signed publication: names of the secure
// dialect, a known size, a content, a date, and an audience in the order of its
// bytes. The error is of kind Invalid.
func CheckForm(p lonja.Publication) error {
	err := checkForm(p)
	if err != nil {
		return &lonja.Error{Kind: lonja.Invalid, Op: "check publication", User: p.Owner, File: p.Name, Err: err}
	}
	return nil
}

func checkForm(p lonja.Publication) error {
	if _, err := lonja.ParseMemberName(string(p.Owner)); err != nil {
		return err
	}
	if _, err := lonja.ParsePublishedName(string(p.Name)); err != nil {
		return err
	}
	if _, err := lonja.ParseDescription(string(p.Description)); err != nil {
		return err
	}
	switch {
	case p.Proof == nil:
		return errors.New("it is not signed")
	case p.Size < 0:
		return errors.New("its size is unknown")
	case p.Proof.File.IsZero():
		return errors.New("its content is unknown")
	case p.Proof.Date < 0:
		return errors.New("its date is before 1970")
	case p.Proof.Folder != nil && (p.Proof.Folder.Files < 0 || p.Proof.Folder.ListSize <= 0):
		return errors.New("it is a folder of which it does not say how many files it has, or how long the list of them is")
	}
	return checkAudience(p.Proof.Audience)
}

func checkAudience(audience []lonja.UserName) error {
	if len(audience) > MaxAudience {
		return fmt.Errorf("%d users are meant, at most %d may be", len(audience), MaxAudience)
	}
	for i, user := range audience {
		if _, err := lonja.ParseUserName(string(user)); err != nil {
			return err
		}
		if i > 0 && audience[i-1] >= user {
			return errors.New("the users who are meant are not in order")
		}
	}
	return nil
}

// SignEndorsement returns e, signed by signer, whose key becomes By. The first
// key of an account needs no signature and none of this.
func SignEndorsement(e lonja.Endorsement, signer crypto.Signer) (_ lonja.Endorsement, err error) {
	if e.By, err = publicKey(signer); err != nil {
		return e, err
	}
	if err = errors.Join(checkEndorsement(e), CheckKey(e.Key)); err != nil {
		return e, &lonja.Error{Kind: lonja.Invalid, Op: "endorse key", User: e.User, Err: err}
	}
	e.Signature, err = sign(signer, Endorsement(e))
	return e, err
}

// VerifyEndorsement returns nil if the key By has signed e. Untrusted, Invalid.
func VerifyEndorsement(e lonja.Endorsement) error {
	kind := lonja.Invalid
	err := checkEndorsement(e)
	if err == nil {
		kind, err = lonja.Untrusted, errors.Join(CheckKey(e.Key), verify(e.By, Endorsement(e), e.Signature, Signed))
	}
	if err != nil {
		return &lonja.Error{Kind: kind, Op: "check endorsement", User: e.User, Err: err}
	}
	return nil
}

// checkEndorsement returns why e can be nobody's endorsement.
func checkEndorsement(e lonja.Endorsement) error {
	if _, err := lonja.ParseMemberName(string(e.User)); err != nil {
		return err
	}
	switch {
	case len(e.Label) > lonja.MaxLabel:
		return fmt.Errorf("the label of a key is too long: %d bytes, at most %d", len(e.Label), lonja.MaxLabel)
	case lonja.Printable(e.Label) != e.Label:
		return fmt.Errorf("the label of a key has something in it that cannot be shown: %q", e.Label)
	case e.Date < 0:
		return errors.New("the date of a key is before 1970")
	case e.By == e.Key:
		return errors.New("a key cannot speak for itself")
	}
	return nil
}

// SignRevocation returns r, signed by signer, whose key becomes By.
func SignRevocation(r lonja.Revocation, signer crypto.Signer) (_ lonja.Revocation, err error) {
	if r.By, err = publicKey(signer); err != nil {
		return r, err
	}
	if r.Date <= 0 {
		return r, &lonja.Error{Kind: lonja.Invalid, Op: "revoke key", User: r.User, Err: errors.New("it has no date")}
	}
	r.Signature, err = sign(signer, Revocation(r))
	return r, err
}

// VerifyRevocation returns nil if the key By has signed r. Whether that key may
// do it, CheckRevocation tells. Untrusted.
func VerifyRevocation(r lonja.Revocation) error {
	err := verify(r.By, Revocation(r), r.Signature, Signed)
	if err == nil && r.Date <= 0 {
		err = errors.New("it has no date")
	}
	if err != nil {
		return &lonja.Error{Kind: lonja.Untrusted, Op: "check revocation", User: r.User, Err: err}
	}
	return nil
}

// CheckKey returns nil if k is a key that only its owner can sign with: one of
// the few points of small order "signs" many statements for anybody. Who binds
// a key to a name asks this first. The error is of kind Untrusted.
func CheckKey(k lonja.PublicKey) error {
	point, err := new(edwards25519.Point).SetBytes(k[:])
	if err != nil || !bytes.Equal(point.Bytes(), k[:]) { // each point has one form that is its own
		return lonja.E(lonja.Untrusted, "check key", errors.New("it is not an Ed25519 key"))
	}
	if point.MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return lonja.E(lonja.Untrusted, "check key", errors.New("it is one that anybody can sign with"))
	}
	return nil
}

// A SignedFunc reports whether key has signed a statement.
type SignedFunc func(key lonja.PublicKey, statement []byte, signature lonja.Signature) bool

// Signed reports whether key has signed a statement, by the cofactored equation
// of RFC 8032, 5.1.7: the one that says the same of a signature alone and of many
// together (Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs", 2020). A
// key that CheckKey does not take has signed nothing.
func Signed(key lonja.PublicKey, statement []byte, signature lonja.Signature) bool {
	return voi.Verify(key[:], statement, signature[:])
}

func verify(key lonja.PublicKey, statement []byte, signature lonja.Signature, signed SignedFunc) error {
	if signed(key, statement, signature) {
		return nil
	}
	if err := CheckKey(key); err != nil {
		return err
	}
	return errors.New("the signature is not that of the key")
}

func sign(signer crypto.Signer, statement []byte) (s lonja.Signature, err error) {
	b, err := signer.Sign(nil, statement, crypto.Hash(0))
	if err == nil && len(b) != len(s) {
		err = fmt.Errorf("a signature of %d bytes", len(b))
	}
	if err != nil {
		return s, fmt.Errorf("sign: %w", err)
	}
	return lonja.Signature(b), nil
}

func publicKey(signer crypto.Signer) (lonja.PublicKey, error) {
	k, ok := signer.Public().(ed25519.PublicKey)
	if !ok || len(k) != ed25519.PublicKeySize {
		return lonja.PublicKey{}, lonja.E(lonja.Invalid, "sign", errors.New("only Ed25519 keys sign statements"))
	}
	return lonja.PublicKey(k), nil
}
