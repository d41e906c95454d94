package directory

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"lonja"
	"lonja/internal/index"
	"lonja/internal/presence"
)

const (
	// presenceSubject is where the nodes tell each other who is connected.
	presenceSubject = "PRESENCE"
	// presenceBeat is the time between two heartbeats of a node. Leases are
	// looked at ticksPerBeat times in it.
	presenceBeat = time.Second
	ticksPerBeat = 4
	// toldBy bounds how long CONNECT and DISCONNECT wait for the other nodes:
	// one that is dead, and not known to be, must not hold them up for long.
	toldBy = 500 * time.Millisecond
	// lastWords bounds the telling of others that this node leaves.
	lastWords = time.Second
	// homelessFor is how long a lease that was taken over is kept while its
	// account is not known: the change that made it may still be on its way.
	homelessFor = 10 * time.Second
)

func (o Options) beat() time.Duration { return cmp.Or(o.testOnlyBeat, presenceBeat) }

func newLeases(opts Options) *presence.Table {
	return presence.New(presence.Options{
		Node: rand.Uint64(), Alone: !opts.Shared, Lease: opts.Lease, Session: opts.sessionLease(), Beat: opts.beat(),
	}, time.Now())
}

// hear takes in what the other nodes say, until ctx ends.
func (d *Directory) hear(ctx context.Context) error {
	first := true
	for {
		err := d.store.Subscribe(ctx, presenceSubject, func() {
			if first {
				close(d.subscribed)
				first = false
			}
		}, d.hearMessage)
		if ctx.Err() != nil {
			return nil
		}
		d.log.Warn("other nodes are not heard", slog.Any("error", err))
		select {
		case <-time.After(feedAgain):
		case <-ctx.Done():
		}
	}
}

func (d *Directory) hearMessage(message []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	changes, err := d.leases.Receive(message, time.Now())
	if err != nil {
		d.log.Warn("a message of another node is not understood", slog.Any("error", err))
		return
	}
	d.applyPresence(changes)
	close(d.heard)
	d.heard = make(chan struct{})
	d.publishSoon()
}

// presenceKnown waits until the node knows who is connected at others.
func (d *Directory) presenceKnown(ctx context.Context) error {
	if !d.opts.Shared {
		return nil
	}
	return d.listen(ctx, func() bool { return d.leases.Ready(time.Now()) })
}

// listen waits until the condition holds, which it looks at, holding mu, when
// others were heard and at each tick.
func (d *Directory) listen(ctx context.Context, holds func() bool) error {
	for {
		d.mu.Lock()
		done, heard := holds(), d.heard
		d.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-heard:
		case <-time.After(d.opts.beat() / ticksPerBeat):
		case <-ctx.Done():
			return lonja.E(lonja.Canceled, "presence", ctx.Err())
		}
	}
}

// keepPresence ends leases that ran out and publishes what others are to know,
// until ctx ends. Being one goroutine, it keeps the messages in order.
func (d *Directory) keepPresence(ctx context.Context) error {
	if d.opts.Shared {
		select {
		case <-d.subscribed: // before: nobody's answer would be heard
		case <-ctx.Done():
			return nil
		}
	}
	ticker := time.NewTicker(d.opts.beat() / ticksPerBeat)
	defer ticker.Stop()
	for {
		select {
		case <-d.wake:
		case <-ticker.C:
			d.tick()
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.Background(), lastWords)
			defer cancel()
			d.mu.Lock()
			d.leases.Leave()
			d.mu.Unlock()
			d.publishPresence(ctx)
			return nil
		}
		d.publishPresence(ctx)
	}
}

func (d *Directory) tick() {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.applyPresence(d.leases.Tick(now))
	for user, since := range d.homeless {
		switch _, exists := d.index.Account(user); {
		case exists:
			delete(d.homeless, user)
		case now.Sub(since) > homelessFor:
			delete(d.homeless, user)
			d.applyPresence(d.leases.Drop(user, now))
		}
	}
}

// publishSoon has keepPresence publish.
func (d *Directory) publishSoon() { remind(d.wake) }

func (d *Directory) publishPresence(ctx context.Context) {
	for {
		d.mu.Lock()
		messages := d.leases.Flush(time.Now())
		more := d.leases.Pending()
		d.mu.Unlock()
		for _, m := range messages {
			if err := d.store.Publish(ctx, presenceSubject, m); err != nil && ctx.Err() == nil {
				d.log.Debug("other nodes cannot be told", slog.Any("error", err))
			}
		}
		if !more || len(messages) == 0 {
			return
		}
	}
}

// told waits, within bounds, until the other nodes know what was done last: a
// client may ask any of them next.
func (d *Directory) told(ctx context.Context) {
	if !d.opts.Shared {
		return
	}
	d.publishSoon()
	ctx, cancel := context.WithTimeout(ctx, toldBy)
	defer cancel()
	d.mu.RLock()
	seq := d.leases.Seq()
	d.mu.RUnlock()
	if err := d.listen(ctx, func() bool { return d.leases.Acked(seq) }); errors.Is(err, context.DeadlineExceeded) {
		d.log.Debug("not all nodes have heard of a change of presence")
	}
}

// applyPresence shows changes of presence in the index. The caller holds mu.
func (d *Directory) applyPresence(changes []presence.Change) {
	if d.index == nil {
		return // connectAll comes later
	}
	for len(changes) > 0 {
		c := changes[0]
		changes = changes[1:]
		a, exists := d.index.Account(c.User)
		switch {
		case c.Online && c.Mine && !exists:
			d.homeless[c.User] = time.Now() // taken over from a node that knew the account before this one does
		case c.Online && !(exists && d.valid(a, c.Stamp, c.Detail)):
			if c.Mine {
				changes = append(changes, d.leases.Drop(c.User, time.Now())...)
			} else if exists {
				d.setOffline(a)
			}
		case !exists:
		case c.Online:
			d.setOnline(a, c.At, c.Detail)
			if nodeOfDetail(c.Was).IsOther(nodeOfDetail(c.Detail)) {
				d.wakeAll() // the other program may watch
			}
		default:
			d.setOffline(a)
		}
	}
	d.settle()
}

// ofAccount reports whether a lease is that of the account, and not of an
// earlier one of that name: leases are stamped after their account was made.
func ofAccount(a index.Account, stamp presence.Stamp) bool {
	return stamp.Micros() > micros(a.Incarnation)
}

// micros returns the time that an incarnation was made from.
func micros(incarnation uint64) uint64 { return incarnation / 1000 }

// accountChanged fits presence to an account that has come or gone. The caller
// holds mu.
func (d *Directory) accountChanged(user lonja.UserName) {
	a, exists := d.index.Account(user)
	if !exists {
		d.leases.Drop(user, time.Now())
		d.publishSoon()
		return
	}
	d.leases.Observe(micros(a.Incarnation))
	if lease, connected := d.leases.Lookup(user); connected && !d.valid(a, lease.Stamp, lease.Detail) {
		d.setOffline(a)
		d.presenceChanged(d.leases.Drop(user, time.Now()))
		return
	}
	d.connectLeased(a)
}

// connectLeased connects a user who has an account if there is a lease.
func (d *Directory) connectLeased(a index.Account) {
	if lease, connected := d.leases.Lookup(a.User); connected && d.valid(a, lease.Stamp, lease.Detail) {
		d.setOnline(a, lease.At, lease.Detail)
	}
}

// connectAll shows all leases in an index that knew none. The caller holds mu.
func (d *Directory) connectAll() {
	d.leases.Observe(micros(d.incarnation))
	if d.leases.Len() == 0 {
		return
	}
	const page = 1024
	for next, more := uint32(0), true; more; more = next != 0 {
		var accounts []index.Account
		accounts, next = d.index.Accounts(next, page)
		for _, a := range accounts {
			d.connectLeased(a)
		}
		d.mu.Unlock() // others get turns
		d.mu.Lock()
	}
}

// lagLook is how often it is looked how far the store is.
const lagLook = 5 * time.Second

// watchLag learns how far the store is, by other nodes' changes too.
func (d *Directory) watchLag(ctx context.Context) error {
	ticker := time.NewTicker(lagLook)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if rev, err := d.store.Barrier(ctx); err == nil {
			d.mu.Lock()
			d.written = max(d.written, rev)
			d.mu.Unlock()
		}
	}
}

// Renew begins the lease of a connected user anew. NotConnected if there is
// none.
func (d *Directory) Renew(user lonja.UserName) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	changes, connected := d.leases.Renew(user, time.Now())
	if !connected {
		return &lonja.Error{Kind: lonja.NotConnected, Op: "renew", User: user}
	}
	d.presenceChanged(changes)
	return nil
}
