// Package directory is the rules of a directory: who may do what, in which
// order that is checked, and the index that answers without walking over all
// users or all files.
//
// Accounts and publications are kept by a store.Store; the index of them is
// complete, in memory, and fed by the store in the order of its changes, so
// that reading never leaves the process. Who is connected is known to the
// index only. The package knows no socket, no wire format and no engine, and
// it does not decide who somebody is: its callers hand it parsed names.
package directory

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/store"
)

// Options is what a Directory works with. Store must be set; it stays the
// caller's, who closes it after the Directory.
type Options struct {
	Store store.Store
	Log   *slog.Logger
}

// A Directory implements lonja.Directory. It may be used by any number of
// goroutines at once. Close ends it.
type Directory struct {
	store store.Store
	log   *slog.Logger

	stop   context.CancelFunc
	group  errgroup.Group
	purges chan store.Key // publications of accounts that are gone

	mu      sync.RWMutex // guards all below; never held while calling out
	index   *index
	applied store.Rev // the index has everything up to it
	waiting map[store.Rev]chan struct{}
	broken  error // why the index is not fed any more
}

var _ lonja.Directory = (*Directory)(nil)

// purgeBacklog bounds the accounts whose publications wait to be purged; what
// does not fit is found again at the next start.
const purgeBacklog = 1024

// Open returns a Directory on what the store holds, once its index is
// complete. An error of kind Damaged means that the store holds what cannot be
// right.
func Open(ctx context.Context, opts Options) (*Directory, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	running, stop := context.WithCancel(context.Background())
	d := &Directory{
		store: opts.Store, log: opts.Log, stop: stop,
		purges:  make(chan store.Key, purgeBacklog),
		index:   newIndex(),
		waiting: make(map[store.Rev]chan struct{}),
	}
	d.group.Go(func() error { return d.feed(running) })
	d.group.Go(func() error { return d.purge(running) })
	barrier, err := d.store.Barrier(ctx)
	if err == nil {
		err = d.wait(ctx, barrier)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close ends what the Directory does in the background and waits for it.
func (d *Directory) Close() error {
	d.stop()
	return d.group.Wait()
}

// feed applies the store's changes to the index until ctx ends.
func (d *Directory) feed(ctx context.Context) error {
	err := d.store.Feed(ctx, d.apply)
	if ctx.Err() != nil {
		err = nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = err
	if d.broken == nil {
		d.broken = lonja.E(lonja.Unavailable, "directory", errors.New("it is closed"))
	}
	for rev := range d.waiting {
		d.answer(rev)
	}
	return err
}

// apply brings one change into the index.
func (d *Directory) apply(e store.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.Key != "" {
		gone, err := d.index.apply(e)
		if err != nil {
			return lonja.E(lonja.Damaged, "read the directory", err)
		}
		if gone != "" {
			d.purgeLater(gone)
		}
	}
	d.applied = max(d.applied, e.Rev)
	if e.Key == "" {
		for rev := range d.waiting {
			if rev <= d.applied {
				d.answer(rev)
			}
		}
	} else {
		d.answer(e.Rev)
	}
	return nil
}

// answer lets those go on who wait for rev. The caller holds mu.
func (d *Directory) answer(rev store.Rev) {
	if applied, ok := d.waiting[rev]; ok {
		close(applied)
		delete(d.waiting, rev)
	}
}

// wait returns when the index has everything up to rev: of a change, which the
// feed tells by its revision, or of a barrier, which an event without a key
// passes.
func (d *Directory) wait(ctx context.Context, rev store.Rev) error {
	d.mu.Lock()
	if d.applied >= rev || d.broken != nil {
		defer d.mu.Unlock()
		return d.broken
	}
	applied, ok := d.waiting[rev]
	if !ok {
		applied = make(chan struct{})
		d.waiting[rev] = applied
	}
	d.mu.Unlock()
	select {
	case <-applied:
	case <-ctx.Done():
		return lonja.E(lonja.Canceled, "directory", ctx.Err())
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.broken
}

// write changes the store and returns when the index shows it: a later read
// of this directory sees it.
func (d *Directory) write(ctx context.Context, change store.Change) error {
	rev, err := d.store.Apply(ctx, []store.Change{change})
	if err != nil {
		return err
	}
	return d.wait(ctx, rev)
}

// purgeLater has the publications below prefix forgotten. They mean nothing
// any more, so it does not matter when.
func (d *Directory) purgeLater(prefix store.Key) {
	select {
	case d.purges <- prefix:
	default:
	}
}

func (d *Directory) purge(ctx context.Context) error {
	for {
		select {
		case prefix := <-d.purges:
			if err := d.store.Purge(ctx, prefix); err != nil && ctx.Err() == nil {
				d.log.Warn("publications of a removed account stay in the store", slog.Any("error", err))
			}
		case <-ctx.Done():
			return nil
		}
	}
}
