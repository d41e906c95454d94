package directory

import (
	"lonja/internal/store"
)

// compareKeys looks whether the index has the keys that a record says.
func (c *check) compareKeys(name recordName, e store.Event) {
	d := c.directory
	d.mu.RLock()
	defer d.mu.RUnlock()
	a, exists := d.index.Account(name.user)
	if !exists || a.Incarnation != name.incarnation {
		return // its account is gone; it waits to be purged
	}
	keys, _, err := parseKeys(name.user, e.Value)
	switch {
	case err != nil:
		c.note(damagedRecord, "keys of %s, record %d: %v", name.user, e.Rev, err)
	case a.KeysRev == 0:
		c.note(missingEntry, "keys of %s, record %d, are not in the index", name.user, e.Rev)
	case a.KeysRev != uint64(e.Rev) || string(d.index.Keys(name.user)) != string(keys):
		c.note(differentEntry, "keys of %s, record %d, are record %d in the index, or say something else", name.user, e.Rev, a.KeysRev)
	}
}

// compareLedger does so with an invitation or a revocation.
func (c *check) compareLedger(name recordName, e store.Event) {
	d := c.directory
	d.mu.RLock()
	defer d.mu.RUnlock()
	want := newLedger()
	if err := want.set(name, e.Value, uint64(e.Rev)); err != nil {
		c.note(damagedRecord, "record %d: %v", e.Rev, err)
		return
	}
	what, there, same := "an invitation", false, false
	switch name.kind {
	case authorityRecord:
		what, there, same = "the authority", d.ledger.authority.rev != 0, d.ledger.authority == want.authority
	case invitationRecord:
		var got heldInvitation
		got, there = d.ledger.invitations[name.invitation]
		same = got == want.invitations[name.invitation]
	default:
		what = "a revocation"
		var place int
		if place, there = d.ledger.findRevocation(&want.revocations[0]); there {
			same = d.ledger.revocations[place] == want.revocations[0]
		}
	}
	switch {
	case !there:
		c.note(missingEntry, "%s, record %d, is not in the index", what, e.Rev)
	case !same:
		c.note(differentEntry, "%s, record %d, says something else in the index", what, e.Rev)
	}
}

// findExtraInLedger looks for entries of the ledger that the store does not have.
func (c *check) findExtraInLedger() {
	d := c.directory
	d.mu.RLock()
	defer d.mu.RUnlock()
	for hash, i := range d.ledger.invitations {
		if !c.has(invitationKey(hash)) && store.Rev(i.rev) <= c.barrier {
			c.note(extraEntry, "invitation %s is in the index and not in the store", i.ID)
		}
	}
	for _, r := range d.ledger.revocations {
		if !c.has(revocationKey(r.at, r.User, r.Key)) && store.Rev(r.rev) <= c.barrier {
			c.note(extraEntry, "a revocation of a key of %s is in the index and not in the store", r.User)
		}
	}
}
