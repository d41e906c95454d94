package picker

import (
	"math/rand/v2"

	"github.com/RoaringBitmap/roaring/v2"
)

// A lot decides between pieces that are equally rare.
type lot struct {
	chance   *rand.Rand
	rank, of uint64 // this downloader among all; 0 of 0: not known
}

// Place says that this downloader is one of so many that fetch this content
// now, and which one, from 0, in an order that all of them follow, such as that
// of their identities. Of the pieces that are equally rare it then takes those in
// its own part, by position, and others only if it finds none there: so those
// who begin together hardly ever take the same one, whereas by chance alone
// they do, the more often the fewer are left. Nothing is lost if they know
// different others, as long as few have the same place. Without it, and with
// an of of 0, chance decides.
func (p *Picker) Place(rank, of int) {
	if rank < 0 || rank >= of {
		rank, of = 0, 0
	}
	p.lot.rank, p.lot.of = uint64(rank), uint64(of)
}

// draws is how often draw draws before it looks at all of the two sets.
const draws = 16

// draw returns a number that is in both of two sets which have some in common.
// A has of nil has all.
func (l *lot) draw(level, has *roaring.Bitmap) int64 {
	n := level.GetCardinality()
	first, end := l.part(n)
	for i := range draws {
		if i == draws/2 {
			first, end = 0, n
		}
		x, _ := level.Select(uint32(first + l.chance.Uint64N(end-first))) // there is one
		if has == nil || has.Contains(x) {
			return int64(x)
		}
	}
	common := roaring.And(level, has)
	x, _ := common.Select(l.chance.Uint32N(uint32(common.GetCardinality())))
	return int64(x)
}

// part returns which of n numbers are this downloader's own part, one or more:
// the middle half of what its place leaves it, because the others count what
// is left a little later, or sooner.
func (l *lot) part(n uint64) (first, end uint64) {
	if l.of == 0 {
		return 0, n
	}
	wide := n / (2 * l.of)
	first = n*(2*l.rank+1)/(2*l.of) - wide/2
	return first, first + max(wide, 1)
}
