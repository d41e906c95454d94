package fairshare

import (
	"slices"
	"time"
)

// settle ends turns and gives free slots to those that wait.
func (s *Share) settle(now time.Duration) {
	if len(s.queue) == 0 {
		return
	}
	for _, u := range slices.Clone(s.served) {
		s.judge(u, now)
	}
	for len(s.queue) > 0 {
		u := s.queue[0]
		switch {
		case s.stale(u, now):
			s.dequeue(u)
			s.forget(u)
			continue
		case u.slot: // its last requests are under way still
		case len(s.served) >= s.opts.Slots:
			return
		default:
			u.slot = true
			s.served = append(s.served, u)
		}
		s.dequeue(u)
		s.beginTurn(u, now)
		s.given++
		if len(u.waiting) > 0 {
			s.makeReady(u)
		}
	}
}

// judge takes a user's slot if others wait and its turn is over, as far as that
// goes.
func (s *Share) judge(u *user, now time.Duration) {
	if !u.over && (u.bytes >= s.opts.TurnBytes || now >= u.began+s.opts.TurnTime) {
		u.over, u.overAt, u.overrun = true, now, 0
	}
	switch {
	case u.counted == 0 && (u.over || now >= s.idleUntil(u)):
		s.takeSlot(u)
		s.forget(u)
	case u.over && (u.overrun >= s.opts.Overrun || now >= u.overAt+s.opts.TurnTime):
		// What does not end waits for the next turn.
		s.takeSlot(u)
		if !u.queued {
			s.enqueue(u)
		}
	}
}

// idleUntil is how long a user that asks for nothing keeps its slot.
func (s *Share) idleUntil(u *user) time.Duration {
	if u.claimed {
		return max(u.seen, u.began) + s.opts.Linger
	}
	return u.began + s.opts.Claim
}

// beginTurn begins a turn. What was sent after the last one counts for this one:
// otherwise who has many requests under way would get more of each.
func (s *Share) beginTurn(u *user, now time.Duration) {
	u.bytes, u.overrun = u.overrun, 0
	u.began, u.over, u.claimed = now, false, u.counted > 0
}

func (s *Share) takeSlot(u *user) {
	u.slot = false
	s.served = without(s.served, u)
	if u.inReady && !u.mayHave() {
		s.unready(u)
	}
}

func (s *Share) enqueue(u *user) {
	u.queued = true
	s.queue = append(s.queue, u)
}

func (s *Share) dequeue(u *user) {
	u.queued = false
	s.queue = without(s.queue, u)
}

// stale reports whether a user in the queue has gone, as far as anybody knows.
func (s *Share) stale(u *user, now time.Duration) bool {
	return u.counted == 0 && now > u.seen+s.opts.Keep
}

// dropStale makes room in the queue, and reports whether there is any.
func (s *Share) dropStale(now time.Duration) bool {
	for _, u := range slices.Clone(s.queue) {
		if s.stale(u, now) {
			s.dequeue(u)
			s.forget(u)
		}
	}
	return len(s.queue) < s.opts.Queue
}

// judgedAt returns when a slot may become free although nothing is said.
func (s *Share) judgedAt() (at time.Duration, ok bool) {
	if len(s.queue) == 0 {
		return 0, false
	}
	for _, u := range s.served {
		until := u.began + s.opts.TurnTime
		if u.over {
			until = u.overAt + s.opts.TurnTime
		}
		if u.counted == 0 {
			until = min(until, s.idleUntil(u))
		}
		if !ok || until < at {
			at, ok = until, true
		}
	}
	return at, ok
}

func without[T comparable](all []T, one T) []T {
	if i := slices.Index(all, one); i >= 0 {
		return slices.Delete(all, i, i+1)
	}
	return all
}
