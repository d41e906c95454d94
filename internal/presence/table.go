package presence

import (
	"time"

	"lonja"
)

// Options are the lengths of things. Zero means the default, but for Lease.
type Options struct {
	// Node names this node among all that are or were on the cluster: a random
	// number, made anew at each start.
	Node uint64
	// Alone: there are no other nodes, and there never will be. Nothing is
	// published, and no end is remembered.
	Alone bool
	// Lease is how long a user may be silent. 0: leases never run out, but for
	// those of sessions.
	Lease time.Duration
	// Session is how long the sessions last that this node begins: it only says
	// how finely time is looked at.
	Session time.Duration
	// Beat is the time between two heartbeats. Default 1 s.
	Beat time.Duration
	// Silence is how long a node may be silent. Default 6 s; at least 3 beats.
	Silence time.Duration
	// Remember is how long ends of leases, and nodes that are gone, are
	// remembered: a node cut off for longer may bring back users who
	// disconnected meanwhile. Default 15 min; at least twice Lease + Silence.
	Remember time.Duration
}

func (o *Options) fill() {
	if o.Beat <= 0 {
		o.Beat = time.Second
	}
	if o.Silence <= 0 {
		o.Silence = 6 * time.Second
	}
	o.Silence = max(o.Silence, 3*o.Beat)
	if o.Remember <= 0 {
		o.Remember = 15 * time.Minute
	}
	o.Remember = max(o.Remember, 2*(o.Lease+o.Silence))
}

// A Change is what others should see of a user from now on.
type Change struct {
	User   lonja.UserName
	Online bool
	At     lonja.Endpoint // valid while online
	Stamp  Stamp          // names the connection, for RenewLease
	// Mine tells that this node holds the lease: somebody here has to renew
	// it, if the user's own node does not.
	Mine   bool
	Detail string // of the session; valid while online
	Was    string // the detail before, while the user was online
}

// A Lease is what Lookup knows of a connected user.
type Lease struct {
	At    lonja.Endpoint
	Stamp Stamp
	Node  uint64 // the holder
	Mine  bool   // this node is the holder
	// Detail is what the session was begun with, or "" for a lease that is none.
	Detail string
}

// A Table is one node's view of who is connected. It is not safe for
// concurrent use. Times passed to it never go back; New, Tick and all others
// are told the same clock, best one with a monotonic reading. Changes come in
// the order in which they have to be applied.
type Table struct {
	opts  Options
	start time.Time

	slab  slab
	wheel wheel
	clock uint64 // of the latest stamp made or seen, without its tag
	count int    // connected users
	held  int    // sessions that this node holds

	nodes    []*node       // by the index in records; 0 is this one, nil is free
	rumoured time.Duration // others spoke of a node that is none of these; 0: never

	changes []Change

	// what waits for Flush
	dirty   []uint32 // slots for the next delta
	seq     uint64   // the last delta flushed
	owes    bool     // a beat is to be sent at once
	beaten  time.Duration
	sending snapshot
	leaving bool

	// a machine that was paused
	ticked  time.Duration
	resumed time.Duration // when it ran again: leases have half their length from then on
	overdue bool          // the last Tick did not come to the end
}

// New returns an empty table at time now. Its first Flush greets the others.
func New(opts Options, now time.Time) *Table {
	opts.fill()
	length := opts.Lease
	if length <= 0 {
		length = opts.Remember
	}
	if opts.Session > 0 {
		length = min(length, opts.Session)
	}
	return &Table{
		opts: opts, start: now,
		slab:  slab{byUser: make(map[lonja.UserName]uint32)},
		wheel: wheel{grain: max(length/leaseTicks, minGrain), next: 1},
		nodes: []*node{{id: opts.Node, live: true}},
		owes:  !opts.Alone,
	}
}

// age turns a time into what the table reckons with.
func (t *Table) age(now time.Time) time.Duration { return now.Sub(t.start) }

// Len returns the number of connected users.
func (t *Table) Len() int { return t.count }

// Lookup tells where a user is connected.
func (t *Table) Lookup(user lonja.UserName) (Lease, bool) {
	slot, ok := t.slab.byUser[user]
	if !ok {
		return Lease{}, false
	}
	r := t.slab.at(slot)
	if r.flags&online == 0 {
		return Lease{}, false
	}
	return Lease{At: r.at, Stamp: r.stamp, Node: t.nodes[r.node].id, Mine: r.node == 0, Detail: r.terms.detail()}, true
}

// Ended returns the stamp of the user's latest disconnect, if that is the latest
// thing known of it and still remembered.
func (t *Table) Ended(user lonja.UserName) (Stamp, bool) {
	slot, ok := t.slab.byUser[user]
	if !ok || t.slab.at(slot).flags&online != 0 {
		return 0, false
	}
	return t.slab.at(slot).stamp, true
}

// Connect begins a new lease of a user, held here, in the place of the one
// that there may be: whether a connected user may connect again is the
// caller's to decide. The stamp names the connection.
func (t *Table) Connect(user lonja.UserName, at lonja.Endpoint, now time.Time) (Stamp, []Change) {
	return t.connect(user, record{at: at}, now)
}

// Disconnect ends a user's lease, whoever holds it. It reports whether there
// was one.
func (t *Table) Disconnect(user lonja.UserName, now time.Time) ([]Change, bool) {
	slot, ok := t.slab.byUser[user]
	if !ok || t.slab.at(slot).flags&online == 0 {
		return nil, false
	}
	t.end(slot, record{stamp: t.newStamp(now)}, now)
	return t.takeChanges(), true
}

// Drop ends the lease of a user whose account is gone, if this node holds it.
// Every node learns of the account's end, but only the holder knows for sure
// that the lease is not of a later account of that name; and a lease that
// another node has made for such a one, unknown here yet, outlives it. A caller
// that is told a Change, with Mine, for a user without account calls it again.
func (t *Table) Drop(user lonja.UserName, now time.Time) []Change {
	slot, ok := t.slab.byUser[user]
	if !ok {
		return nil
	}
	r := t.slab.at(slot)
	if r.node != 0 || r.flags&online == 0 {
		return nil
	}
	t.end(slot, record{stamp: r.stamp, epoch: r.epoch + 1}, now)
	return t.takeChanges()
}

// Renew begins a user's lease anew and reports whether there is one. If
// another node held it, this one does from now on.
func (t *Table) Renew(user lonja.UserName, now time.Time) ([]Change, bool) {
	slot, ok := t.slab.byUser[user]
	if !ok {
		return nil, false
	}
	return t.renew(slot, now)
}

// RenewLease is Renew for the connection of that stamp only: what was sent for
// an earlier one does not keep a later one alive.
func (t *Table) RenewLease(user lonja.UserName, stamp Stamp, now time.Time) ([]Change, bool) {
	slot, ok := t.slab.byUser[user]
	if !ok || t.slab.at(slot).stamp != stamp {
		return nil, false
	}
	return t.renew(slot, now)
}

func (t *Table) renew(slot uint32, now time.Time) ([]Change, bool) {
	r := t.slab.at(slot)
	switch {
	case r.flags&online == 0:
		return nil, false
	case r.node == 0:
		r.due = t.leaseEnd(r.terms, now)
		return nil, true
	}
	t.replace(slot, record{at: r.at, terms: r.terms, stamp: r.stamp, epoch: r.epoch + 1, due: t.leaseEnd(r.terms, now), flags: online})
	t.announce(slot)
	return t.takeChanges(), true
}

// Clock returns a time, in microseconds since 1970, that no stamp made or seen
// so far is after.
func (t *Table) Clock() uint64 { return t.clock }

// Observe has all stamps made from now on be after a time, in microseconds
// since 1970, that another node's clock has shown.
func (t *Table) Observe(micros uint64) {
	t.clock = max(t.clock, min(micros, uint64(maxStamp>>stampTag)))
}

// newStamp returns a stamp later than all that were made or seen here.
func (t *Table) newStamp(now time.Time) Stamp {
	t.clock = max(t.clock+1, uint64(now.UnixMicro()))
	return Stamp(t.clock<<stampTag | mix(t.opts.Node)>>(64-stampTag))
}

// leaseEnd returns the tick by which a lease renewed now runs out.
func (t *Table) leaseEnd(terms *Session, now time.Time) uint32 {
	length := t.length(terms)
	if length <= 0 {
		return 0
	}
	return t.wheel.tick(t.age(now)+length) + 1
}

// replace puts a record of the same user into the slot and notes what others
// see of it.
func (t *Table) replace(slot uint32, with record) {
	r := t.slab.at(slot)
	before := *r
	t.uncount(r)
	with.user, with.queued = r.user, r.queued
	with.flags |= r.flags&dirty | used
	*r = with
	t.tally(r)
	t.wheel.queue(slot, r)
	isOn, wasOn := r.flags&online != 0, before.flags&online != 0
	same := isOn == wasOn && r.at == before.at && r.stamp == before.stamp && (r.node == 0) == (before.node == 0) &&
		r.terms.detail() == before.terms.detail()
	if !same && (isOn || wasOn) {
		t.changes = append(t.changes, Change{User: r.user, Online: isOn, At: r.at, Stamp: r.stamp, Mine: isOn && r.node == 0, Detail: r.terms.detail(), Was: before.terms.detail()})
	}
}

// end replaces a lease with its end, which is kept as long as there may be
// somebody to tell it to.
func (t *Table) end(slot uint32, with record, now time.Time) {
	with.due = t.wheel.tick(t.age(now)+t.opts.Remember) + 1
	t.replace(slot, with)
	if t.opts.Alone {
		t.forget(slot)
		return
	}
	t.announce(slot)
}

// forget removes a record.
func (t *Table) forget(slot uint32) {
	t.uncount(t.slab.at(slot))
	t.slab.remove(slot)
}

// announce has the next delta carry the record.
func (t *Table) announce(slot uint32) {
	if r := t.slab.at(slot); r.flags&dirty == 0 {
		r.flags |= dirty
		t.dirty = append(t.dirty, slot)
	}
}

// tally adds a record to what its holder has, and uncount takes it away.
func (t *Table) tally(r *record) {
	n := t.nodes[r.node]
	n.records++
	if r.flags&online != 0 {
		t.count++
		n.leases++
		n.digest += r.digest()
		t.held += r.heldSession()
	}
}

func (t *Table) uncount(r *record) {
	if r.stamp == 0 {
		return // just added: nothing yet
	}
	n := t.nodes[r.node]
	n.records--
	if r.flags&online != 0 {
		t.count--
		n.leases--
		n.digest -= r.digest()
		t.held -= r.heldSession()
	}
}

// takeChanges returns what changed since it was called last.
func (t *Table) takeChanges() []Change {
	changes := t.changes
	t.changes = nil
	return changes
}
