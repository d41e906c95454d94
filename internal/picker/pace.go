package picker

import (
	"math/bits"
	"time"
)

// spanTime is what a connection should need for a Span, at most.
const spanTime = 4 * time.Second

// unknownPace is what is expected of a connection for a piece while nobody has
// finished any.
const unknownPace = time.Second

// A flow sums up the connections that have something to do.
type flow struct {
	speed   int64 // of those whose pace is known
	known   int64
	unknown int64
}

// speed returns pieces in a time that is long enough for whole numbers, which,
// unlike fractions, come out exactly when they are added and taken away again.
func speed(pace time.Duration) int64 {
	const long, shortest = 1000 * time.Hour, 10 * time.Microsecond
	return max(int64(long/max(pace, shortest)), 1)
}

// enter counts w, which has something to do; leave takes that back, and must be
// called before anything changes that is counted.
func (p *Picker) enter(w *work) {
	p.flow.count(w, 1)
	p.slowest = slowest{}
}

func (p *Picker) leave(w *work) {
	p.flow.count(w, -1)
	p.slowest = slowest{}
}

func (f *flow) count(w *work, n int64) {
	if w.pace == 0 {
		f.unknown += n
		return
	}
	f.known += n
	f.speed += n * speed(w.pace)
}

// time notes how long w took for the piece that it is done with. Lately counts
// most: a piece a quarter, since neighbours that arrive in one burst look fast.
func (p *Picker) time(w *work, now time.Duration) {
	p.leave(w)
	took := max(now-w.since, 1)
	if w.pace == 0 {
		w.pace = took
	} else {
		w.pace = max((3*w.pace+took)/4, 1)
	}
	w.since = now
	p.enter(w)
	if h := p.holders[w.holder]; h != nil {
		h.pace = w.pace
	}
}

// paceOf returns what is to be expected of w: its own pace, or what is usual.
func (p *Picker) paceOf(w *work) time.Duration {
	switch {
	case w.pace != 0:
		return w.pace
	case p.flow.known != 0:
		return time.Duration(int64(1000*time.Hour) / max(p.flow.speed/p.flow.known, 1))
	}
	return unknownPace
}

// size returns how many pieces w may take at once.
func (p *Picker) size(w *work) int64 {
	if w.pace == 0 {
		return p.least
	}
	own := float64(speed(w.pace))
	all := float64(p.flow.speed) + own*float64(1+p.flow.unknown)
	n := int64(float64(p.nFree) * own / (2 * all))
	n = min(n, int64(spanTime/w.pace))
	return min(max(n, p.least), p.most)
}

// expect returns how long w will take for the piece that it is at, and then for
// each that follows. Who is late will be late as long again.
func (p *Picker) expect(w *work, now time.Duration) (rest, each time.Duration) {
	each = p.paceOf(w)
	passed := max(now-w.since, 0)
	if passed > each {
		return passed - each, passed
	}
	return each - passed, each
}

// whole returns how long w, which has something to do, will take for all of it,
// and for each piece.
func (p *Picker) whole(w *work, now time.Duration) (all, each time.Duration) {
	rest, each := p.expect(w, now)
	return rest + time.Duration(bits.OnesCount64(w.left)-1)*each, each
}
