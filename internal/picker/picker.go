package picker

import (
	"math/rand/v2"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
)

// A Holder is the number that the caller gave to somebody who has pieces.
type Holder uint32

// A Conn is the number that the caller gave to one of a holder's connections,
// each of which fetches one piece after the other. A connection that asks ahead,
// before its Span is done, has two numbers and uses them in turn. The numbers of
// connections that have ended may be given again.
type Conn uint32

// A Span is neighbouring pieces, End excluded.
type Span struct{ First, End int64 }

// Len returns how many pieces s has.
func (s Span) Len() int64 { return s.End - s.First }

// Options say how a content is to be fetched.
type Options struct {
	Pieces int64 // of the content, less than 1<<32

	// Most and Least bound the pieces of a Span; 0 is 16, and 1. Most is at
	// most 64. A Span has less than Least where there are no more neighbours.
	Most, Least int64

	// Seed is the downloader's own, so that those who begin together do not
	// ask the same of the same holder. With 0 the first piece is taken first.
	Seed uint64
}

// mostEver is the bits of work.left.
const mostEver = 64

// A Picker is the state of one download. The caller serializes its methods.
type Picker struct {
	pieces, least, most int64
	start               int64 // where the order of positions begins
	lot                 lot

	free    *roaring.Bitmap // pieces that are missing and that no connection has
	nFree   int64
	missing int64
	owners  map[int64]owners // of all other missing pieces

	holders map[Holder]*holder
	partial int // of them, those with a bitmap

	rarity   *rarity // nil while partial is 0
	inWindow int64   // pieces whose rarity is known at a time

	conns   map[Conn]*work
	flow    flow
	slowest slowest
}

// New returns the Picker of a content of which nothing is here yet.
func New(o Options) *Picker {
	p := &Picker{
		pieces:   o.Pieces,
		inWindow: windowSize,
		least:    max(o.Least, 1),
		most:     o.Most,
		lot:      lot{chance: rand.New(rand.NewPCG(o.Seed, 0))},
		free:     roaring.New(),
		nFree:    o.Pieces,
		missing:  o.Pieces,
		owners:   make(map[int64]owners),
		holders:  make(map[Holder]*holder),
		conns:    make(map[Conn]*work),
	}
	if p.most <= 0 {
		p.most = 16
	}
	p.most = min(max(p.most, p.least), mostEver)
	p.least = min(p.least, p.most)
	p.free.AddRange(0, uint64(o.Pieces))
	if o.Seed != 0 && o.Pieces > 0 {
		p.start = p.lot.chance.Int64N(o.Pieces)
	}
	return p
}

// Have says that the pieces of s are here already: they were checked and stored
// in an earlier run. It is for before the first Take; what connections have
// been given meanwhile is left to them.
func (p *Picker) Have(s Span) {
	first, end := uint64(max(s.First, 0)), uint64(min(s.End, p.pieces))
	if first >= end {
		return
	}
	here := int64(p.free.CardinalityInRange(first, end))
	p.free.RemoveRange(first, end)
	p.nFree -= here
	p.missing -= here
	if p.rarity != nil {
		p.rarity.removeRange(first, end)
	}
}

// Missing returns how many pieces are not Done.
func (p *Picker) Missing() int64 { return p.missing }

// Wanted reports whether h has a piece that is missing and that nobody fetches:
// whether another connection to it is worth it. The end of somebody else's Span
// does not count.
func (p *Picker) Wanted(h Holder) bool {
	who := p.holders[h]
	if who == nil || p.nFree == 0 {
		return false
	}
	return who.has == nil || p.free.Intersects(who.has)
}

// Take returns what connection c, to holder h, is to fetch next, in order of
// position, and whether there is anything now. If not, it is worth asking again
// after any Done, GiveBack, Update or Leave, and every second or so, because
// somebody else may turn out to be late.
//
// The caller calls Still before each piece, Done after it, and GiveBack if it
// goes no further. Anything that c still had is given back first.
func (p *Picker) Take(c Conn, h Holder, now time.Duration) (Span, bool) {
	who := p.holders[h]
	if who == nil {
		p.GiveBack(c)
		return Span{}, false
	}
	w := p.conns[c]
	if w != nil && w.left != 0 {
		p.GiveBack(c)
		w = nil
	}
	if w == nil || w.holder != h {
		w = &work{holder: h, pace: who.pace}
	}
	s, ok := p.next(c, w, who, now)
	if !ok {
		return Span{}, false
	}
	p.assign(c, w, s, now)
	return s, true
}

// next finds work, and takes it away from where it was.
func (p *Picker) next(c Conn, w *work, who *holder, now time.Duration) (Span, bool) {
	if s, ok := p.pick(w, who); ok {
		return s, true
	}
	if p.hopeless(w, now) {
		return Span{}, false
	}
	if s, ok := p.steal(c, w, who, now); ok {
		return s, true
	}
	if p.nFree == 0 {
		return p.double(w, who, now)
	}
	return Span{}, false
}

// pick finds the free pieces that w takes next.
func (p *Picker) pick(w *work, who *holder) (Span, bool) {
	if p.nFree == 0 {
		return Span{}, false
	}
	first, level := int64(-1), outside
	if r := p.window(); r != nil {
		first, level = r.pick(who.has, &p.lot)
	}
	if first < 0 {
		first = p.inOrder(who)
	}
	if first < 0 {
		return Span{}, false
	}
	end := first + 1
	for limit := min(first+p.size(w), p.pieces); end < limit && p.goesOn(end, who, level); {
		end++
	}
	for piece := first; piece < end; piece++ {
		p.unfree(piece)
	}
	return Span{first, end}, true
}

// goesOn reports whether a Span that began at the given level of rarity may
// have this piece too.
func (p *Picker) goesOn(piece int64, who *holder, level int) bool {
	if !p.free.Contains(uint32(piece)) || !who.holds(piece) {
		return false
	}
	return p.rarity == nil || p.rarity.asRare(piece, level)
}

// inOrder returns the first free piece that the holder has, or -1.
func (p *Picker) inOrder(who *holder) int64 {
	if n := firstCommon(p.free, who.has, uint32(p.start)); n >= 0 {
		return n
	}
	return firstCommon(p.free, who.has, 0)
}

// leaps is how often firstCommon goes back and forth between two bitmaps before
// it intersects them as a whole.
const leaps = 64

// firstCommon returns the first number from from on that is in a and b, or -1.
// A b of nil has all numbers.
func firstCommon(a, b *roaring.Bitmap, from uint32) int64 {
	if b == nil {
		return a.NextValue(from)
	}
	for range leaps {
		x := a.NextValue(from)
		if x < 0 {
			return -1
		}
		y := b.NextValue(uint32(x))
		if x == y || y < 0 {
			return y
		}
		from = uint32(y)
	}
	if !a.Intersects(b) {
		return -1
	}
	return roaring.And(a, b).NextValue(from)
}

// unfree takes a piece out of those that are free, and reports whether it was.
func (p *Picker) unfree(piece int64) bool {
	if !p.free.CheckedRemove(uint32(piece)) {
		return false
	}
	p.nFree--
	if p.rarity != nil {
		p.rarity.remove(piece)
	}
	return true
}

// release makes a piece free that nobody has any more.
func (p *Picker) release(piece int64) {
	p.free.Add(uint32(piece))
	p.nFree++
	if p.rarity != nil && p.rarity.covers(piece) {
		p.rarity.add(piece, p.holdersOf(piece))
	}
}
