package picker

import (
	"math/bits"
	"time"
)

// A work is what one connection has to do.
type work struct {
	holder Holder
	first  int64
	left   uint64        // which pieces from first on are not done and still its own
	at     int64         // the last piece that it has begun
	since  time.Duration // when it was given the Span, or last was done with a piece
	pace   time.Duration // that it takes for a piece; 0: not known yet
}

func (w *work) bit(piece int64) uint64 {
	if piece < w.first || piece >= w.first+mostEver {
		return 0
	}
	return 1 << (piece - w.first)
}

func (w *work) has(piece int64) bool { return w.left&w.bit(piece) != 0 }

// tail returns the pieces at the end of w that it has not begun: neighbours,
// with none of its own after them.
func (w *work) tail() Span {
	end := w.first + int64(bits.Len64(w.left))
	first := end
	for first-1 > w.at && w.has(first-1) {
		first--
	}
	return Span{first, end}
}

// begun returns the last piece that w has begun and is not done with.
func (w *work) begun() (piece int64, some bool) {
	upTo := w.left & (w.bit(w.at)<<1 - 1) // all of it when at is the last of 64
	return w.first + int64(bits.Len64(upTo)) - 1, upTo != 0
}

// owners are the connections that have a piece: one, or two.
type owners struct {
	a, b Conn
	two  bool
}

func (o owners) without(c Conn) (rest owners, some bool) {
	switch {
	case o.two && o.a == c:
		return owners{a: o.b}, true
	case o.two && o.b == c:
		return owners{a: o.a}, true
	}
	return o, o.a != c
}

// assign gives s to connection c, whose work w had nothing left.
func (p *Picker) assign(c Conn, w *work, s Span, now time.Duration) {
	*w = work{holder: w.holder, pace: w.pace, first: s.First, at: s.First, since: now}
	w.left = 1<<s.Len() - 1 // all bits for a length of 64
	for piece := s.First; piece < s.End; piece++ {
		if o, some := p.owners[piece]; some {
			p.owners[piece] = owners{a: o.a, b: c, two: true}
		} else {
			p.owners[piece] = owners{a: c}
		}
	}
	p.conns[c] = w
	p.enter(w)
}

// strip takes a piece away from a connection that has it.
func (p *Picker) strip(w *work, piece int64) {
	if !w.has(piece) {
		return
	}
	w.left &^= w.bit(piece)
	if w.left == 0 {
		p.leave(w)
	}
}

// Still reports whether c is to fetch this piece, which is the next of its Span,
// and notes that it begins it. If not, somebody else has taken the rest of the
// Span, or fetched it already: c gives back what it may still have, and takes
// again. Calling it for the first piece of a Span is allowed, not needed.
func (p *Picker) Still(c Conn, piece int64) bool {
	w := p.conns[c]
	if w == nil || !w.has(piece) {
		return false
	}
	w.at = max(w.at, piece)
	return true
}

// Done says that a piece which c fetched has been verified and stored. It
// returns the other connections that are at this piece: the caller stops
// them, gives back what is left of their Spans, and lets them take again.
//
// A piece that is done already stays so. One that c does not have any more is
// welcome too, whoever has it now.
func (p *Picker) Done(c Conn, piece int64, now time.Duration) (cancel []Conn) {
	if piece < 0 || piece >= p.pieces {
		return nil
	}
	if w := p.conns[c]; w != nil && w.has(piece) {
		p.time(w, now)
	}
	o, some := p.owners[piece]
	if !some {
		if p.unfree(piece) {
			p.missing--
		}
		return nil
	}
	delete(p.owners, piece)
	p.missing--
	for i, owner := range []Conn{o.a, o.b} {
		if i == 1 && !o.two {
			break
		}
		w := p.conns[owner]
		p.strip(w, piece)
		if owner != c && piece <= w.at {
			cancel = append(cancel, owner)
		}
	}
	return cancel
}

// GiveBack says that c goes no further with its Span: what is left of it is free
// again, unless a second connection is at it. It is called whatever the reason:
// the connection broke, stalled, lied, was cancelled; and also when it has
// ended with nothing left, because it forgets c.
func (p *Picker) GiveBack(c Conn) {
	w := p.conns[c]
	if w == nil {
		return
	}
	delete(p.conns, c)
	if w.left == 0 {
		return
	}
	p.leave(w)
	for ; w.left != 0; w.left &= w.left - 1 {
		piece := w.first + int64(bits.TrailingZeros64(w.left))
		if rest, some := p.owners[piece].without(c); some {
			p.owners[piece] = rest
		} else {
			delete(p.owners, piece)
			p.release(piece)
		}
	}
}
