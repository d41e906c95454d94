package statement

import (
	"errors"
	"fmt"
	"slices"

	"lonja"
)

// CheckRing returns nil if ring can be the keys of one user: the first endorsed
// by none, each further one by an earlier one, each there once, all signatures
// right. A key that has not agreed may be among them: there were such once. Which of them count, Speaks and Follows tell. The error is of kind
// Untrusted.
func CheckRing(ring []lonja.KeyRecord) error {
	if len(ring) == 0 {
		return untrusted("", errors.New("there are none"))
	}
	user := ring[0].User
	if err := checkOrder(ring); err != nil {
		return untrusted(user, err)
	}
	if err := CheckKey(ring[0].Key); err != nil {
		return untrusted(user, err)
	}
	for _, r := range ring[1:] {
		if err := VerifyEndorsement(r.Endorsement); err != nil {
			return untrusted(user, err)
		}
		if !Agreed(r.Endorsement) {
			continue
		}
		if err := VerifyConsent(ring[0].Key, r.Endorsement); err != nil {
			return err
		}
	}
	return nil
}

func untrusted(user lonja.UserName, err error) error {
	return &lonja.Error{Kind: lonja.Untrusted, Op: "check keys", User: user, Err: err}
}

// checkOrder is CheckRing without the signatures.
func checkOrder(ring []lonja.KeyRecord) error {
	if len(ring) > lonja.MaxKeys {
		return fmt.Errorf("%d keys, at most %d may be", len(ring), lonja.MaxKeys)
	}
	if len(ring) > 0 && (ring[0].Signature != lonja.Signature{} || ring[0].Consent != lonja.Signature{}) {
		return errors.New("the first key is signed by another")
	}
	for i, r := range ring {
		if r.User != ring[0].User {
			return errors.New("they are not all of one user")
		}
		if err := checkEndorsement(r.Endorsement); err != nil {
			return err
		}
		if r.Revoked < 0 {
			return errors.New("one was revoked before 1970")
		}
		if find(ring[:i], r.Key) >= 0 {
			return fmt.Errorf("key %s is there twice", short(r.Key))
		}
		if err := checkEndorser(ring[:i], r); err != nil {
			return err
		}
	}
	return nil
}

// checkEndorser looks for who endorsed r among the keys before it.
func checkEndorser(before []lonja.KeyRecord, r lonja.KeyRecord) error {
	if len(before) == 0 {
		if !r.By.IsZero() {
			return errors.New("the first key is endorsed by one that is not there")
		}
		return nil
	}
	switch {
	case r.By.IsZero():
		return fmt.Errorf("key %s is endorsed by none", short(r.Key))
	case find(before, r.By) < 0:
		return fmt.Errorf("key %s is endorsed by one that does not come before it", short(r.Key))
	}
	return nil
}

// Speaks reports whether key speaks for the user of ring, which CheckRing has
// taken: it is not revoked, and neither was, by the dates of the endorsements,
// any key when it endorsed the next one on the way from the first key to it; and
// all on that way have agreed.
//
// Those dates are what the keys themselves have signed. That a stolen key does
// not date back what it signs after it was revoked, the directory sees to when
// it takes an endorsement (Endorse). That a key is revoked is the
// directory's word: it can take rights away, and give none.
func Speaks(ring []lonja.KeyRecord, key lonja.PublicKey) bool {
	return len(ring) > 0 && follow(ring, ring[0].Key, key) == nil
}

// Follows returns nil if ring is one that CheckRing takes, and key is one that
// somebody who trusts pinned can trust: it speaks for the user, and is pinned
// itself or endorsed by it, or by one that follows from it. Pinned may have been
// revoked since: what it endorsed before that holds. Untrusted.
func Follows(pinned lonja.PublicKey, ring []lonja.KeyRecord, key lonja.PublicKey) error {
	err := CheckRing(ring)
	if err == nil {
		err = follow(ring, pinned, key)
	}
	if err == nil {
		err = follow(ring, ring[0].Key, key)
	}
	return err
}

// follow goes from key, which must not be revoked, from endorser to endorser to
// the key from.
func follow(ring []lonja.KeyRecord, from, key lonja.PublicKey) error {
	user, at := ring[0].User, find(ring, key)
	switch {
	case at < 0:
		return untrusted(user, fmt.Errorf("key %s is none of them", short(key)))
	case ring[at].Revoked != 0:
		return untrusted(user, fmt.Errorf("key %s has been revoked", short(key)))
	}
	for ring[at].Key != from {
		by := find(ring[:at], ring[at].By) // an earlier one, so this ends
		if by < 0 {
			return untrusted(user, fmt.Errorf("key %s does not follow from key %s, which is trusted", short(key), short(from)))
		}
		if !Agreed(ring[at].Endorsement) {
			return untrusted(user, fmt.Errorf("key %s has not agreed to speak for the user", short(ring[at].Key)))
		}
		if end := ring[by].Revoked; end != 0 && end <= ring[at].Date {
			return untrusted(user, fmt.Errorf("key %s is endorsed by one that was revoked then", short(ring[at].Key)))
		}
		at = by
	}
	return nil
}

// Endorse returns ring, which CheckRing has taken, with one key more, by an
// endorsement of a key that speaks for the user now: a new key, or, in its own
// place, one that had not agreed. Ring itself is not changed. Untrusted, or
// Limited if there are MaxKeys already.
func Endorse(ring []lonja.KeyRecord, e lonja.Endorsement) ([]lonja.KeyRecord, error) {
	if !Speaks(ring, e.By) {
		return nil, untrusted(e.User, fmt.Errorf("key %s does not speak for the user and cannot endorse another", short(e.By)))
	}
	next, added := slices.Clip(slices.Clone(ring)), lonja.KeyRecord{Endorsement: e}
	if at := find(ring, e.Key); at >= 0 && !Agreed(ring[at].Endorsement) && ring[at].Revoked == 0 {
		next[at] = added
	} else if len(ring) < lonja.MaxKeys {
		next = append(next, added)
	} else {
		return nil, &lonja.Error{
			Kind: lonja.Limited, Op: "add key", User: e.User,
			Err: fmt.Errorf("an account has at most %d keys, revoked ones included", lonja.MaxKeys),
		}
	}
	if err := checkOrder(next); err != nil {
		return nil, untrusted(e.User, err)
	}
	err := VerifyEndorsement(e)
	if err == nil {
		err = VerifyConsent(ring[0].Key, e)
	}
	if err != nil {
		return nil, err
	}
	return next, nil
}

// CheckRevocation returns nil if r takes back a key of ring, which CheckRing has
// taken, and is signed by a key that speaks for the user, the key itself among
// them. Its date must be one after which the other keys that speak still do, so
// that nobody locks itself out by clocks that differ. Untrusted.
func CheckRevocation(ring []lonja.KeyRecord, r lonja.Revocation) error {
	at := find(ring, r.Key)
	switch {
	case len(ring) == 0 || ring[0].User != r.User:
		return untrusted(r.User, errors.New("the revocation is for another user"))
	case at < 0:
		return untrusted(r.User, fmt.Errorf("key %s, which is to be revoked, is none of them", short(r.Key)))
	case ring[at].Revoked != 0:
		return untrusted(r.User, fmt.Errorf("key %s has been revoked already", short(r.Key)))
	case !Speaks(ring, r.By):
		return untrusted(r.User, fmt.Errorf("key %s does not speak for the user and cannot revoke", short(r.By)))
	}
	after := slices.Clone(ring)
	after[at].Revoked = r.Date
	for _, other := range ring {
		if other.Key != r.Key && Speaks(ring, other.Key) && !Speaks(after, other.Key) {
			return untrusted(r.User, fmt.Errorf("the revocation is dated before key %s was endorsed", short(other.Key)))
		}
	}
	return VerifyRevocation(r)
}

func find(ring []lonja.KeyRecord, key lonja.PublicKey) int {
	return slices.IndexFunc(ring, func(r lonja.KeyRecord) bool { return r.Key == key })
}

// short shows as much of a key's identity as tells the keys of one user apart.
func short(k lonja.PublicKey) string { return k.ID().String()[:16] }
