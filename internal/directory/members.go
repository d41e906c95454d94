package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"lonja"
	"lonja/internal/index"
	"lonja/internal/presence"
	"lonja/internal/statement"
	"lonja/internal/store"
)

// What errors say was attempted, where it is no operation of the classic
// protocol.
const (
	opAuthorize = "authorize"
	opRegister  = "register"
	opClaim     = "claim"
	opKeys      = "list keys"
	opAddKey    = "add key"
	opRevokeKey = "revoke key"
	opConnect   = "connect"
	opRenew     = "renew session"
	opFetching  = "tell what is fetched"
	opDigest    = "compare content"
	opWatch     = "watch"
)

// A Registration says who may make an account.
type Registration uint8

// Who may register.
const (
	RegisterAll     Registration = iota // everybody
	RegisterInvited                     // members with an invitation
	RegisterNobody
)

// DefaultSessionLease is how long a session lasts that is not renewed.
const DefaultSessionLease = 60 * time.Second

func (o Options) sessionLease() time.Duration {
	return cmp.Or(o.SessionLease, DefaultSessionLease).Round(time.Millisecond)
}

// aheadAtMost is how far ahead of this clock the date of what is signed may be.
const aheadAtMost = 24 * time.Hour

// memberFailure builds the error of a rule that was not kept; cause may be nil.
func memberFailure(kind lonja.Kind, op string, user lonja.UserName, cause error) error {
	return &lonja.Error{Kind: kind, Op: op, User: user, Err: cause}
}

// ring returns the keys of a user, none if it has no account or is bound to none.
// The caller holds mu.
func (d *Directory) ring(user lonja.UserName) []lonja.KeyRecord {
	keys := d.index.Keys(user)
	if keys == nil {
		return nil
	}
	ring, err := parseRing(user, keys)
	if err != nil {
		panic(err) // it was read when it came
	}
	return ring
}

// authorized returns the account of a member who may act for it. The caller
// holds mu.
func (d *Directory) authorized(op string, m lonja.Member) (index.Account, error) {
	a, exists := d.index.Account(m.User)
	switch {
	case !exists:
		return a, memberFailure(lonja.NoSuchUser, op, m.User, nil)
	case a.Bound && !statement.Speaks(d.ring(m.User), m.Key):
		return a, memberFailure(lonja.OtherKey, op, m.User, nil)
	}
	return a, nil
}

// Authorize implements lonja.Members.
func (d *Directory) Authorize(member lonja.Member) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	_, err := d.authorized(opAuthorize, member)
	return err
}

// Bound reports whether a user has an account that is bound to keys: nobody acts
// for it who has not proved to hold one.
func (d *Directory) Bound(user lonja.UserName) bool {
	a, _ := d.account(user)
	return a.Bound
}

// attempts bounds how often a change is tried again that others were faster than
// each time.
const attempts = 100

// retry does a change again and again while others are faster, each time with
// what they have made of it.
func (d *Directory) retry(ctx context.Context, try func() error) error {
	for range attempts {
		err := try()
		if !errors.Is(err, lonja.Conflict) {
			return err
		}
		if err := d.catchUp(ctx); err != nil {
			return err
		}
	}
	return lonja.E(lonja.Unavailable, "directory", errors.New("too many others change the same"))
}

// catchUp waits until the index has all that was acknowledged before the call.
func (d *Directory) catchUp(ctx context.Context) error {
	barrier, err := d.store.Barrier(ctx)
	if err != nil {
		return err
	}
	return d.wait(ctx, barrier)
}

// firstKey returns the keys of an account that is bound to its first one now.
func firstKey(op string, m lonja.Member) ([]lonja.KeyRecord, error) {
	if _, err := lonja.ParseMemberName(string(m.User)); err != nil {
		return nil, err
	}
	ring := []lonja.KeyRecord{{Endorsement: lonja.Endorsement{User: m.User, Key: m.Key, Date: time.Now().Unix()}}}
	if err := statement.CheckRing(ring); err != nil {
		return nil, memberFailure(lonja.Untrusted, op, m.User, err)
	}
	return ring, nil
}

// RegisterMember implements lonja.Members.
func (d *Directory) RegisterMember(ctx context.Context, member lonja.Member, invitation lonja.Invitation) error {
	ring, err := firstKey(opRegister, member)
	if err != nil {
		return err
	}
	return d.retry(ctx, func() error {
		if _, exists := d.account(member.User); exists {
			return memberFailure(lonja.NameInUse, opRegister, member.User, nil)
		}
		changes, err := d.invited(member.User, invitation)
		if err != nil {
			return err
		}
		value, err := appendBoundAccount(nil, d.newIncarnation(), ring)
		if err != nil {
			return err
		}
		return d.write(ctx, append(changes, store.Change{Key: userKey(member.User), Value: value})...)
	})
}

// Claim implements lonja.Members.
func (d *Directory) Claim(ctx context.Context, member lonja.Member, from netip.Addr) error {
	return d.retry(ctx, func() error {
		a, err := d.mayClaim(member, from)
		if err != nil || a.Bound {
			return err
		}
		ring, err := firstKey(opClaim, member)
		if err != nil {
			return err
		}
		value, err := appendKeys(nil, ring)
		if err != nil {
			return err
		}
		return d.write(ctx, store.Change{Key: keysKey(member.User, a.Incarnation), Value: value, Expect: store.Rev(a.KeysRev)})
	})
}

// mayClaim returns the account that the member may bind to its key, or has bound
// already.
func (d *Directory) mayClaim(member lonja.Member, from netip.Addr) (index.Account, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	a, err := d.authorized(opClaim, member)
	if err != nil || a.Bound {
		return a, err
	}
	lease, connected := d.leases.Lookup(member.User)
	switch {
	case !a.Connected || !connected:
		return a, memberFailure(lonja.NotConnected, opClaim, member.User, nil)
	case lease.Detail == "" && lease.At.Addr() == from.Unmap().WithZone(""):
	case lease.Detail != "" && keyOfDetail(lease.Detail) == member.Key:
	default:
		return a, memberFailure(lonja.Forbidden, opClaim, member.User, errors.New("another node is connected"))
	}
	return a, nil
}

// Keys implements lonja.Members.
func (d *Directory) Keys(_ context.Context, of lonja.UserName) ([]lonja.KeyRecord, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, exists := d.index.Account(of); !exists {
		return nil, memberFailure(lonja.NoSuchOwner, opKeys, of, nil)
	}
	return d.ring(of), nil
}

// changeKeys replaces the keys of the member's account by what change makes of
// them, with further changes beside it.
func (d *Directory) changeKeys(ctx context.Context, op string, m lonja.Member, change func([]lonja.KeyRecord) ([]lonja.KeyRecord, error), more ...store.Change) error {
	return d.retry(ctx, func() error {
		d.mu.RLock()
		a, err := d.authorized(op, m)
		ring := d.ring(m.User)
		d.mu.RUnlock()
		if err == nil && !a.Bound {
			err = memberFailure(lonja.OtherKey, op, m.User, errors.New("the account is bound to no key"))
		}
		if err == nil {
			ring, err = change(ring)
		}
		if err != nil {
			return err
		}
		value, err := appendKeys(nil, ring)
		if err != nil {
			return err
		}
		keys := store.Change{Key: keysKey(m.User, a.Incarnation), Value: value, Expect: store.Rev(a.KeysRev)}
		return d.write(ctx, append([]store.Change{keys}, more...)...)
	})
}

// inTime returns an error for a date that is too far ahead.
func inTime(op string, user lonja.UserName, date int64) error {
	if date > time.Now().Add(aheadAtMost).Unix() {
		return memberFailure(lonja.Untrusted, op, user, fmt.Errorf("its date, %d, is more than %v ahead: set the clock", date, aheadAtMost))
	}
	return nil
}

// AddKey implements lonja.Members.
func (d *Directory) AddKey(ctx context.Context, member lonja.Member, e lonja.Endorsement) error {
	return d.changeKeys(ctx, opAddKey, member, func(ring []lonja.KeyRecord) ([]lonja.KeyRecord, error) {
		if err := inTime(opAddKey, member.User, e.Date); err != nil {
			return nil, err
		}
		next, err := statement.Endorse(ring, e)
		if errors.Is(err, lonja.Invalid) {
			err = memberFailure(lonja.Untrusted, opAddKey, member.User, err)
		}
		return next, err
	})
}

// RevokeKey implements lonja.Members. What the key signed is taken off the lists
// at once, here, and when they learn of it by the other nodes of the store.
func (d *Directory) RevokeKey(ctx context.Context, member lonja.Member, r lonja.Revocation) error {
	record := store.Change{Key: revocationKey(min(time.Now().Unix(), maxTime), r.User, r.Key), Value: appendRevocation(nil, r)}
	err := d.changeKeys(ctx, opRevokeKey, member, func(ring []lonja.KeyRecord) ([]lonja.KeyRecord, error) {
		if err := inTime(opRevokeKey, member.User, r.Date); err != nil {
			return nil, err
		}
		if err := statement.CheckRevocation(ring, r); err != nil {
			return nil, err
		}
		for i := range ring {
			if ring[i].Key == r.Key {
				ring[i].Revoked = r.Date
			}
		}
		return ring, nil
	}, record)
	if err != nil {
		return err
	}
	d.settled(member.User)
	d.told(ctx)
	if err := d.deleteForbidden(ctx); err != nil {
		d.log.Info("publications that a revoked key has signed are deleted later", slog.Any("error", err))
	}
	return nil // the key is revoked, whatever stays to be done
}

// ContentDigest implements lonja.Members.
func (d *Directory) ContentDigest(_ context.Context, owner lonja.UserName) (lonja.ContentDigest, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, exists := d.index.Account(owner); !exists {
		return lonja.ContentDigest{}, memberFailure(lonja.NoSuchUser, opDigest, owner, nil)
	}
	return d.index.Digest(owner), nil
}

// valid reports whether a lease is one of the account: begun after it was made,
// and, if it is a session, by a key that may act for it. The caller holds mu.
func (d *Directory) valid(a index.Account, stamp presence.Stamp, detail string) bool {
	return ofAccount(a, stamp) && (detail == "" || !a.Bound || statement.Speaks(d.ring(a.User), keyOfDetail(detail)))
}
