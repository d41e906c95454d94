package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lonja"
	"lonja/internal/index"
	"lonja/internal/presence"
	"lonja/internal/store"
)

// failure builds the error of a rule that was not kept.
func failure(kind lonja.Kind, op lonja.Operation, user lonja.UserName) error {
	return &lonja.Error{Kind: kind, Op: op.String(), User: user}
}

// account returns the user's account, and whether there is one.
func (d *Directory) account(user lonja.UserName) (index.Account, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.index.Account(user)
}

// Register implements lonja.Accounts.
func (d *Directory) Register(ctx context.Context, user lonja.UserName) error {
	if _, exists := d.account(user); exists {
		return failure(lonja.NameInUse, lonja.OpRegister, user)
	}
	if d.opts.Registration != RegisterAll {
		return failure(lonja.Forbidden, lonja.OpRegister, user)
	}
	err := d.write(ctx, store.Change{Key: userKey(user), Value: appendAccount(nil, d.newIncarnation())})
	if errors.Is(err, lonja.Conflict) {
		return failure(lonja.NameInUse, lonja.OpRegister, user)
	}
	return err
}

// newIncarnation returns a number larger than those of all accounts known here,
// and later than all leases: the time, so that it is also unlike those of
// accounts that are gone.
func (d *Directory) newIncarnation() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.incarnation = max(d.incarnation+1, uint64(time.Now().UnixNano()), (d.leases.Clock()+1)*1000)
	return d.incarnation
}

// Connect implements lonja.Accounts. Of two at two nodes at once the later one
// wins: each hears of the other before it answers.
func (d *Directory) Connect(ctx context.Context, user lonja.UserName, at lonja.Endpoint) error {
	return d.announce(ctx, user, at, anybody)
}

// ConnectWithoutKey implements lonja.Members.
func (d *Directory) ConnectWithoutKey(ctx context.Context, member lonja.Member, at lonja.Endpoint) error {
	return d.announce(ctx, member.User, at, d.permit(lonja.OpConnect, member))
}

func (d *Directory) announce(ctx context.Context, user lonja.UserName, at lonja.Endpoint, may permit) error {
	stamp, err := d.connect(user, at, may)
	if err != nil {
		return err
	}
	d.settled(user)
	d.told(ctx)
	d.mu.RLock()
	defer d.mu.RUnlock()
	if l, connected := d.leases.Lookup(user); connected && l.Stamp > stamp && !l.Mine {
		return failure(lonja.AlreadyConnected, lonja.OpConnect, user)
	}
	return nil
}

func (d *Directory) connect(user lonja.UserName, at lonja.Endpoint, may permit) (presence.Stamp, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := may(); err != nil {
		return 0, err
	}
	a, exists := d.index.Account(user)
	switch {
	case !exists:
		return 0, failure(lonja.NoSuchUser, lonja.OpConnect, user)
	case a.Connected:
		return 0, failure(lonja.AlreadyConnected, lonja.OpConnect, user)
	}
	stamp, changes := d.leases.Connect(user, at, time.Now())
	d.applyPresence(changes)
	return stamp, nil
}

// Disconnect implements lonja.Accounts. Of two at two nodes at once one does it,
// as with Connect.
func (d *Directory) Disconnect(ctx context.Context, user lonja.UserName) error {
	return d.disconnect(ctx, user, anybody)
}

// DisconnectMember implements lonja.Members.
func (d *Directory) DisconnectMember(ctx context.Context, member lonja.Member) error {
	may := d.permit(lonja.OpDisconnect, member)
	return d.disconnect(ctx, member.User, func() error {
		if err := may(); err != nil {
			return err
		}
		return d.takenOver(lonja.OpDisconnect.String(), member)
	})
}

func (d *Directory) disconnect(ctx context.Context, user lonja.UserName, may permit) error {
	stamp, err := d.endLease(user, may)
	if err != nil {
		return err
	}
	d.settled(user)
	d.told(ctx)
	d.mu.RLock()
	defer d.mu.RUnlock()
	if ended, yes := d.leases.Ended(user); yes && ended > stamp {
		return failure(lonja.NotConnected, lonja.OpDisconnect, user)
	}
	return nil
}

func (d *Directory) endLease(user lonja.UserName, may permit) (presence.Stamp, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := may(); err != nil {
		return 0, err
	}
	if _, err := d.connected(lonja.OpDisconnect, user); err != nil {
		return 0, err
	}
	changes, _ := d.leases.Disconnect(user, time.Now())
	stamp, _ := d.leases.Ended(user)
	d.applyPresence(changes)
	return stamp, nil
}

// Publish implements lonja.Publications.
func (d *Directory) Publish(ctx context.Context, user lonja.UserName, listing lonja.Listing) error {
	a, rev, err := d.publication(lonja.OpPublish, user, listing.Name, anybody)
	switch {
	case err != nil:
		return err
	case a.Bound || listing.Proof != nil:
		return d.publishSigned(ctx, a, rev, listing)
	case rev != 0:
		return failure(lonja.AlreadyPublished, lonja.OpPublish, user)
	}
	if err := d.mayHaveMore(a); err != nil {
		return err
	}
	err = d.write(ctx, store.Change{
		Key:   fileKey(user, a.Incarnation, listing.Name),
		Value: appendPublication(nil, listing),
	})
	if errors.Is(err, lonja.Conflict) {
		return failure(lonja.AlreadyPublished, lonja.OpPublish, user)
	}
	return err
}

// mayHaveMore returns why an account must not have one more publication.
func (d *Directory) mayHaveMore(a index.Account) error {
	if d.opts.MaxPublications <= 0 || a.Publications < d.opts.MaxPublications {
		return nil
	}
	return &lonja.Error{
		Kind: lonja.Limited, Op: lonja.OpPublish.String(), User: a.User,
		Err: fmt.Errorf("%d files are published already, as many as this directory takes of one user: unpublish some, publish directories as one with --folder, or ask its operator for more",
			a.Publications),
	}
}

// Delete implements lonja.Publications.
func (d *Directory) Delete(ctx context.Context, user lonja.UserName, name lonja.FileName) error {
	return d.delete(ctx, user, name, anybody)
}

// DeleteMember implements lonja.Members. The record is one of the account that was
// looked at, so it is never that of who has the name next.
func (d *Directory) DeleteMember(ctx context.Context, member lonja.Member, name lonja.FileName) error {
	return d.delete(ctx, member.User, name, d.permit(lonja.OpDelete, member))
}

func (d *Directory) delete(ctx context.Context, user lonja.UserName, name lonja.FileName, may permit) error {
	a, rev, err := d.publication(lonja.OpDelete, user, name, may)
	switch {
	case err != nil:
		return err
	case rev == 0:
		return failure(lonja.NotPublished, lonja.OpDelete, user)
	}
	err = d.write(ctx, store.Change{Key: fileKey(user, a.Incarnation, name), Expect: rev})
	if errors.Is(err, lonja.Conflict) {
		return failure(lonja.NotPublished, lonja.OpDelete, user)
	}
	return err
}

// publication returns the account of user, who must be connected, and the
// revision of its publication of that name, or 0.
func (d *Directory) publication(op lonja.Operation, user lonja.UserName, name lonja.FileName, may permit) (a index.Account, rev store.Rev, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if err := may(); err != nil {
		return a, 0, err
	}
	a, err = d.connected(op, user)
	if err != nil {
		return a, 0, err
	}
	_, number, _ := d.index.Publication(user, name)
	return a, store.Rev(number), nil
}

// ListUsers implements lonja.Lookups.
func (d *Directory) ListUsers(_ context.Context, user lonja.UserName) (lonja.PeerList, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, err := d.connected(lonja.OpListUsers, user); err != nil {
		return nil, err
	}
	var peers lonja.PeerList
	row, next := d.index.Peers(index.Place{}, lonja.MaxPage)
	for next != (index.Place{}) {
		peers = append(peers, row)
		if len(peers)%rowsATurn == 0 {
			d.mu.RUnlock()
			d.mu.RLock()
		}
		row, next = d.index.Peers(next, lonja.MaxPage)
	}
	return append(peers, row), nil
}

// rowsATurn is how many rows of users are listed before others get a turn. Who
// comes or goes meanwhile may be listed or not.
const rowsATurn = 8

// ListContent implements lonja.Lookups.
func (d *Directory) ListContent(_ context.Context, user, owner lonja.UserName) ([]lonja.Listing, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, err := d.connected(lonja.OpListContent, user); err != nil {
		return nil, err
	}
	if _, exists := d.index.Account(owner); !exists {
		return nil, failure(lonja.NoSuchOwner, lonja.OpListContent, owner)
	}
	return d.index.ListingsFor(d.index.Viewer(user), owner), nil
}

// Holders implements lonja.Lookups.
func (d *Directory) Holders(_ context.Context, user lonja.UserName, name lonja.FileName) ([]lonja.Holder, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, err := d.connected(lonja.OpHolders, user); err != nil {
		return nil, err
	}
	holders := d.index.HoldersFor(d.index.Viewer(user), name, lonja.MaxHolders)
	if len(holders) == 0 {
		return nil, &lonja.Error{Kind: lonja.NoHolder, Op: lonja.OpHolders.String(), User: user, File: name}
	}
	return holders, nil
}

// connected returns the account of user, which must exist and be connected: that
// is the only trace of who asks in the classic protocol. A member, whose key was
// proved, need not be, but to disconnect. The caller holds mu.
func (d *Directory) connected(op lonja.Operation, user lonja.UserName) (index.Account, error) {
	a, exists := d.index.Account(user)
	switch {
	case !exists:
		return a, failure(lonja.NoSuchUser, op, user)
	case !a.Connected && (!a.Bound || op == lonja.OpDisconnect):
		return a, failure(lonja.NotConnected, op, user)
	}
	return a, nil
}
