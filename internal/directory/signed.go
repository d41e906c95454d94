package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"lonja"
	"lonja/internal/index"
	"lonja/internal/statement"
	"lonja/internal/store"
)

// MaxAudience bounds the users whom a publication can be restricted to.
const MaxAudience = 100

// publishSigned is Publish for an account that is bound to keys, or of a listing
// that has a proof. Rev is that of the publication that it replaces, or 0.
func (d *Directory) publishSigned(ctx context.Context, a index.Account, rev store.Rev, listing lonja.Listing) error {
	if err := d.checkSigned(a, listing); err != nil {
		return err
	}
	if rev != 0 {
		if now, there := d.listed(a.User, listing.Name); there && reflect.DeepEqual(now, listing) {
			return failure(lonja.AlreadyPublished, lonja.OpPublish, a.User)
		}
	} else if err := d.mayHaveMore(a); err != nil {
		return err
	}
	err := d.write(ctx, store.Change{
		Key:   fileKey(a.User, a.Incarnation, listing.Name),
		Value: appendPublication(nil, listing), Expect: rev,
	})
	if errors.Is(err, lonja.Conflict) {
		return failure(lonja.AlreadyPublished, lonja.OpPublish, a.User) // somebody else was first
	}
	return err
}

func (d *Directory) listed(user lonja.UserName, name lonja.FileName) (lonja.Listing, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	listing, _, there := d.index.Publication(user, name)
	return listing, there
}

// checkSigned returns why a listing is none that the account may publish.
func (d *Directory) checkSigned(a index.Account, listing lonja.Listing) error {
	refuse := func(kind lonja.Kind, err error) error {
		return &lonja.Error{Kind: kind, Op: lonja.OpPublish.String(), User: a.User, File: listing.Name, Err: err}
	}
	p := listing.Proof
	switch {
	case p == nil:
		return refuse(lonja.Invalid, errors.New("the name is bound to keys, and what it publishes has to be signed"))
	case len(p.Audience) > MaxAudience:
		return refuse(lonja.Invalid, fmt.Errorf("it is for %d users, at most %d may be named", len(p.Audience), MaxAudience))
	case p.Date > time.Now().Add(aheadAtMost).Unix():
		return refuse(lonja.Invalid, fmt.Errorf("its date, %d, is more than %v ahead: set the clock", p.Date, aheadAtMost))
	}
	if err := statement.VerifyPublicationBy(lonja.Publication{Owner: a.User, Listing: listing}, d.signatures.Signed); err != nil {
		return err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if !statement.Speaks(d.ring(a.User), p.Key) {
		return refuse(lonja.Untrusted, errors.New("the key that signed it does not speak for its owner"))
	}
	for _, user := range p.Audience {
		switch named, exists := d.index.Account(user); {
		case !exists:
			return &lonja.Error{Kind: lonja.NoSuchOwner, Op: lonja.OpPublish.String(), User: user, File: listing.Name}
		case !named.Bound:
			return refuse(lonja.Invalid, fmt.Errorf("it is for %s, a name that is bound to no key: anybody could be meant", lonja.Printable(string(user))))
		}
	}
	return nil
}

// noteForbidden remembers a publication that is taken out of the index because a
// revoked key has signed it: its record is of no use any more.
func noteForbidden(forbidden map[store.Key]store.Rev, n index.Notice) {
	if n.Kind != index.Removed || !n.Forbidden() {
		return
	}
	rev, incarnation := n.Rev()
	p := n.Publication()
	forbidden[fileKey(p.Owner, incarnation, p.Name)] = store.Rev(rev)
}

// deleteForbidden deletes the records of what revoked keys have signed: nobody
// is shown them, and they stand in the way of what is published next.
// When it returns nil, all are deleted that were known when it was called, also
// those that another call was about to delete.
func (d *Directory) deleteForbidden(ctx context.Context) error {
	select {
	case d.deleting <- struct{}{}:
		defer func() { <-d.deleting }()
	case <-ctx.Done():
		return lonja.E(lonja.Canceled, "delete", ctx.Err())
	}
	all := d.takeForbidden()
	for len(all) > 0 {
		some := all[:min(len(all), store.MaxBatch)]
		if err := d.deleteAll(ctx, some); err != nil {
			d.putBackForbidden(all)
			return err
		}
		all = all[len(some):]
	}
	return nil
}

// putBackForbidden has changes tried again that failed.
func (d *Directory) putBackForbidden(changes []store.Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range changes {
		if _, later := d.forbidden[c.Key]; !later {
			d.forbidden[c.Key] = c.Expect
		}
	}
}

func (d *Directory) takeForbidden() (changes []store.Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.exclusive {
		return nil
	}
	for key, rev := range d.forbidden {
		changes = append(changes, store.Change{Key: key, Expect: rev})
	}
	clear(d.forbidden)
	return changes
}

// deleteAll deletes records, but those that others have changed or deleted.
func (d *Directory) deleteAll(ctx context.Context, changes []store.Change) error {
	err := d.write(ctx, changes...)
	switch {
	case !errors.Is(err, lonja.Conflict):
		return err
	case len(changes) == 1:
		return nil
	}
	half := len(changes) / 2
	if err := d.deleteAll(ctx, changes[:half]); err != nil {
		return err
	}
	return d.deleteAll(ctx, changes[half:])
}

// finishMembers does what a new index leaves to do of the secure dialect. The
// caller holds mu.
func (d *Directory) finishMembers(l *loading) {
	for key, rev := range l.forbidden {
		d.forbidden[key] = rev
	}
	if len(d.forbidden) > 0 {
		remind(d.purging)
	}
	for _, e := range l.lateKeys {
		name, err := parseKey(e.Key)
		if a, exists := d.index.Account(name.user); err == nil && !(exists && a.Incarnation == name.incarnation) {
			d.purgeKeysLater(name.user, name.incarnation)
		}
	}
	d.events.anew()
}

// A change is what was known of an account before a change of its records.
type change struct {
	account index.Account
	ring    []lonja.KeyRecord
}

// beforeChange looks at what afterChange has to know. The caller holds mu.
func (d *Directory) beforeChange(e store.Event) (c change) {
	name, err := parseKey(e.Key)
	if err != nil || name.kind != accountRecord && name.kind != keysRecord {
		return c
	}
	c.account, _ = d.index.Account(name.user)
	if name.kind == keysRecord {
		c.ring = d.ring(name.user)
	}
	return c
}

// afterChange tells and notes what a change of the secure dialect has brought.
// The caller holds mu.
func (d *Directory) afterChange(before change, done applied, e store.Event) {
	if done.account && before.account.Connected {
		if a, exists := d.index.Account(done.user); !exists || a.Incarnation != before.account.Incarnation {
			d.noteUser(lonja.UserLeft, done.user)
		}
	}
	if done.forbidden {
		d.forbidden[e.Key] = e.Rev
		remind(d.purging)
	}
	if done.goneKeys != 0 {
		d.purgeKeysLater(done.user, done.goneKeys)
	}
	if done.keys {
		d.keysChanged(before.ring, done.user)
	}
	if done.ended.Account != 0 {
		d.events.note(&happened{Event: lonja.Event{Kind: lonja.KeyRevoked, User: done.user, Key: done.ended.Key, Account: done.ended.Account}})
	}
	if done.keys || done.account && before.account.Incarnation != 0 {
		d.wakeAll() // it may be an account of those
	}
}

// keysChanged tells of the keys that are revoked now. The caller holds mu.
func (d *Directory) keysChanged(before []lonja.KeyRecord, user lonja.UserName) {
	for _, r := range d.ring(user) {
		was := slices.ContainsFunc(before, func(b lonja.KeyRecord) bool { return b.Key == r.Key && b.Revoked != 0 })
		if r.Revoked != 0 && !was {
			d.log.Info("a key was revoked", slog.Any("user", user), slog.Any("key", r.Key))
			d.events.note(&happened{Event: lonja.Event{Kind: lonja.KeyRevoked, User: user, Key: r.Key}})
		}
	}
}
