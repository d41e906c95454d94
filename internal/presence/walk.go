package presence

import "lonja"

// Walk tells up to most of the leases that this node holds and that somebody
// here has to renew, from a place on, and returns the next place. 0 begins a walk, and has come back when it is
// over. A lease that is held during the whole walk is told once.
func (t *Table) Walk(from uint32, most int, tell func(lonja.UserName, Lease)) (next uint32) {
	for slot := from; slot < t.slab.size; slot++ {
		r := t.slab.at(slot)
		if r.flags&online == 0 || r.node != 0 || r.terms != nil {
			continue
		}
		if most--; most < 0 {
			return slot
		}
		tell(r.user, Lease{At: r.at, Stamp: r.stamp, Node: t.nodes[0].id, Mine: true})
	}
	return 0
}
