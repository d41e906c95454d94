// Package directory is the rules of a directory: who may do what, in which
// order that is checked, and the index that answers without walking over all
// users or all files.
//
// It knows no socket and no wire format, and it does not decide who somebody
// is: its callers (dirserver, tests, localnet) hand it parsed names.
package directory

import (
	"context"
	"sync"

	"lonja"
)

// A Directory keeps its state in memory. It implements lonja.Directory and may
// be used by any number of goroutines at once.
type Directory struct {
	mu    sync.RWMutex // guards index; never held while calling out
	index *index
}

var _ lonja.Directory = (*Directory)(nil)

// New returns an empty Directory.
func New() *Directory { return &Directory{index: newIndex()} }

// failure builds the error of a rule that was not kept.
func failure(kind lonja.Kind, op lonja.Operation, user lonja.UserName) error {
	return &lonja.Error{Kind: kind, Op: op.String(), User: user}
}

// Register implements lonja.Accounts.
func (d *Directory) Register(_ context.Context, user lonja.UserName) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.index.account(user) != nil {
		return failure(lonja.NameInUse, lonja.OpRegister, user)
	}
	d.index.addAccount(user)
	return nil
}

// Unregister implements lonja.Accounts.
func (d *Directory) Unregister(_ context.Context, user lonja.UserName) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.index.account(user)
	if a == nil {
		return failure(lonja.NoSuchUser, lonja.OpUnregister, user)
	}
	d.index.removeAccount(a)
	return nil
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
func (d *Directory) Publish(_ context.Context, user lonja.UserName, listing lonja.Listing) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, err := d.connected(lonja.OpPublish, user)
	if err != nil {
		return err
	}
	if !d.index.publish(a, listing) {
		return failure(lonja.AlreadyPublished, lonja.OpPublish, user)
	}
	return nil
}

// Delete implements lonja.Publications.
func (d *Directory) Delete(_ context.Context, user lonja.UserName, name lonja.FileName) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, err := d.connected(lonja.OpDelete, user)
	if err != nil {
		return err
	}
	if !d.index.unpublish(a, name) {
		return failure(lonja.NotPublished, lonja.OpDelete, user)
	}
	return nil
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
