package index

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// A standing is what a base is ranked by.
type standing struct {
	online, listings uint32
	begin            uint64 // of name
	name             []byte
}

func (x *Index) standing(number uint32) standing {
	b := x.bases.at(number)
	return standing{b.online, b.listings, b.begin, x.texts.bytes(b.name)}
}

// compare is negative if s is shown before o.
func (s *standing) compare(o *standing) int {
	return cmp.Or(
		cmp.Compare(o.online, s.online),
		cmp.Compare(o.listings, s.listings),
		cmp.Compare(s.begin, o.begin),
		bytes.Compare(s.name, o.name),
	)
}

// A count takes countBits of a rank, and what is left is the name's.
const (
	countBits = 20
	maxCount  = 1<<countBits - 1
	nameBits  = 64 - 2*countBits
)

// rank sums the standing up in a number: the smaller is shown first, and of
// equal ones compare decides.
func (s *standing) rank() uint64 {
	online, listings := maxCount-min(s.online, maxCount), maxCount-min(s.listings, maxCount)
	return uint64(online)<<(64-countBits) | uint64(listings)<<nameBits | s.begin>>(64-nameBits)
}

// A bound is a standing that bases are compared with.
type bound struct {
	standing
	rank uint64
}

func newBound(s standing) *bound { return &bound{s, s.rank()} }

// compareBase is negative if a base is shown before the bound. Mostly it looks
// at the base's rank only; the rest is elsewhere in memory.
func (x *Index) compareBase(number uint32, b *bound) int {
	if rank := *x.ranks.at(number); rank != b.rank {
		return cmp.Compare(rank, b.rank)
	}
	s := x.standing(number)
	return s.compare(&b.standing)
}

// before returns what an order needs to find a base of that standing.
func (x *Index) before(s standing) func(uint32) bool {
	b := newBound(s)
	return func(number uint32) bool { return x.compareBase(number, b) < 0 }
}

// rank puts a base that has listings in its place, once its counts are right;
// was is what unrank has returned.
func (x *Index) rank(number uint32, was inFronts) {
	if x.loading {
		return
	}
	var is inFronts
	if x.bases.at(number).listings > 0 {
		s := x.standing(number)
		*x.ranks.at(number) = s.rank()
		x.ranked.insert(number, x.before(s))
		is = x.frontsOf(number)
	}
	x.moveFronts(number, was, is)
}

// unrank takes a base that has listings from its place before its counts
// change, and returns in which fronts it was.
func (x *Index) unrank(number uint32) (was inFronts) {
	if x.loading || x.bases.at(number).listings == 0 {
		return 0
	}
	x.ranked.remove(x.before(x.standing(number)))
	return x.frontsOf(number)
}

// NewDocuments returns what was published, while loading, since it was called
// last.
func (x *Index) NewDocuments() []Document {
	fresh := x.fresh
	x.fresh = nil
	return fresh
}

// AddWords adds the words of what NewDocuments returned, in the same order. It
// may be called beside all other methods, but one call after the other.
func (x *Index) AddWords(docs []Document) {
	for _, d := range docs {
		x.words.add(d.number, documentWords(d.listing))
	}
}

// CompleteWords ends what AddWords does. It may be called beside all other
// methods, once.
func (x *Index) CompleteWords() { x.words.loaded() }

// AdoptOrphans gives the publications that came before their accounts to these.
// It is called when all have come; NewDocuments may return some more then.
func (x *Index) AdoptOrphans() {
	x.orphans = slices.DeleteFunc(x.orphans, func(o Orphan) bool {
		_, a := x.account(o.User)
		return a != nil && a.incarnation == o.Incarnation && x.SetPublication(o.User, o.Incarnation, o.rev, o.listing)
	})
}

// CompletePublications ends the loading but for the words. It returns the
// publications whose account did not come: they mean nothing.
func (x *Index) CompletePublications() []Orphan {
	orphans := x.orphans
	x.orphans = nil
	sorted := x.sortBases()
	x.ranked = newOrder(sorted)
	x.makeFronts(sorted)
	return orphans
}

// Complete ends the loading, as far as it has not ended yet, and returns what
// CompletePublications does if it was not called.
func (x *Index) Complete() (orphans []Orphan) {
	if x.ranked.blocks == nil {
		x.AdoptOrphans()
		orphans = x.CompletePublications()
	}
	if x.words.loading {
		x.AddWords(x.NewDocuments())
		x.CompleteWords()
	}
	x.loading = false
	for _, d := range x.stale {
		x.words.remove(d.number, documentWords(d.listing))
		x.docs.release(d.number)
	}
	x.stale = nil
	return orphans
}

// sortBases returns the bases by rank.
func (x *Index) sortBases() []uint32 {
	// While nobody is connected most have the same counts, and the beginnings of
	// their names decide: here they are beside each other in memory.
	type started struct {
		rank, begin, more uint64
		number            uint32
	}
	all := make([]started, 0, x.bases.len())
	for number := uint32(1); number <= x.bases.next; number++ {
		if x.bases.at(number).listings > 0 {
			s := x.standing(number)
			*x.ranks.at(number) = s.rank()
			all = append(all, started{s.rank(), s.begin, lead(s.name[min(leadSize, len(s.name)):]), number})
		}
	}
	slices.SortFunc(all, func(a, b started) int {
		if c := cmp.Compare(a.rank, b.rank); c != 0 {
			return c
		}
		if !saturated(a.rank) {
			if c := cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.more, b.more)); c != 0 {
				return c
			}
		}
		s, o := x.standing(a.number), x.standing(b.number)
		return s.compare(&o)
	})
	numbers := make([]uint32, len(all))
	for i, s := range all {
		numbers[i] = s.number
	}
	return numbers
}

// saturated reports whether a rank does not tell all of a count.
func saturated(rank uint64) bool {
	online, listings := rank>>(64-countBits), rank>>nameBits&maxCount
	return online == 0 || listings == 0
}

// sortTexts sorts texts by their bytes.
func sortTexts(a *arena, places []uint32) []uint32 {
	type started struct {
		begin uint64
		place uint32
	}
	all := make([]started, len(places))
	for i, place := range places {
		all[i] = started{lead(a.bytes(place)), place}
	}
	slices.SortFunc(all, func(s, o started) int {
		if c := cmp.Compare(s.begin, o.begin); c != 0 {
			return c
		}
		return bytes.Compare(a.bytes(s.place), a.bytes(o.place))
	})
	for i, s := range all {
		places[i] = s.place
	}
	return places
}

const leadSize = 8

// lead returns the first bytes of a text as a number that sorts like them:
// most comparisons need no more, and touch no other memory.
func lead(text []byte) uint64 {
	var b [leadSize]byte
	copy(b[:], text)
	return binary.BigEndian.Uint64(b[:])
}
