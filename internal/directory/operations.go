package directory

import (
	"context"
	"errors"

	"lonja"
	"lonja/internal/store"
)

// failure builds the error of a rule that was not kept.
func failure(kind lonja.Kind, op lonja.Operation, user lonja.UserName) error {
	return &lonja.Error{Kind: kind, Op: op.String(), User: user}
}

// Register implements lonja.Accounts.
func (d *Directory) Register(ctx context.Context, user lonja.UserName) error {
	d.mu.RLock()
	exists := d.index.account(user) != nil
	d.mu.RUnlock()
	if exists {
		return failure(lonja.NameInUse, lonja.OpRegister, user)
	}
	err := d.write(ctx, store.Change{Key: userKey(user), Value: appendAccount(nil)})
	if errors.Is(err, lonja.Conflict) {
		return failure(lonja.NameInUse, lonja.OpRegister, user)
	}
	return err
}

// Unregister implements lonja.Accounts.
func (d *Directory) Unregister(ctx context.Context, user lonja.UserName) error {
	d.mu.RLock()
	a := d.index.account(user)
	var rev store.Rev
	if a != nil {
		rev = a.rev
	}
	d.mu.RUnlock()
	if a == nil {
		return failure(lonja.NoSuchUser, lonja.OpUnregister, user)
	}
	err := d.write(ctx, store.Change{Key: userKey(user), Expect: rev})
	if errors.Is(err, lonja.Conflict) {
		return failure(lonja.NoSuchUser, lonja.OpUnregister, user) // somebody else was first
	}
	return err
}

// Connect implements lonja.Accounts.
func (d *Directory) Connect(_ context.Context, user lonja.UserName, at lonja.Endpoint) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.index.account(user)
	switch {
	case a == nil:
		return failure(lonja.NoSuchUser, lonja.OpConnect, user)
	case a.connected:
		return failure(lonja.AlreadyConnected, lonja.OpConnect, user)
	}
	d.index.connect(a, at)
	return nil
}

// Disconnect implements lonja.Accounts.
func (d *Directory) Disconnect(_ context.Context, user lonja.UserName) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, err := d.connected(lonja.OpDisconnect, user)
	if err != nil {
		return err
	}
	d.index.disconnect(a)
	return nil
}

// Publish implements lonja.Publications.
func (d *Directory) Publish(ctx context.Context, user lonja.UserName, listing lonja.Listing) error {
	incarnation, rev, err := d.publication(lonja.OpPublish, user, listing.Name)
	switch {
	case err != nil:
		return err
	case rev != 0:
		return failure(lonja.AlreadyPublished, lonja.OpPublish, user)
	}
	err = d.write(ctx, store.Change{
		Key:   fileKey(user, incarnation, listing.Name),
		Value: appendPublication(nil, listing.Description),
	})
	if errors.Is(err, lonja.Conflict) {
		return failure(lonja.AlreadyPublished, lonja.OpPublish, user)
	}
	return err
}

// Delete implements lonja.Publications.
func (d *Directory) Delete(ctx context.Context, user lonja.UserName, name lonja.FileName) error {
	incarnation, rev, err := d.publication(lonja.OpDelete, user, name)
	switch {
	case err != nil:
		return err
	case rev == 0:
		return failure(lonja.NotPublished, lonja.OpDelete, user)
	}
	err = d.write(ctx, store.Change{Key: fileKey(user, incarnation, name), Expect: rev})
	if errors.Is(err, lonja.Conflict) {
		return failure(lonja.NotPublished, lonja.OpDelete, user)
	}
	return err
}

// publication returns the incarnation of the account of user, who must be
// connected, and the revision of its publication of that name, or 0.
func (d *Directory) publication(op lonja.Operation, user lonja.UserName, name lonja.FileName) (incarnation, rev store.Rev, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	a, err := d.connected(op, user)
	if err != nil {
		return 0, 0, err
	}
	p, _ := a.files.get(name)
	return a.incarnation, p.rev, nil
}

// ListUsers implements lonja.Lookups.
func (d *Directory) ListUsers(_ context.Context, user lonja.UserName) ([]lonja.Peer, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, err := d.connected(lonja.OpListUsers, user); err != nil {
		return nil, err
	}
	return d.index.peers(), nil
}

// ListContent implements lonja.Lookups.
func (d *Directory) ListContent(_ context.Context, user, owner lonja.UserName) ([]lonja.Listing, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, err := d.connected(lonja.OpListContent, user); err != nil {
		return nil, err
	}
	a := d.index.account(owner)
	if a == nil {
		return nil, failure(lonja.NoSuchOwner, lonja.OpListContent, owner)
	}
	return a.listings(), nil
}

// Holders implements lonja.Lookups.
func (d *Directory) Holders(_ context.Context, user lonja.UserName, name lonja.FileName) ([]lonja.Holder, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, err := d.connected(lonja.OpHolders, user); err != nil {
		return nil, err
	}
	holders := d.index.holders(name.Base(), lonja.MaxHolders)
	if len(holders) == 0 {
		return nil, &lonja.Error{Kind: lonja.NoHolder, Op: lonja.OpHolders.String(), User: user, File: name}
	}
	return holders, nil
}

// connected returns the account of user, which must exist and be connected.
// The caller holds mu.
func (d *Directory) connected(op lonja.Operation, user lonja.UserName) (*account, error) {
	a := d.index.account(user)
	switch {
	case a == nil:
		return nil, failure(lonja.NoSuchUser, op, user)
	case !a.connected:
		return nil, failure(lonja.NotConnected, op, user)
	}
	return a, nil
}
