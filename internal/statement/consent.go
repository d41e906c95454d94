package statement

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"

	"lonja"
)

// SignConsent returns the Consent of an Endorsement of signer's key: that it is
// to speak for the account of user that began with the key first. The name alone
// would not do: who has it next could use the consent too. The error is of kind
// Invalid.
func SignConsent(user lonja.UserName, first lonja.PublicKey, signer crypto.Signer) (lonja.Signature, error) {
	key, err := publicKey(signer)
	if err != nil {
		return lonja.Signature{}, err
	}
	if _, err := lonja.ParseMemberName(string(user)); err != nil {
		return lonja.Signature{}, err
	}
	return sign(signer, Consent(user, first, key))
}

// VerifyConsent returns nil if the key of e has agreed to speak for the account
// of its user that began with the key first. Untrusted.
func VerifyConsent(first lonja.PublicKey, e lonja.Endorsement) error {
	if !Agreed(e) {
		return untrusted(e.User, fmt.Errorf("key %s has not agreed to speak for the user", short(e.Key)))
	}
	if err := verify(e.Key, Consent(e.User, first, e.Key), e.Consent, Signed); err != nil {
		return untrusted(e.User, fmt.Errorf("what key %s has agreed to is not to speak for this account: %w", short(e.Key), err))
	}
	return nil
}

// Agreed reports whether an endorsement has what it needs of the key itself, as
// far as that can be seen without checking it.
func Agreed(e lonja.Endorsement) bool { return e.By.IsZero() || e.Consent != lonja.Signature{} }

// A Request is what a device shows that is to speak for a user, for one to sign
// that does so already: its key, and the Consent of the Endorsement.
type Request struct {
	Key     lonja.PublicKey
	Consent lonja.Signature
}

const requestSize = len(Request{}.Key) + len(Request{}.Consent)

// String returns the form that ParseRequest takes: one word, of the key and the
// signature in base64.
func (r Request) String() string {
	return base64.RawURLEncoding.EncodeToString(append(r.Key[:], r.Consent[:]...))
}

// ParseRequest is the way back. It checks no signature. The error is of kind
// Invalid.
func ParseRequest(s string) (r Request, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	switch {
	case err != nil:
	case len(b) == len(r.Key):
		err = errors.New("it is the key alone, and the key has to agree too")
	case len(b) != requestSize, base64.RawURLEncoding.EncodedLen(len(b)) != len(s):
		err = fmt.Errorf("it has %d characters, not %d", len(s), base64.RawURLEncoding.EncodedLen(requestSize))
	}
	if err != nil {
		return r, lonja.E(lonja.Invalid, "parse request", err)
	}
	copy(r.Consent[:], b[copy(r.Key[:], b):])
	return r, nil
}
