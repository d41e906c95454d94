package directory

import (
	"context"
	"time"

	"lonja"
	"lonja/internal/index"
	"lonja/internal/store"
)

// Unregister implements lonja.Accounts.
func (d *Directory) Unregister(ctx context.Context, user lonja.UserName) error {
	return d.unregister(ctx, user, anybody)
}

// UnregisterMember implements lonja.Members.
func (d *Directory) UnregisterMember(ctx context.Context, member lonja.Member) error {
	return d.unregister(ctx, member.User, d.permit(lonja.OpUnregister, member))
}

// A permit returns why something may not be done for a user now. The caller holds
// mu, and goes on holding it until it is done, or has the store do it only to what
// it has seen: so the name cannot become another's in between.
type permit func() error

// anybody may: who calls has seen to it.
func anybody() error { return nil }

// permit is for what a member may do.
func (d *Directory) permit(op lonja.Operation, m lonja.Member) permit {
	return func() error {
		_, err := d.authorized(op.String(), m)
		return err
	}
}

// unregister removes the account of user that is there when it is called, if the
// one who asks may do that at the moment at which it is removed.
func (d *Directory) unregister(ctx context.Context, user lonja.UserName, may permit) error {
	var meant uint64
	return d.retry(ctx, func() error {
		d.mu.RLock()
		a, exists := d.index.Account(user)
		if !exists || meant != 0 && a.Incarnation != meant {
			d.mu.RUnlock()
			return failure(lonja.NoSuchUser, lonja.OpUnregister, user) // somebody else was first
		}
		meant = a.Incarnation
		err := may()
		var changes []store.Change
		if err == nil {
			changes, err = d.ending(a, time.Now())
		}
		d.mu.RUnlock()
		if err != nil {
			return err
		}
		return d.write(ctx, changes...)
	})
}

// ending returns what removes an account: its record, and a revocation for each of
// its keys, whose certificates last longer. Its keys are written as they are, so
// that none comes between; they are purged with everything else of the account.
// The caller holds mu.
func (d *Directory) ending(a index.Account, now time.Time) ([]store.Change, error) {
	account := store.Change{Key: userKey(a.User), Expect: store.Rev(a.Rev)}
	ring := d.ring(a.User)
	if len(ring) == 0 {
		return []store.Change{account}, nil
	}
	value, err := appendKeys(nil, ring)
	if err != nil {
		return nil, err
	}
	changes := []store.Change{{Key: keysKey(a.User, a.Incarnation), Value: value, Expect: store.Rev(a.KeysRev)}, account}
	at := min(now.Unix(), maxTime)
	for _, r := range ring {
		if r.Revoked != 0 {
			continue // for good
		}
		ended := heldRevocation{Revocation: lonja.Revocation{User: a.User, Key: r.Key, Date: at, Account: a.Incarnation}, at: at}
		record := store.Change{Key: revocationKey(at, a.User, r.Key), Value: appendRevocation(nil, ended.Revocation)}
		if place, there := d.ledger.findRevocation(&ended); there {
			record.Expect = store.Rev(d.ledger.revocations[place].rev) // an account of the same second
		}
		changes = append(changes, record)
	}
	return changes, nil
}

// Account implements lonja.Members.
func (d *Directory) Account(_ context.Context, member lonja.Member) (uint64, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	a, err := d.authorized(opAuthorize, member)
	if err != nil || !a.Bound {
		return 0, err
	}
	return a.Incarnation, nil
}
