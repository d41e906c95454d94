package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/statement"
	"lonja/internal/trust"
)

// What is for some users only is for their keys: a directory that issues
// certificates could issue one for any name. The keys are remembered when the
// file is published, as they are pinned then, and a key that comes later has to
// follow from those.

// askedAtOnce bounds for how many users' keys the directory is asked at once.
const askedAtOnce = 8

// audienceKeys returns the keys by which those are known whom a publication is
// for, its owner among them, and pins who was never met. None are needed for what
// everybody may have. NoSuchOwner for a name that is not there, Invalid for one
// that is bound to no key, and Untrusted if the keys do not follow from those that
// are pinned.
func (d *secureDialect) audienceKeys(ctx context.Context, owner lonja.UserName, audience []lonja.UserName) ([]lonja.Member, error) {
	if len(audience) == 0 {
		return nil, nil
	}
	known := make([][]lonja.Member, 1+len(audience))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(askedAtOnce)
	group.Go(func() (err error) {
		known[0], err = d.knownKeys(ctx, d.member(owner))
		return err
	})
	for i, user := range audience {
		group.Go(func() (err error) {
			known[1+i], err = d.knownKeys(ctx, lonja.Member{User: user})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(known...), nil
}

// knownKeys returns the keys that speak for a user and follow from the one that
// is pinned. One of them has to be that of who, unless it is zero.
func (d *secureDialect) knownKeys(ctx context.Context, who lonja.Member) (known []lonja.Member, err error) {
	refuse := func(kind lonja.Kind, why string) ([]lonja.Member, error) {
		return nil, &lonja.Error{Kind: kind, Op: "publish", User: who.User, Err: errors.New(why)}
	}
	ring, err := d.Directory.Keys(ctx, who.User)
	switch {
	case err != nil:
		return nil, err
	case len(ring) == 0:
		return refuse(lonja.Invalid, "the name is bound to no key: anybody could be meant")
	case !who.Key.IsZero() && !statement.Speaks(ring, who.Key):
		return refuse(lonja.Untrusted, "this node's key is none of the user's, says the directory")
	}
	for _, r := range ring {
		if !statement.Speaks(ring, r.Key) {
			continue
		}
		if untrusted := d.Pins.CheckUser(who.User, ring, r.Key); untrusted != nil {
			err = untrusted
			continue
		}
		known = append(known, lonja.Member{User: who.User, Key: r.Key})
	}
	switch {
	case len(known) > 0:
		return known, nil
	case err != nil:
		return nil, err
	}
	return refuse(lonja.Untrusted, "all keys of the user were revoked")
}

// pinOwn remembers that a new account begins with this node's key: later the
// directory cannot say that it began with another one.
func (d *secureDialect) pinOwn(user lonja.UserName) {
	own := d.Key.PublicKey()
	ring := []lonja.KeyRecord{{Endorsement: lonja.Endorsement{User: user, Key: own, Date: time.Now().Unix()}}}
	if err := d.Pins.CheckUser(user, ring, own); err != nil {
		d.opts.Log.Warn("the account's key is not remembered", slog.Any("user", user), slog.Any("error", err))
	}
}

// A descent is a member's key that follows from another one.
type descent struct {
	member lonja.Member
	from   lonja.PublicKey
}

// What it takes to see whether a key follows: how long the directory is waited
// for, and how many keys are remembered that do.
const (
	keysPatience = 10 * time.Second
	mostDescents = 1 << 10
)

// follows reports whether a member's key follows from one that was known of that
// user, by what the directory says now. A key that does will always: when it is
// revoked, who stops it.
func (m *membership) follows(ctx context.Context, member lonja.Member, known []lonja.PublicKey) bool {
	m.mu.Lock()
	seen := slices.ContainsFunc(known, func(from lonja.PublicKey) bool { return m.descents[descent{member, from}] })
	m.mu.Unlock()
	if seen {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, keysPatience)
	defer cancel()
	ring, err := m.Directory.Keys(ctx, member.User)
	var from lonja.PublicKey
	if err == nil {
		from, err = trust.Follows(known, member, ring)
	}
	if err != nil {
		m.opts.Log.Warn("somebody has asked for what is for some users only, with a key that is not known to be theirs",
			slog.Any("user", member.User), slog.Any("key", member.Key), slog.Any("error", err))
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.descents == nil || len(m.descents) >= mostDescents {
		m.descents = make(map[descent]bool)
	}
	m.descents[descent{member, from}] = true
	return true
}
