package presence

import (
	"slices"
	"time"
)

// A node is what is known of one directory node; the first is this one itself.
type node struct {
	id uint64

	// what it holds, by the records here
	records int // leases and ends
	leases  int
	digest  uint64 // of the leases

	// its deltas: all up to have are known here, and first to last besides.
	have, first, last uint64
	heard, met        time.Duration // its last message, its first one
	live              bool
	left              bool // it said bye
	gone              time.Duration

	acked uint64 // our deltas that it knows
	acks  bool   // it acknowledged something: it has caught up with us once

	// the exchange of all its records
	askAfter time.Duration // not to be asked again before
	snapSeq  uint64        // the exchange under way, and its next page
	snapPage uint64
	round    uint8 // marks the records that the exchange mentions
	suspect  bool  // the exchange is owing to a digest: what is not mentioned goes
	differs  bool  // its digest does, since
	since    time.Duration
	audited  time.Duration // the last time that it was suspected

	// the adoption of its records: the next slot to look at
	cursor   uint32
	adopting bool
	all      bool // of all, not only of those that are ours by choice
}

// behind tells whether something that the node published is not known here.
func (n *node) behind() bool { return n.first > n.have+1 }

// wanted tells whether the node is to be asked for all its records.
func (n *node) wanted() bool { return n.live && (n.behind() || n.suspect) }

const (
	// maxNodes bounds the nodes that are known or remembered; what others send
	// is ignored then.
	maxNodes = 1000
	// tickStep is how many slots one Tick looks at, for what is due and for
	// each node that is gone, so that others do not wait for it for long.
	tickStep = 1 << 13
	// auditBeats is for how many beats a digest must differ before it matters:
	// it does for a moment whenever two nodes change a user at a time.
	auditBeats = 3
	// auditSilences bounds how often a digest makes us ask one node.
	auditSilences = 5
)

// node returns the index of the node with that id; unknown ones are made
// known. It reports false for this node itself, for one that left, and when
// there are too many.
func (t *Table) node(id uint64) (uint16, bool) {
	free := len(t.nodes)
	for i, n := range t.nodes {
		switch {
		case n == nil:
			free = min(free, i)
		case n.id == id:
			return uint16(i), i > 0 && !n.left
		}
	}
	if free == maxNodes {
		return 0, false
	}
	if free == len(t.nodes) {
		t.nodes = append(t.nodes, nil)
	}
	t.nodes[free] = &node{id: id, first: 1}
	return uint16(free), true
}

// knows tells whether the node with that id was ever heard, as far as is
// remembered.
func (t *Table) knows(id uint64) bool {
	return slices.ContainsFunc(t.nodes, func(n *node) bool { return n != nil && n.id == id })
}

// hear notes that a node is there.
func (t *Table) hear(n *node, now time.Time) {
	if n.heard == 0 {
		n.met = t.age(now)
	}
	n.heard = t.age(now)
	if !n.live {
		n.live, n.adopting, n.all = true, false, false
		t.owes = true // so that it knows of us at once
	}
}

// lose takes a node for gone: its records are adopted.
func (t *Table) lose(n *node, now time.Time) {
	n.live, n.suspect, n.differs = false, false, false
	n.gone = t.age(now)
	n.adopting, n.all, n.cursor = true, false, 0
}

// Tick does what is due at time now: it ends leases, notices that nodes are
// gone, and adopts what they held. It wants to be called several times in a
// Beat, and once more at once while Pending. The changes belong to the caller.
func (t *Table) Tick(now time.Time) []Change {
	age := t.age(now)
	if age-t.ticked > t.opts.Silence/2 {
		t.resume(age)
	}
	t.ticked = age
	for i, n := range t.nodes {
		switch {
		case n == nil || i == 0:
		case n.live:
			if age-n.heard > t.opts.Silence {
				t.lose(n, now)
			}
		case n.records == 0 && age-n.gone > t.opts.Remember:
			t.nodes[i] = nil
			continue
		case !n.adopting && !n.all && age-n.gone > t.opts.Silence:
			n.adopting, n.all, n.cursor = true, true, 0
		}
		if i > 0 && n != nil && n.adopting {
			t.adopt(uint16(i), now)
		}
	}
	t.expire(now)
	return t.takeChanges()
}

// resume gives everybody time after this node did not run for a while: what
// seems silent had no chance to be heard.
func (t *Table) resume(age time.Duration) {
	for _, n := range t.nodes[1:] {
		if n != nil && n.live {
			n.heard = age
		}
	}
	t.resumed = age
}

// adopt goes on taking over the records of a node that is gone.
func (t *Table) adopt(p uint16, now time.Time) {
	n := t.nodes[p]
	stop := min(n.cursor+tickStep, t.slab.size)
	for slot := n.cursor; slot < stop && n.records > 0; slot++ {
		r := t.slab.at(slot)
		if r.flags&used == 0 || r.node != p || !n.all && !t.chosen(hashUser(r.user), n) {
			continue
		}
		with := record{at: r.at, terms: r.terms, stamp: r.stamp, epoch: r.epoch + 1, flags: r.flags&wireState | adopted}
		with.due = t.leaseEnd(r.terms, now)
		if r.flags&online == 0 {
			with.due = t.wheel.tick(t.age(now)+t.opts.Remember) + 1
		}
		t.replace(slot, with)
		t.announce(slot)
	}
	n.cursor = stop
	n.adopting = n.records > 0 && stop < t.slab.size
}

// chosen tells whether this node is, of all that live and know what there is,
// the one for a user of a node that is gone: that with the largest hash of
// both. Who came after that node had gone does not know its users.
func (t *Table) chosen(user uint64, gone *node) bool {
	own := mix(user ^ mix(t.opts.Node))
	for _, n := range t.nodes[1:] {
		if n != nil && n.live && n.acks && n.met <= gone.heard && mix(user^mix(n.id)) > own {
			return false
		}
	}
	return true
}
