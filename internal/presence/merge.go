package presence

import (
	"time"

	"lonja"
)

// merge brings what node p says of a user into the table.
func (t *Table) merge(p uint16, w *wireRecord, now time.Time) {
	t.clock = max(t.clock, uint64(w.stamp)>>stampTag)
	slot, known := t.slab.byUser[lonja.UserName(w.user)]
	if !known {
		slot = t.slab.add(lonja.UserName(w.user))
	} else {
		old := t.slab.at(slot)
		theirs := order{w.stamp, w.epoch, t.nodes[p].id, w.flags&online == 0}
		switch c := theirs.compare(t.order(old)); {
		case c == 0:
			old.round = t.nodes[p].round
			return
		case c < 0:
			return // its holder hears of ours by itself
		case t.holdsOn(old, w):
			t.replace(slot, record{at: old.at, terms: old.terms, stamp: old.stamp, epoch: w.epoch + 1, due: old.due, flags: online})
			t.announce(slot)
			return
		}
	}
	with := record{
		at: w.at, terms: w.terms, stamp: w.stamp, epoch: w.epoch, flags: w.flags & wireState,
		node: p, round: t.nodes[p].round,
	}
	if w.flags&online == 0 {
		with.due = t.wheel.tick(t.age(now)+t.opts.Remember) + 1
	}
	t.replace(slot, with)
}

// holdsOn tells whether a lease of ours is to be asserted again against a
// record that would replace it: that another holder of the same connection no
// longer heard of the user, or took us for dead, does not end it. Only a lease
// that we did not adopt is taken back from who adopted it, so that two who
// adopted it do not do so for ever.
func (t *Table) holdsOn(ours *record, theirs *wireRecord) bool {
	if ours.node != 0 || ours.flags&online == 0 || ours.stamp != theirs.stamp {
		return false
	}
	return theirs.flags&expired != 0 || theirs.flags&adopted != 0 && ours.flags&adopted == 0
}

func (t *Table) order(r *record) order {
	return order{r.stamp, r.epoch, t.nodes[r.node].id, r.flags&online == 0}
}

// expire ends what is due: leases of ours that nobody renewed, and the memory
// of ends.
func (t *Table) expire(now time.Time) {
	age := t.age(now)
	t.overdue = t.wheel.turn(&t.slab, t.wheel.tick(age), tickStep, func(slot uint32) {
		r := t.slab.at(slot)
		if r.flags&online == 0 {
			t.forget(slot)
			return
		}
		if until := t.resumed + t.length(r.terms)/2; t.resumed > 0 && age < until {
			r.due = t.wheel.tick(until) + 1
			t.wheel.queue(slot, r)
			return
		}
		t.end(slot, record{stamp: r.stamp, epoch: r.epoch, flags: expired | r.flags&adopted}, now)
	})
}
