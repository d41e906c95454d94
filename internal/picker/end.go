package picker

import "time"

// A slowest is when the last of all connections will be done, kept because at
// the end those that find nothing all ask again whenever anything is done.
type slowest struct {
	known bool
	at    time.Duration // when this was so
	all   time.Duration // that it will take from then on
}

// hopeless reports whether w would need longer for one piece than everybody who
// is at work will for everything.
func (p *Picker) hopeless(w *work, now time.Duration) bool {
	if !p.slowest.known {
		p.slowest = slowest{known: true, at: now}
		for _, v := range p.conns {
			if v.left != 0 {
				all, _ := p.whole(v, now)
				p.slowest.all = max(p.slowest.all, all)
			}
		}
	}
	// Who is late will be later the longer it is, for each piece that it has.
	later := mostEver * max(now-p.slowest.at, 0)
	return p.paceOf(w) >= p.slowest.all+later
}

// steal takes the end of a Span away from the connection that will need longest,
// of those whose last piece the holder has and nobody has begun.
func (p *Picker) steal(c Conn, w *work, who *holder, now time.Duration) (Span, bool) {
	var from *work
	var by Conn
	var longest, each time.Duration
	for other, v := range p.conns {
		tail := v.tail()
		if other == c || tail.Len() == 0 || !who.holds(tail.End-1) {
			continue
		}
		whole, pace := p.whole(v, now)
		if from == nil || whole > longest || whole == longest && other < by {
			from, by, longest, each = v, other, whole, pace
		}
	}
	own := p.paceOf(w)
	if from == nil || own >= longest {
		return Span{}, false // it would be done sooner without us
	}
	s := from.tail()
	if p.nFree == 0 && p.sooner(own, s.End-1, now, func(v *work) bool { return v == from }) {
		return Span{}, false
	}
	n := max(int64(longest/(own+each)), 1)
	s.First = max(s.First, s.End-n)
	for piece := s.End - 1; piece >= s.First; piece-- {
		if !who.holds(piece) {
			s.First = piece + 1
			break
		}
		p.strip(from, piece)
		delete(p.owners, piece)
	}
	return s, true
}

// double finds the piece that will be done last, of those that one connection
// is at and that this holder may be asked too. No piece is free.
func (p *Picker) double(w *work, who *holder, now time.Duration) (Span, bool) {
	var found *work
	var by Conn
	var longest time.Duration
	for other, v := range p.conns {
		piece, some := v.begun()
		if !some || v.holder == w.holder || !who.holds(piece) || p.owners[piece].two {
			continue
		}
		rest, _ := p.expect(v, now)
		if found == nil || rest > longest || rest == longest && other < by {
			found, by, longest = v, other, rest
		}
	}
	if found == nil || p.paceOf(w) >= longest {
		return Span{}, false
	}
	piece, _ := found.begun()
	if p.sooner(p.paceOf(w), piece, now, func(v *work) bool { return v.holder == found.holder }) {
		return Span{}, false
	}
	return Span{piece, piece + 1}, true
}

// sooner reports whether a connection that is at work will probably be free and
// then done with a piece in less than own, so that it is better left to that
// one. It is not one of those excepted.
func (p *Picker) sooner(own time.Duration, piece int64, now time.Duration, excepted func(*work) bool) bool {
	for _, v := range p.conns {
		if v.left == 0 || excepted(v) || !p.holders[v.holder].holds(piece) {
			continue
		}
		if whole, _ := p.whole(v, now); whole+p.paceOf(v) < own {
			return true
		}
	}
	return false
}
