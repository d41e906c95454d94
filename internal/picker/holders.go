package picker

import (
	"time"

	"github.com/RoaringBitmap/roaring/v2"
)

type holder struct {
	has  *roaring.Bitmap // nil: all pieces
	pace time.Duration   // of one of its connections, lately, for a piece; 0: not known yet
}

func (h *holder) holds(piece int64) bool {
	return h.has == nil || h.has.Contains(uint32(piece))
}

// Join adds a holder. It has the pieces in has, or all of them if has is nil.
// has is the caller's again afterwards.
func (p *Picker) Join(h Holder, has *roaring.Bitmap) {
	if p.holders[h] == nil {
		p.holders[h] = &holder{}
	}
	p.Update(h, has)
}

// Update says what a holder has now, nil for all; has is as for Join. What a
// holder does not have any more is not asked of it again; what it has been
// asked already it will refuse.
func (p *Picker) Update(h Holder, has *roaring.Bitmap) {
	who := p.holders[h]
	if who == nil {
		return
	}
	if has != nil && has.CardinalityInRange(0, uint64(p.pieces)) == uint64(p.pieces) {
		has = nil
	}
	old := who.has
	who.has = nil
	if has != nil {
		who.has = has.Clone()
		who.has.RunOptimize()
	}
	p.recount(old, who.has)
}

// Leave removes a holder. The caller has ended its connections; what one of
// them still had is given back.
func (p *Picker) Leave(h Holder) {
	who := p.holders[h]
	if who == nil {
		return
	}
	for c, w := range p.conns {
		if w.holder == h {
			p.GiveBack(c)
		}
	}
	delete(p.holders, h)
	p.recount(who.has, nil)
}

// recount brings rarity up to date with a holder that had the pieces of old
// and has those of now. Complete holders, and such as have left, have nil:
// they make no piece rarer than another.
func (p *Picker) recount(old, now *roaring.Bitmap) {
	if old != nil {
		p.partial--
	}
	if now != nil {
		p.partial++
	}
	switch {
	case p.partial == 0:
		p.rarity = nil
	case old == nil && now == nil:
	case p.rarity == nil:
		p.rarity = &rarity{size: p.inWindow}
		p.moveWindow(p.start)
	case old == nil:
		p.rarity.raise(now)
	case now == nil:
		p.rarity.lower(old)
	default:
		p.rarity.raise(roaring.AndNot(now, old))
		p.rarity.lower(roaring.AndNot(old, now))
	}
}

// holdersOf returns how many partial holders have a piece.
func (p *Picker) holdersOf(piece int64) int {
	n := 0
	for _, h := range p.holders {
		if h.has != nil && h.has.Contains(uint32(piece)) {
			n++
		}
	}
	return n
}

// window returns the rarity of pieces, in a window with some that are free; or
// nil while it does not matter. Some pieces are free.
func (p *Picker) window() *rarity {
	if p.rarity != nil && p.rarity.n == 0 {
		p.moveWindow(p.rarity.span.End)
	}
	return p.rarity
}

// moveWindow moves the window to the next free piece from a position on.
func (p *Picker) moveWindow(from int64) {
	at := p.free.NextValue(uint32(from))
	if at < 0 || from >= p.pieces {
		at = max(p.free.NextValue(0), 0)
	}
	p.rarity.reset(p.free, at)
	for _, h := range p.holders {
		if h.has != nil {
			p.rarity.raise(h.has)
		}
	}
}
