package presence

import (
	"encoding/binary"
	"time"

	"lonja"
)

const (
	// MaxDetail bounds the detail of a session, in bytes.
	MaxDetail = 1000
	// MaxSession bounds the length of a session.
	MaxSession = 24 * time.Hour
	// maxSession is more than what a session adds to a record, in bytes.
	maxSession = 4 + 2 + MaxDetail
)

// A Session is a lease with a length and a detail of its own, which its user's
// node renews itself. It is not changed once it is made.
type Session struct {
	// Length is how long the node may be silent: whole milliseconds, at least
	// one and at most MaxSession.
	Length time.Duration
	// Detail is what others are to know, 1 to MaxDetail bytes.
	Detail string
}

func (s *Session) detail() string {
	if s == nil {
		return ""
	}
	return s.Detail
}

// length returns how long a lease with these terms lasts; 0: for ever.
func (t *Table) length(terms *Session) time.Duration {
	if terms != nil {
		return terms.Length
	}
	return t.opts.Lease
}

// heldSession counts a lease that is a session of this node.
func (r *record) heldSession() int {
	if r.node == 0 && r.terms != nil {
		return 1
	}
	return 0
}

func (t *Table) connect(user lonja.UserName, with record, now time.Time) (Stamp, []Change) {
	slot, ok := t.slab.byUser[user]
	if !ok {
		slot = t.slab.add(user)
	}
	with.stamp, with.due, with.flags = t.newStamp(now), t.leaseEnd(with.terms, now), online
	t.replace(slot, with)
	t.announce(slot)
	return with.stamp, t.takeChanges()
}

// ConnectSession is Connect for a session.
func (t *Table) ConnectSession(user lonja.UserName, at lonja.Endpoint, s Session, now time.Time) (Stamp, []Change) {
	return t.connect(user, record{at: at, terms: &s}, now)
}

// RenewSession begins a user's session anew, as s says it now, and reports
// whether the user is connected. If another node held it, this one does from
// now on. A lease that was none becomes a session.
func (t *Table) RenewSession(user lonja.UserName, at lonja.Endpoint, s Session, now time.Time) ([]Change, bool) {
	slot, ok := t.slab.byUser[user]
	if !ok || t.slab.at(slot).flags&online == 0 {
		return nil, false
	}
	r := t.slab.at(slot)
	if r.node == 0 && r.terms != nil && *r.terms == s && r.at == at {
		r.due = t.leaseEnd(r.terms, now)
		return nil, true
	}
	t.replace(slot, record{at: at, terms: &s, stamp: r.stamp, epoch: r.epoch + 1, due: t.leaseEnd(&s, now), flags: online})
	t.announce(slot)
	return t.takeChanges(), true
}

func (s *Session) append(b []byte) []byte {
	if s == nil {
		return b
	}
	b = binary.AppendUvarint(b, uint64(s.Length/time.Millisecond))
	b = binary.AppendUvarint(b, uint64(len(s.Detail)))
	return append(b, s.Detail...)
}

func (r *reader) session() *Session {
	length, size := r.uvarint(), r.uvarint()
	if length < 1 || length > uint64(MaxSession/time.Millisecond) || size < 1 || size > MaxDetail {
		r.bad = true
		return nil
	}
	r.sessions = true
	return &Session{Length: time.Duration(length) * time.Millisecond, Detail: string(r.take(int(size)))}
}
