package presence

import (
	"slices"
	"time"
)

// Receive takes in a message that was published, by this node or another. The
// error is of kind Malformed; the message had no effect then.
func (t *Table) Receive(b []byte, now time.Time) ([]Change, error) {
	m, err := parseMessage(b)
	if err != nil || m.from == t.opts.Node {
		return nil, err
	}
	p, ok := t.node(m.from)
	if !ok {
		return nil, nil
	}
	n := t.nodes[p]
	t.hear(n, now)
	switch m.kind {
	case beat:
		t.receiveBeat(n, m, now)
	case delta:
		t.receiveDelta(p, m, now)
	case ask:
		if slices.Contains(m.nodes, t.opts.Node) {
			t.sending.request()
		}
	case page:
		t.receivePage(p, m, now)
	case bye:
		n.left = true
		t.lose(n, now)
	}
	return t.takeChanges(), nil
}

func (t *Table) receiveBeat(n *node, m *message, now time.Time) {
	if m.seq > n.last {
		n.first, n.last = m.seq+1, m.seq // what came before was missed
	}
	n.catchUp()
	for _, a := range m.acks {
		switch {
		case a.node == t.opts.Node:
			n.acks = true
			n.acked = max(n.acked, a.seq)
		case !t.knows(a.node):
			t.rumoured = t.age(now)
		}
	}
	if n.behind() || m.seq != n.have {
		return // no wonder if it differs
	}
	age := t.age(now)
	switch {
	case m.count == uint64(n.leases) && m.digest == n.digest:
		n.differs = false
	case !n.differs:
		n.differs, n.since = true, age
	case age-n.since >= auditBeats*t.opts.Beat && age-n.audited >= auditSilences*t.opts.Silence:
		n.suspect, n.audited, n.askAfter = true, age, age
		n.round++
	}
}

func (t *Table) receiveDelta(p uint16, m *message, now time.Time) {
	n := t.nodes[p]
	had := n.have
	switch {
	case m.seq <= n.last:
		// doubled
	case m.seq == n.last+1:
		n.last++
	default:
		n.first, n.last = m.seq, m.seq
	}
	for i := range m.records {
		t.merge(p, &m.records[i], now)
	}
	n.catchUp()
	t.owes = t.owes || n.have > had
}

// catchUp joins what is known from the beginning with what came after a gap,
// once the gap is closed.
func (n *node) catchUp() {
	if !n.behind() {
		n.have = max(n.have, n.last)
	}
}

func (t *Table) receivePage(p uint16, m *message, now time.Time) {
	n := t.nodes[p]
	if !n.wanted() {
		return // another asked for it
	}
	for i := range m.records {
		t.merge(p, &m.records[i], now)
	}
	switch {
	case m.number == 0:
		n.snapSeq, n.snapPage = m.seq, 1
	case m.number == n.snapPage && m.seq == n.snapSeq:
		n.snapPage++
	default:
		n.snapPage = 0 // one was lost: another exchange, unless this is one doubled
		return
	}
	n.askAfter = t.age(now) + 2*t.opts.Beat
	if !m.last {
		return
	}
	n.snapPage = 0
	n.have = max(n.have, n.snapSeq)
	n.catchUp()
	t.owes = true
	if n.suspect && !n.behind() {
		n.suspect, n.differs = false, false
		t.sweep(p)
	}
}

// sweep forgets the leases of node p that it did not mention in an exchange.
func (t *Table) sweep(p uint16) {
	n := t.nodes[p]
	for slot := range t.slab.size {
		r := t.slab.at(slot)
		if r.flags&used == 0 || r.node != p || r.round == n.round {
			continue
		}
		if r.flags&online != 0 {
			t.changes = append(t.changes, Change{User: r.user, Stamp: r.stamp})
		}
		t.forget(slot)
	}
}

// Ready tells that this node knows what all nodes that it hears know, and has
// listened for two beats: before, it would tell clients that their friends are
// not there.
//
// It also waits, for a Silence, while others speak of a node that it does not
// hear. That is most likely this one itself, as it was before it died and was
// started again: nobody knows yet that it is gone, nobody has adopted its
// users, and they would come back here to hear that they are not connected.
func (t *Table) Ready(now time.Time) bool {
	age, listening := t.age(now), 2*t.opts.Beat
	switch {
	case t.opts.Alone:
	case age < listening,
		age < t.opts.Silence+listening && t.rumoured != 0 && age < t.rumoured+listening:
		return false
	}
	return !slices.ContainsFunc(t.nodes[1:], func(n *node) bool { return n != nil && n.wanted() })
}

// Seq returns the number of the delta that carries what was done last: Acked
// of it is worth asking.
func (t *Table) Seq() uint64 {
	return t.seq + uint64((len(t.dirty)+deltaRecords-1)/deltaRecords)
}

// Acked tells whether every other live node has our deltas up to seq. Nodes
// that have not caught up with us since they started do not count: they do not
// serve yet. Without any other it is true.
func (t *Table) Acked(seq uint64) bool {
	return !slices.ContainsFunc(t.nodes[1:], func(n *node) bool {
		return n != nil && n.live && n.acks && n.acked < seq
	})
}

// Stats are figures for the operator.
type Stats struct {
	Leases int // users connected anywhere
	Held   int // leases of this node, sessions among them
	// Sessions is how many of those held are renewed by the users' own nodes.
	Sessions int
	Ends     int // ends that are remembered
	Nodes    int // live nodes, with this one
	Behind   int // of them, how many have told what is not known here yet
}

// Stats returns the figures of this moment.
func (t *Table) Stats() Stats {
	s := Stats{Leases: t.count, Held: t.nodes[0].leases, Sessions: t.held, Ends: len(t.slab.byUser) - t.count}
	for _, n := range t.nodes {
		if n != nil && n.live {
			s.Nodes++
			s.Behind += int(number(n.wanted()))
		}
	}
	return s
}
