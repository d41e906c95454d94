package presence

import "time"

// wheelSize is the number of buckets of a wheel: what is due later than that
// many ticks is looked at on the way.
const wheelSize = 64

// leaseTicks is the number of ticks in a lease. A lease ends at most two ticks
// late.
const leaseTicks = 32

// minGrain bounds the length of a tick from below, so that ticks do not run out
// of their 32 bits for years.
const minGrain = 10 * time.Millisecond

// A wheel finds what is due. A renewal only writes down the new time; the slot
// stays in its bucket and is put into a later one when the wheel comes to it.
// So each lease is looked at once in its length, whatever renews it.
type wheel struct {
	grain   time.Duration // length of a tick
	next    uint32        // the tick to look at next
	buckets [wheelSize][]uint32
}

// tick returns the tick that is on at an age of the table. The first is 1.
func (w *wheel) tick(age time.Duration) uint32 { return uint32(age/w.grain) + 1 }

// queue has the slot looked at when its record is due, or before.
func (w *wheel) queue(slot uint32, r *record) {
	if r.due == 0 || r.queued != 0 && r.queued <= r.due {
		return
	}
	r.queued = min(max(r.due, w.next+1), w.next+wheelSize-1)
	b := &w.buckets[r.queued%wheelSize]
	*b = append(*b, slot)
}

// turn calls fire for the slots of s that are due at tick now. It looks at
// most slots only, and reports whether there are more.
func (w *wheel) turn(s *slab, now uint32, most int, fire func(slot uint32)) (more bool) {
	w.next = max(w.next, now-min(now, wheelSize-1)) // each bucket once is enough
	for ; w.next <= now; w.next++ {
		b := &w.buckets[w.next%wheelSize]
		for ; len(*b) > 0; most-- {
			if most == 0 {
				return true
			}
			slot := (*b)[len(*b)-1]
			*b = (*b)[:len(*b)-1]
			w.look(s, slot, now, fire)
		}
	}
	return false
}

// look does with one slot of the bucket w.next what is to be done.
func (w *wheel) look(s *slab, slot, now uint32, fire func(slot uint32)) {
	r := s.at(slot)
	if r.queued == 0 || r.queued > now || r.queued%wheelSize != w.next%wheelSize {
		return // it was put elsewhere since
	}
	r.queued = 0
	switch {
	case r.flags&used == 0 || r.due == 0:
	case r.due <= now:
		fire(slot)
	default:
		w.queue(slot, r)
	}
}
