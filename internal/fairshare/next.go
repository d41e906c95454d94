package fairshare

import "time"

// The bounds of a quantum, in bytes. With a rate, it is what that brings in some
// sixteenth of a second; when many are served, it is small, since each that is
// on its way takes so much memory.
const (
	MostQuantum  = 256 << 10
	crowdQuantum = 64 << 10
	leastQuantum = 16 << 10

	crowd = 8 // users, from which on quanta are small
)

// Want says that a request wants to send n more bytes, above zero. It is called
// when none of its quanta is on its way.
func (s *Share) Want(r *Request, n int, now time.Duration) {
	u := r.user
	r.wants = n
	u.waiting = append(u.waiting, r)
	s.settle(now)
	if u.mayHave() {
		s.makeReady(u)
	}
}

// Stop says that a request wants nothing more for now.
func (s *Share) Stop(r *Request) {
	if r.user.stopWaiting(r) && !r.user.mayHave() {
		s.unready(r.user)
	}
}

// mayHave reports whether u has a request that may go on, as far as slots go.
func (u *user) mayHave() bool { return u.first() >= 0 }

// first returns which of the waiting requests comes next, or -1.
func (u *user) first() int {
	for i, r := range u.waiting {
		if u.slot || r.how.NoSlot {
			return i
		}
	}
	return -1
}

func (u *user) stopWaiting(r *Request) bool {
	before := len(u.waiting)
	u.waiting = without(u.waiting, r)
	return len(u.waiting) < before
}

func (s *Share) makeReady(u *user) {
	if !u.inReady {
		u.inReady = true
		s.ready = append(s.ready, u)
	}
}

func (s *Share) unready(u *user) {
	if u.inReady {
		u.inReady = false
		s.ready = without(s.ready, u)
	}
}

// Next returns a request that may send its next n bytes now; the caller says Sent
// when they are on their way or lost. If there is none, it is nil, and it is
// worth asking again after any other method, and at the time that is returned, unless
// that is Never.
func (s *Share) Next(now time.Duration) (r *Request, n int, at time.Duration) {
	s.settle(now)
	at = Never
	if until, ok := s.judgedAt(); ok {
		at = until
	}
	for _, u := range s.ready {
		i := u.first()
		r := u.waiting[i]
		after := s.mayAt(u, r, now)
		if after > now {
			at = min(at, after)
			continue
		}
		return r, s.begin(u, i, now), 0
	}
	return nil, 0, at
}

// Never is a time that does not come.
const Never = time.Duration(1<<63 - 1)

// mayAt returns when a request may have its quantum.
func (s *Share) mayAt(u *user, r *Request, now time.Duration) (at time.Duration) {
	if !r.how.Unlimited {
		at = max(s.total.after(), u.each.after())
	}
	alone := len(s.ready) == 1 && (s.sending == 0 || s.sending == 1 && len(u.flying) > 0)
	if n := len(u.flying); n > 0 && !alone {
		at = max(at, u.flying[n-1].since+s.opts.Patience)
	}
	return at
}

// begin sends a quantum of u's waiting request i on its way, and returns its size.
// Its user, and the user's other requests, come next.
func (s *Share) begin(u *user, i int, now time.Duration) int {
	r := u.waiting[i]
	u.stopWaiting(r)
	s.unready(u)
	if u.mayHave() {
		s.makeReady(u)
	}
	n := min(r.wants, s.quantum(r))
	if !r.how.Unlimited {
		s.total.pay(n, now)
		u.each.pay(n, now)
	}
	r.wants, r.since = 0, now
	if len(u.flying) == 0 {
		s.sending++
	}
	u.flying = append(u.flying, r)
	if !r.how.NoSlot {
		u.bytes += int64(n)
		if u.over {
			u.overrun += int64(n)
		}
	}
	return n
}

func (s *Share) quantum(r *Request) int {
	quantum := MostQuantum
	if len(s.served) > crowd {
		quantum = crowdQuantum
	}
	if r.how.Unlimited {
		return quantum
	}
	for _, rate := range []Rate{s.opts.Total, s.opts.Each} {
		if rate > 0 {
			quantum = int(min(int64(quantum), int64(rate/16)))
		}
	}
	return max(quantum, leastQuantum)
}

// Sent says that the quantum of a request is not on its way any more.
func (s *Share) Sent(r *Request, now time.Duration) {
	s.land(r)
	s.settle(now)
}

func (s *Share) land(r *Request) {
	u := r.user
	before := len(u.flying)
	u.flying = without(u.flying, r)
	if before > 0 && len(u.flying) == 0 {
		s.sending--
	}
}
