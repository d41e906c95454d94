package directory

import (
	"time"

	"lonja"
	"lonja/internal/presence"
)

// The methods of this file are what package probe keeps users connected by.

// ProbedCount returns how many users this node holds the leases of who have no
// session: these renew theirs themselves.
func (d *Directory) ProbedCount() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	s := d.leases.Stats()
	return s.Held - s.Sessions
}

// Probed tells some of these users, and where the next call goes on. A pass
// over all begins with 0, and has ended when next is 0.
func (d *Directory) Probed(from uint64, most int, tell func(peer lonja.Peer, stamp uint64)) (next uint64) {
	type mine struct {
		peer  lonja.Peer
		stamp presence.Stamp
	}
	some := make([]mine, 0, most)
	d.mu.RLock()
	slot := d.leases.Walk(uint32(from), most, func(user lonja.UserName, l presence.Lease) {
		some = append(some, mine{lonja.Peer{User: user, At: l.At}, l.Stamp})
	})
	d.mu.RUnlock()
	for _, m := range some {
		tell(m.peer, uint64(m.stamp))
	}
	return uint64(slot)
}

// RenewLease begins the lease of that stamp anew, unless it is over.
func (d *Directory) RenewLease(user lonja.UserName, stamp uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	changes, _ := d.leases.RenewLease(user, presence.Stamp(stamp), time.Now())
	d.presenceChanged(changes)
}

// EndLease ends the lease of that stamp, and never a later one.
func (d *Directory) EndLease(user lonja.UserName, stamp uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l, connected := d.leases.Lookup(user); connected && uint64(l.Stamp) == stamp {
		changes, _ := d.leases.Disconnect(user, time.Now())
		d.presenceChanged(changes)
	}
}

// presenceChanged shows changes here and at other nodes. The caller holds mu.
func (d *Directory) presenceChanged(changes []presence.Change) {
	if len(changes) > 0 {
		d.applyPresence(changes)
		d.publishSoon()
	}
}
