package picker

import (
	"github.com/RoaringBitmap/roaring/v2"
)

// windowSize is how many pieces have their holders counted at a time.
const windowSize = 1 << 18

// outside is the level of pieces that are not in the window.
const outside = -1

// A rarity sorts the free pieces of a window by the number of partial holders
// that have them. Each is in one level, so that all levels together take at
// most two bytes for each piece. Holders that come, go and change are added to
// and taken from whole levels, a machine word of pieces at a time.
type rarity struct {
	size   int64 // of the window
	span   Span
	levels []*roaring.Bitmap // by the number of holders
	n      int64             // pieces in all levels
}

// reset begins the window that has piece first, and in which nobody has anything.
func (r *rarity) reset(free *roaring.Bitmap, first int64) {
	first -= first % r.size
	r.span = Span{first, first + r.size}
	level := roaring.New()
	level.AddRange(uint64(r.span.First), uint64(r.span.End))
	level.And(free)
	r.levels = append(r.levels[:0], level)
	r.n = int64(level.GetCardinality())
}

func (r *rarity) covers(piece int64) bool {
	return r.span.First <= piece && piece < r.span.End
}

// add puts a piece that is free now where it belongs.
func (r *rarity) add(piece int64, holders int) {
	r.grow(holders)
	r.levels[holders].Add(uint32(piece))
	r.n++
}

func (r *rarity) grow(level int) {
	for len(r.levels) <= level {
		r.levels = append(r.levels, roaring.New())
	}
}

// remove takes out a piece that is not free any more, if it is in the window.
func (r *rarity) remove(piece int64) {
	if !r.covers(piece) {
		return
	}
	for _, level := range r.levels {
		if level.CheckedRemove(uint32(piece)) {
			r.n--
			return
		}
	}
}

func (r *rarity) removeRange(first, end uint64) {
	r.n = 0
	for _, level := range r.levels {
		level.RemoveRange(first, end)
		r.n += int64(level.GetCardinality())
	}
}

// raise counts one holder more for each piece of set.
func (r *rarity) raise(set *roaring.Bitmap) {
	for k := len(r.levels) - 1; k >= 0; k-- {
		r.move(k, k+1, set)
	}
}

// lower counts one holder less for each piece of set.
func (r *rarity) lower(set *roaring.Bitmap) {
	for k := 1; k < len(r.levels); k++ {
		r.move(k, k-1, set)
	}
	for top := len(r.levels) - 1; top > 0 && r.levels[top].IsEmpty(); top-- {
		r.levels = r.levels[:top]
	}
}

func (r *rarity) move(from, to int, set *roaring.Bitmap) {
	if r.levels[from].IsEmpty() {
		return
	}
	moved := roaring.And(r.levels[from], set)
	if moved.IsEmpty() {
		return
	}
	r.grow(to)
	r.levels[from].AndNot(moved)
	r.levels[to].Or(moved)
}

// pick returns one of the rarest pieces among those in has, and its level; or -1
// and outside. A has of nil has all.
func (r *rarity) pick(has *roaring.Bitmap, lot *lot) (piece int64, level int) {
	for k, level := range r.levels {
		if level.IsEmpty() || has != nil && !level.Intersects(has) {
			continue
		}
		return lot.draw(level, has), k
	}
	return -1, outside
}

// asRare reports whether a piece may follow one of the given level in a Span:
// its number of holders is at most a quarter larger. Where pieces are really
// rare that is not larger at all, so that whoever alone has some gives those.
func (r *rarity) asRare(piece int64, level int) bool {
	if level == outside || !r.covers(piece) {
		return level == outside && !r.covers(piece)
	}
	for _, l := range r.levels[:min(level+level/4+1, len(r.levels))] {
		if l.Contains(uint32(piece)) {
			return true
		}
	}
	return false
}
