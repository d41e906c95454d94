package directory

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"

	"lonja"
	"lonja/internal/operator"
)

// An invitationHash is what is kept of an invitation's secret.
type invitationHash [sha256.Size]byte

func hashInvitation(secret lonja.Invitation) invitationHash {
	return sha256.Sum256([]byte("lonja invitation\x00" + secret))
}

// A ledger is what a store holds beside accounts and publications: invitations,
// and the keys that were taken back. It is fed as the index is.
type ledger struct {
	invitations map[invitationHash]heldInvitation
	revocations []heldRevocation // by when they came
	authority   heldAuthority
}

type heldInvitation struct {
	operator.Invitation
	rev uint64
}

type heldRevocation struct {
	lonja.Revocation
	at  int64 // by the directory's clock
	rev uint64
}

type heldAuthority struct {
	id  lonja.PeerID // zero: the store is not shared, or no node has begun yet
	rev uint64
}

func newLedger() *ledger { return &ledger{invitations: make(map[invitationHash]heldInvitation)} }

func (r *heldRevocation) compare(o *heldRevocation) int {
	return cmp.Or(cmp.Compare(r.at, o.at), strings.Compare(string(r.User), string(o.User)), slices.Compare(r.Key[:], o.Key[:]))
}

func (l *ledger) findRevocation(r *heldRevocation) (int, bool) {
	return slices.BinarySearchFunc(l.revocations, r, func(a heldRevocation, b *heldRevocation) int { return a.compare(b) })
}

// set takes in a record, which is gone if its value is nil.
func (l *ledger) set(name recordName, value []byte, rev uint64) error {
	if name.kind == authorityRecord {
		id, err := parseAuthority(value)
		l.authority = heldAuthority{id, rev}
		return err
	}
	if name.kind == invitationRecord {
		if value == nil {
			delete(l.invitations, name.invitation)
			return nil
		}
		i, err := parseInvitation(name.invitation, value)
		l.invitations[name.invitation] = heldInvitation{i, rev}
		return err
	}
	held := heldRevocation{lonja.Revocation{User: name.user, Key: name.key}, name.at, rev}
	place, there := l.findRevocation(&held)
	if value == nil {
		if there {
			l.revocations = slices.Delete(l.revocations, place, place+1)
		}
		return nil
	}
	var err error
	if held.Revocation, err = parseRevocation(name, value); err != nil {
		return err
	}
	if there {
		l.revocations[place] = held
	} else {
		l.revocations = slices.Insert(l.revocations, place, held)
	}
	return nil
}

// after returns up to limit of the revocations that come after the given one, and
// whether there are more.
func (l *ledger) after(last *heldRevocation, limit int) (some []heldRevocation, more bool) {
	first, there := l.findRevocation(last)
	if there {
		first++
	}
	rest := l.revocations[first:]
	return rest[:min(len(rest), limit)], len(rest) > limit
}
