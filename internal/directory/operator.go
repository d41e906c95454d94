package directory

import (
	"context"
	"fmt"
	"io"
	"iter"

	"lonja"
	"lonja/internal/index"
	"lonja/internal/operator"
	"lonja/internal/store"
)

var _ operator.Directory = (*Directory)(nil)

// accountsPage is how many accounts are looked at before others get a turn.
const accountsPage = 512

// accounts tells all accounts, in no order.
func (d *Directory) accounts(ctx context.Context) iter.Seq2[index.Account, error] {
	return func(yield func(index.Account, error) bool) {
		for next, more := uint32(0), true; more; more = next != 0 {
			if ctx.Err() != nil {
				yield(index.Account{}, lonja.E(lonja.Canceled, "accounts", ctx.Err()))
				return
			}
			d.mu.RLock()
			var page []index.Account
			page, next = d.index.Accounts(next, accountsPage)
			d.mu.RUnlock()
			for _, a := range page {
				if !yield(a, nil) {
					return
				}
			}
		}
	}
}

// listingsPage is how many publications are looked at before others get a turn.
const listingsPage = 512

// listings tells the user's publications, the oldest first. Where its place is
// lost, because what comes next was removed meanwhile, it begins anew: then it
// tells some twice, and leaves out none that stays.
func (d *Directory) listings(user lonja.UserName) iter.Seq[index.Entry] {
	return func(yield func(index.Entry) bool) {
		for at, more := (place{}), true; more; more = at.number != 0 {
			var page []index.Entry
			page, at = d.listingsFrom(user, at)
			for _, e := range page {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// A place is where listings goes on. The number alone does not say so: it may
// stand for a later publication of the same user by then.
type place struct {
	number uint32
	rev    uint64
}

func (d *Directory) listingsFrom(user lonja.UserName, at place) (page []index.Entry, next place) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	page, next.number = d.index.ListingsPage(user, at.number, listingsPage)
	if at.number != 0 && (len(page) == 0 || page[0].Rev != at.rev) {
		page, next.number = d.index.ListingsPage(user, 0, listingsPage)
	}
	if next.number != 0 {
		first, _ := d.index.ListingsPage(user, next.number, 1)
		next.rev = first[0].Rev
	}
	return page, next
}

// Accounts implements operator.Directory.
func (d *Directory) Accounts(ctx context.Context) iter.Seq2[operator.Account, error] {
	return func(yield func(operator.Account, error) bool) {
		for a, err := range d.accounts(ctx) {
			if !yield(operator.Account{User: a.User, Publications: a.Publications, Connected: a.Connected, At: a.At}, err) {
				return
			}
		}
	}
}

// Stats implements operator.Directory.
func (d *Directory) Stats() operator.Stats {
	d.mu.RLock()
	defer d.mu.RUnlock()
	s := d.index.Stats()
	return operator.Stats{
		Accounts: s.Accounts, Publications: s.Publications, Connected: s.Connected,
		BaseNames: s.Bases, Words: s.Words,
		Applied: uint64(d.applied), Lag: uint64(max(d.applied, d.written) - d.applied),
	}
}

// Ready implements operator.Directory.
func (d *Directory) Ready() error {
	d.mu.RLock()
	broken := d.broken
	d.mu.RUnlock()
	if broken != nil {
		return fmt.Errorf("the index is not fed: %w", broken)
	}
	return d.store.Health()
}

// Backup implements operator.Directory.
func (d *Directory) Backup(ctx context.Context, w io.Writer) error {
	return store.Backup(ctx, d.store, w)
}

// Restore implements operator.Directory.
func (d *Directory) Restore(ctx context.Context, r io.Reader) error {
	end, err := d.beginExclusive()
	if err != nil {
		return err
	}
	defer end()
	if _, err := store.Restore(ctx, d.store, r); err != nil {
		return err
	}
	barrier, err := d.store.Barrier(ctx)
	if err != nil {
		return err
	}
	if err := d.wait(ctx, barrier); err != nil {
		return err
	}
	return d.readAnew(ctx)
}
