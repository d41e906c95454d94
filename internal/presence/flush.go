package presence

import (
	"encoding/binary"
	"slices"
	"time"
)

const (
	// deltaRecords is how many records fit into a delta, whatever their names.
	deltaRecords = (MaxMessage - maxHead) / (maxRecord + maxSession)
	// pageSize bounds a page: what is in it is applied under a lock, in some
	// milliseconds.
	pageSize = 64 << 10
	// flushPages is how many pages one Flush makes: a million leases at once
	// would be 30 MB to hold, and more than a subscriber has room for.
	flushPages = 8
)

// A snapshot is the sending of all own records in pages. What changes
// meanwhile goes out as deltas between them, so a page need not be of the
// moment at which the first was.
type snapshot struct {
	active, again bool
	seq, number   uint64
	cursor        uint32
}

// request asks for a snapshot. Who asks while one is under way needs the next.
func (s *snapshot) request() {
	if !s.active {
		*s = snapshot{active: true}
	} else if s.number > 0 {
		s.again = true
	}
}

// Pending tells whether there is something to do at once: a Flush, and, when
// nothing comes of it, a Tick.
func (t *Table) Pending() bool {
	return len(t.dirty) > 0 || t.owes || t.sending.active || t.leaving || t.overdue ||
		slices.ContainsFunc(t.nodes[1:], func(n *node) bool { return n != nil && n.adopting })
}

// Leave says bye with the next Flush: the others adopt what this node holds.
// The table is of no use after that Flush.
func (t *Table) Leave() { t.leaving = true }

// Flush returns what is to be published now, in that order; the messages
// belong to the caller. It is called after operations, received messages and
// ticks; after several of them at once, to make fewer messages, and before an
// answer that waits for Acked.
func (t *Table) Flush(now time.Time) [][]byte {
	age := t.age(now)
	messages := t.flushDeltas(nil)
	if t.opts.Alone {
		t.leaving = false
		return nil
	}
	for range flushPages {
		if !t.sending.active {
			break
		}
		messages = append(messages, t.nextPage())
	}
	if asked := t.asks(age); len(asked) > 0 {
		messages = append(messages, appendMessage(nil, &message{kind: ask, from: t.opts.Node, nodes: asked}))
	}
	if t.leaving {
		t.leaving = false
		return append(messages, appendHead(nil, bye, t.opts.Node))
	}
	if t.owes || age-t.beaten >= t.opts.Beat {
		t.owes, t.beaten = false, age
		messages = append(messages, t.beat())
	}
	return messages
}

// flushDeltas appends what changed here, if there is somebody to hear it. Else
// only the numbers go on, by which a node that was cut off sees that it has to
// ask.
func (t *Table) flushDeltas(messages [][]byte) [][]byte {
	heard := slices.ContainsFunc(t.nodes[1:], func(n *node) bool { return n != nil && n.live })
	for slots := range slices.Chunk(t.dirty, deltaRecords) {
		t.seq++
		b := binary.AppendUvarint(appendHead(nil, delta, t.opts.Node), t.seq)
		for _, slot := range slots {
			r := t.slab.at(slot)
			r.flags &^= dirty
			if heard && r.flags&used != 0 && r.node == 0 { // else it is another's by now
				b = appendOwn(b, r)
				if r.terms != nil {
					b[0] = versionSessions
				}
			}
		}
		if heard {
			messages = append(messages, b)
		}
	}
	t.dirty = t.dirty[:0]
	return messages
}

// nextPage makes one more page of the snapshot.
func (t *Table) nextPage() []byte {
	s := &t.sending
	if s.number == 0 {
		s.seq = t.seq
	}
	var records []byte
	first := byte(version)
	for ; s.cursor < t.slab.size && len(records) <= pageSize-maxHead-maxRecord-maxSession; s.cursor++ {
		if r := t.slab.at(s.cursor); r.flags&used != 0 && r.node == 0 {
			records = appendOwn(records, r)
			if r.terms != nil {
				first = versionSessions
			}
		}
	}
	last := s.cursor == t.slab.size
	b := make([]byte, 0, maxHead+len(records))
	b = appendPageHead(appendHead(b, page, t.opts.Node), s.seq, s.number, last)
	b[0] = first
	s.number++
	if last {
		*s = snapshot{active: s.again}
	}
	return append(b, records...)
}

func appendOwn(b []byte, r *record) []byte {
	return appendRecord(b, &wireRecord{user: []byte(r.user), at: r.at, terms: r.terms, stamp: r.stamp, epoch: r.epoch, flags: r.flags})
}

// asks returns the nodes to be asked for all their records now. None is asked
// again before it had time to answer.
func (t *Table) asks(age time.Duration) []uint64 {
	var asked []uint64
	for _, n := range t.nodes[1:] {
		if n != nil && n.wanted() && age >= n.askAfter {
			n.askAfter = age + 2*t.opts.Beat
			asked = append(asked, n.id)
		}
	}
	return asked
}

// beat tells the others how far this node has come, itself and in knowing
// them.
func (t *Table) beat() []byte {
	own := t.nodes[0]
	m := message{kind: beat, from: t.opts.Node, seq: t.seq, count: uint64(own.leases), digest: own.digest}
	for _, n := range t.nodes[1:] {
		if n != nil && n.live && !n.behind() {
			m.acks = append(m.acks, ack{n.id, n.have})
		}
	}
	return appendMessage(nil, &m)
}
