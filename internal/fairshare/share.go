package fairshare

import (
	"cmp"
	"time"

	"lonja"
)

// Options say how much is sent to how many. What is zero gets the value in
// parentheses, the second one with a Total; a Rate of zero is no limit.
type Options struct {
	Slots int // users that are served at once, at most (DefaultSlots; one for each 2 MiB/s, and 3 at least)
	Queue int // users that may wait beside them (1000)

	TurnBytes int64         // a turn, if others wait (8 MiB; 1 MiB)
	TurnTime  time.Duration // or so long (10 s; what two pieces for each slot take, if that is longer)
	Overrun   int64         // what may be sent after it of requests that were under way (16 MiB; 2 MiB)

	Claim    time.Duration // for who came out of the queue to ask (10 s)
	Linger   time.Duration // that a slot lasts, if others wait, while its user asks for nothing (2 s)
	Keep     time.Duration // that a place is kept for who does not ask again (20 s)
	Patience time.Duration // for a quantum, before the user's next is begun beside it (5 s)

	Total, Each Rate // for all requests together, and for those of each user
}

// DefaultSlots is how many users are served at once unless Options say otherwise:
// with more, each piece takes so long to arrive that it is of use to others late.
const DefaultSlots = 32

func (o Options) withDefaults() Options {
	if o.Total > 0 {
		o = o.atRate()
	}
	o.Slots = cmp.Or(o.Slots, DefaultSlots)
	o.Queue = cmp.Or(o.Queue, 1000)
	o.TurnBytes = cmp.Or(o.TurnBytes, 8<<20)
	o.TurnTime = cmp.Or(o.TurnTime, 10*time.Second)
	o.Overrun = cmp.Or(o.Overrun, 16<<20)
	o.Claim = cmp.Or(o.Claim, 10*time.Second)
	o.Linger = cmp.Or(o.Linger, 2*time.Second)
	o.Keep = cmp.Or(o.Keep, 20*time.Second)
	o.Patience = cmp.Or(o.Patience, 5*time.Second)
	return o
}

// Where the rate is known, a slot is for what a swarm asks for at once, and there are
// as many of them as get that in a second: whatever is sent to more at once is whole
// late, and only then its receiver has something to pass on.
const (
	piece      = 1 << 20 // as package tree has them
	atOnce     = 2       // pieces
	leastSlots = 3       // so that receivers that take nothing do not hold up all
)

// atRate has the Options of a node with a Total fit that, as far as they are not set;
// Slots are the most that there may be.
func (o Options) atRate() Options {
	o.Slots = min(cmp.Or(o.Slots, DefaultSlots), max(leastSlots, int(o.Total/(atOnce*piece))))
	o.TurnBytes = cmp.Or(o.TurnBytes, piece)
	o.Overrun = cmp.Or(o.Overrun, atOnce*piece)
	all := float64(o.Slots*atOnce*piece) / float64(o.Total)
	o.TurnTime = cmp.Or(o.TurnTime, max(10*time.Second, time.Duration(all*float64(time.Second))))
	return o
}

// A Share is the state of all requests of one node. Its methods are told the time
// since any moment, always the same; it never goes back. After each of them Next
// may have something new.
type Share struct {
	opts    Options
	users   map[lonja.UserName]*user
	served  []*user // those with a slot
	queue   []*user // those that wait for one, or for their next turn
	given   uint64
	ready   []*user // those with a request that wants its next quantum, and may have it: the next one first
	sending int     // users with a quantum on its way
	total   bucket
}

// A user is one that has a slot, a place in the queue, or a request.
type user struct {
	name   lonja.UserName
	slot   bool
	queued bool
	seen   time.Duration // when it last asked, or a request of it ended

	// Of the turn, while it has a slot:
	began   time.Duration
	bytes   int64
	claimed bool // something was asked for
	over    bool // the turn is over: what is under way may end
	overAt  time.Duration
	overrun int64

	requests int // under way, with those that need no slot
	counted  int // of them, those that need one

	waiting []*Request // that want a quantum, the next one first
	inReady bool
	flying  []*Request // whose quantum is on its way, the earliest first
	each    bucket
}

// A Request is one that is answered.
type Request struct {
	user  *user
	how   Terms
	wants int
	since time.Duration // when its quantum was begun
	ended bool
}

// Terms are what a request is answered on.
type Terms struct {
	Unlimited bool // no Rate counts for it, nor does it count for any; nor does it need a slot
	NoSlot    bool // it is small: it needs no slot, but takes its turn
}

// New returns a Share without any requests.
func New(o Options) *Share {
	o = o.withDefaults()
	return &Share{opts: o, users: make(map[lonja.UserName]*user), total: bucket{rate: o.Total}}
}

func (s *Share) user(name lonja.UserName) *user {
	u := s.users[name]
	if u == nil {
		u = &user{name: name, each: bucket{rate: s.opts.Each}}
		s.users[name] = u
	}
	return u
}

// forget removes a user of whom nothing is left.
func (s *Share) forget(u *user) {
	if !u.slot && !u.queued && u.requests == 0 {
		delete(s.users, u.name)
	}
}

// A Place is where a user stands: Served, in the queue from 1 on, or NoPlace.
type Place int

const (
	// Served is the place of who has a slot and may use it.
	Served Place = 0
	// NoPlace is that of somebody for whom the queue has no room.
	NoPlace Place = -1
)

// Ask gives a user a slot if there is one, else a place in the queue, or tells the
// one that it has.
func (s *Share) Ask(name lonja.UserName, now time.Duration) Place {
	s.settle(now) // which may forget the user
	u := s.user(name)
	u.seen = now
	if !u.queued {
		if u.slot && u.over && len(s.queue) == 0 {
			s.beginTurn(u, now)
		}
		if u.slot && !u.over {
			return Served
		}
		if len(s.queue) >= s.opts.Queue && !s.dropStale(now) {
			s.forget(u)
			return NoPlace
		}
		s.enqueue(u)
		s.settle(now)
	}
	if !u.queued {
		return Served
	}
	for i, other := range s.queue {
		if other == u {
			return Place(i + 1)
		}
	}
	panic("fairshare: a place that is not in the queue")
}

// Begin begins a request if its user is Served or none of its Terms needs that;
// otherwise it is nil, and the place is as Ask says. The caller calls End.
func (s *Share) Begin(name lonja.UserName, how Terms, now time.Duration) (*Request, Place) {
	how.NoSlot = how.NoSlot || how.Unlimited // slots are as many as the Rates are for
	if !how.NoSlot {
		if place := s.Ask(name, now); place != Served {
			return nil, place
		}
	}
	u := s.user(name)
	u.requests++
	if !how.NoSlot {
		u.counted++
		u.claimed = true
	}
	return &Request{user: u, how: how}, Served
}

// End ends a request: nothing of it is on its way any more, nor wanted.
func (s *Share) End(r *Request, now time.Duration) {
	if r.ended {
		return
	}
	r.ended = true
	u := r.user
	if u.stopWaiting(r) && !u.mayHave() {
		s.unready(u)
	}
	s.land(r)
	u.requests--
	if !r.how.NoSlot {
		u.counted--
		u.seen = now
	}
	s.settle(now)
	s.forget(u)
}

// Given returns how often a slot was given to somebody in the queue: when it
// changes, it is worth asking again.
func (s *Share) Given() uint64 { return s.given }
