// Package directory is the rules of a directory: who may do what, in which
// order that is checked, and how an index that answers everything is kept
// equal to a store.
//
// Accounts and publications are kept by a store.Store; the index of them is
// complete, in memory, and fed by the store in the order of its changes, so
// that reading never leaves the process. Who is connected is known by leases,
// which the nodes of one store tell each other. The package knows no socket,
// no wire format and no engine, and it does not decide who somebody is: its
// callers hand it parsed names.
package directory

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/index"
	"lonja/internal/presence"
	"lonja/internal/signatures"
	"lonja/internal/store"
)

// Options is what a Directory works with. Store must be set; it stays the
// caller's, who closes it after the Directory.
type Options struct {
	Store store.Store
	Log   *slog.Logger
	// Shared says that other nodes may use the same records: then presence is
	// exchanged with them.
	Shared bool
	// Lease is how long a user stays connected whose lease nobody renews.
	// 0: until it disconnects.
	Lease time.Duration
	// MaxPublications is how many files a user may have published; 0 does not
	// limit them.
	MaxPublications int
	// Registration is who may make an account.
	Registration Registration
	// SessionLease is how long a session of a member lasts that is not renewed.
	// 0 stands for DefaultSessionLease.
	SessionLease time.Duration

	testOnlyBeat time.Duration // between the nodes' heartbeats
}

// A Directory implements lonja.MemberDirectory and operator.Directory. It may be
// used by any number of goroutines at once. Close ends it.
type Directory struct {
	opts       Options
	store      store.Store
	log        *slog.Logger
	signatures *signatures.Checker

	stop       context.CancelFunc
	group      errgroup.Group
	purging    chan struct{} // holds one token while there is something to purge
	settling   chan struct{} // likewise to settle
	deleting   chan struct{} // holds a token while somebody deletes what is forbidden
	loaded     chan struct{} // closed when the index is complete for the first time
	subscribed chan struct{} // closed when other nodes are heard for the first time
	wake       chan struct{} // holds one token while presence has something to publish

	mu          sync.RWMutex // guards all below; never held while calling out
	index       *index.Index // nil until it is complete
	ledger      *ledger      // likewise
	incarnation uint64       // the largest in the index
	applied     store.Rev    // the index has everything up to it
	written     store.Rev    // the largest revision that the store is known to have
	waiting     map[store.Rev]chan struct{}
	broken      error                   // why the index is not fed now
	refeed      func()                  // has the store be read anew
	orphaned    bool                    // while exclusive, something came before its account
	exclusive   bool                    // somebody restores: nobody else writes, and nothing is purged
	purges      map[store.Key]struct{}  // publications of accounts that are gone
	forbidden   map[store.Key]store.Rev // publications that revoked keys have signed
	leases      *presence.Table
	homeless    map[lonja.UserName]time.Time // leases of this node whose account is not known, since when
	heard       chan struct{}                // closed, and made anew, when other nodes were heard

	events *events // has its own lock, which comes after mu
}

var _ lonja.MemberDirectory = (*Directory)(nil)

// Open returns a Directory on what the store holds, once its index is complete
// and, on a shared store, it knows who is connected elsewhere. An error of kind
// Damaged means that the store holds what cannot be right.
func Open(ctx context.Context, opts Options) (*Directory, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	running, stop := context.WithCancel(context.Background())
	d := &Directory{
		signatures: signatures.New(),
		opts:       opts, store: opts.Store, log: opts.Log, stop: stop,
		purging:    make(chan struct{}, 1),
		settling:   make(chan struct{}, 1),
		deleting:   make(chan struct{}, 1),
		purges:     make(map[store.Key]struct{}),
		forbidden:  make(map[store.Key]store.Rev),
		events:     newEvents(),
		loaded:     make(chan struct{}),
		subscribed: make(chan struct{}),
		wake:       make(chan struct{}, 1),
		waiting:    make(map[store.Rev]chan struct{}),
		leases:     newLeases(opts),
		homeless:   make(map[lonja.UserName]time.Time),
		heard:      make(chan struct{}),
	}
	failed := make(chan error, 1)
	d.group.Go(func() error { return d.feed(running, failed) })
	d.group.Go(func() error { return d.purge(running) })
	d.group.Go(func() error { return d.settleAll(running) })
	d.group.Go(func() error { return d.forgetRevocations(running) })
	d.group.Go(func() error { return d.keepPresence(running) })
	d.group.Go(func() error { return d.events.run(running) })
	if opts.Shared {
		d.group.Go(func() error { return d.hear(running) })
		d.group.Go(func() error { return d.watchLag(running) })
	}
	if err := d.started(ctx, failed); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// started waits until the Directory can answer, or has failed to begin.
func (d *Directory) started(ctx context.Context, failed <-chan error) error {
	select {
	case <-d.loaded:
		return d.presenceKnown(ctx)
	case err := <-failed:
		return err
	case <-ctx.Done():
		return lonja.E(lonja.Canceled, "open directory", ctx.Err())
	}
}

// Close ends what the Directory does in the background and waits for it.
func (d *Directory) Close() error {
	d.stop()
	return d.group.Wait()
}

// settleSteps is how much of a change that concerns many publications is done
// before others get a turn: well under a millisecond.
const settleSteps = 256

// settle does the beginning of what changes of the index have left to do, which
// mostly is all of it; the rest is done in the background. The caller holds mu.
func (d *Directory) settle() {
	if d.index.Settle(settleSteps) {
		remind(d.settling)
	}
}

// settleAll does what settle leaves, and lets others in between.
func (d *Directory) settleAll(ctx context.Context) error {
	for {
		select {
		case <-d.settling:
		case <-ctx.Done():
			return nil
		}
		for more := true; more && ctx.Err() == nil; {
			d.mu.Lock()
			more = d.index.Settle(settleSteps)
			d.mu.Unlock()
		}
	}
}

// settled does what is left to do for one user, whose operation is to be
// answered.
func (d *Directory) settled(user lonja.UserName) {
	for done := false; !done; {
		d.mu.Lock()
		if done = d.index.Settled(user); !done {
			d.index.Settle(settleSteps)
		}
		d.mu.Unlock()
	}
}

// remind puts the token in that a background task waits for.
func remind(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wait returns when the index has the change of revision rev.
func (d *Directory) wait(ctx context.Context, rev store.Rev) error {
	d.mu.Lock()
	d.written = max(d.written, rev)
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
	if d.applied >= rev {
		return nil
	}
	return d.broken
}

// write changes the store and returns when the index shows it: a later read
// of this directory sees it.
func (d *Directory) write(ctx context.Context, changes ...store.Change) error {
	if err := d.mayWrite(); err != nil {
		return err
	}
	rev, err := d.store.Apply(ctx, changes)
	if err != nil {
		return err
	}
	return d.wait(ctx, rev)
}

// mayWrite returns why nothing can be written now. What the index would not
// show is not even tried: it would be done, and answered as refused.
func (d *Directory) mayWrite() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.exclusive {
		return lonja.E(lonja.Unavailable, "directory", errors.New("a backup is being restored"))
	}
	return d.broken
}

// beginExclusive has nobody else write, and nothing be purged, until end is
// called. Conflict if somebody has done so already.
func (d *Directory) beginExclusive() (end func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.exclusive {
		return nil, lonja.E(lonja.Conflict, "directory", errors.New("a backup is being restored already"))
	}
	d.exclusive = true
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.exclusive = false
		// Records that came before their accounts seemed to be of none: what
		// waits to be purged is found again at the next start.
		clear(d.purges)
		clear(d.forbidden)
	}, nil
}

// purgeLater has the publications of an incarnation forgotten. They mean
// nothing any more, so it does not matter when. The caller holds mu.
func (d *Directory) purgeLater(user lonja.UserName, incarnation uint64) {
	d.purges[filesKey(user, incarnation)] = struct{}{}
	remind(d.purging)
}

// purgeKeysLater does so with its keys.
func (d *Directory) purgeKeysLater(user lonja.UserName, incarnation uint64) {
	d.purges[keysKey(user, incarnation)] = struct{}{}
	remind(d.purging)
}

// toPurge returns one of what waits to be purged, or "".
func (d *Directory) toPurge() store.Key {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.exclusive {
		return ""
	}
	for prefix := range d.purges {
		delete(d.purges, prefix)
		return prefix
	}
	return ""
}

func (d *Directory) purge(ctx context.Context) error {
	for {
		select {
		case <-d.purging:
		case <-ctx.Done():
			return nil
		}
		for prefix := d.toPurge(); prefix != "" && ctx.Err() == nil; prefix = d.toPurge() {
			if err := d.store.Purge(ctx, prefix); err != nil && ctx.Err() == nil {
				d.log.Warn("publications of a removed account stay in the store", slog.Any("error", err))
			}
		}
		if err := d.deleteForbidden(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("publications that a revoked key has signed stay in the store", slog.Any("error", err))
			select {
			case <-time.After(feedAgain):
				remind(d.purging)
			case <-ctx.Done():
			}
		}
	}
}
