package index

import (
	"bytes"

	"github.com/RoaringBitmap/roaring/v2"
)

// A search whose words are in many documents needs the first few of these, as
// their bases are ranked. The fronts are the first quarter of all bases, the
// first sixteenth, and so on: what matches in one of them comes before all that
// matches elsewhere.
const (
	frontCount = 3
	frontBits  = 2 // the logarithm of by how much each is smaller than the one before
	// frontSteps is how far a front is moved towards its size with each change
	// of the ranks: further than one change puts it out.
	frontSteps = 2
	// largeBase is from how many documents on a base has these in all fronts,
	// wherever it is ranked: with each change of its rank it would take too long
	// to move them.
	largeBase = 32
)

// A front is the bases that are ranked before its end.
type front struct {
	bases int
	docs  *roaring.Bitmap // of these bases, and of all large ones
	end   *bound          // nil: it has all bases
}

// inFronts has a bit for each front.
type inFronts uint8

// size is how many bases front number i is to have.
func (x *Index) frontSize(i int) int { return x.ranked.count >> (frontBits * (i + 1)) }

// frontsOf returns in which fronts a base is that is ranked.
func (x *Index) frontsOf(base uint32) (in inFronts) {
	for i := range x.fronts {
		if end := x.fronts[i].end; end == nil || x.compareBase(base, end) < 0 {
			in |= 1 << i
		}
	}
	return in
}

// makeFronts makes the fronts when loading ends.
func (x *Index) makeFronts(sorted []uint32) {
	for i := range x.fronts {
		f := &x.fronts[i]
		f.bases = x.frontSize(i)
		var docs []uint32
		for n, base := range sorted {
			var alone [1]uint32
			if some := x.documents(base, &alone); n < f.bases || len(some) > largeBase {
				docs = append(docs, some...)
			}
		}
		f.docs = roaring.BitmapOf(docs...)
		f.end = nil
		if f.bases < len(sorted) {
			f.end = x.boundOf(sorted[f.bases])
		}
	}
}

// boundOf returns the standing of a base, which stays when the base goes.
func (x *Index) boundOf(base uint32) *bound {
	s := x.standing(base)
	s.name = bytes.Clone(s.name)
	return newBound(s)
}

// moveFronts tells the fronts that a base was in some of them and is now in
// others, and moves them towards their sizes.
func (x *Index) moveFronts(base uint32, was, is inFronts) {
	for i := range x.fronts {
		f := &x.fronts[i]
		if bit := inFronts(1) << i; (was^is)&bit != 0 {
			x.setInFront(f, base, is&bit != 0)
		}
		size := x.frontSize(i)
		for range frontSteps {
			switch {
			case f.bases > size+size/4:
				x.shrinkFront(f)
			case f.bases < size-size/4 && f.end != nil:
				x.growFront(f)
			}
		}
	}
}

func (x *Index) setInFront(f *front, base uint32, in bool) {
	if in {
		f.bases++
	} else {
		f.bases--
	}
	var alone [1]uint32
	if docs := x.documents(base, &alone); len(docs) <= largeBase {
		f.set(docs, in)
	}
}

func (f *front) set(docs []uint32, in bool) {
	for _, doc := range docs {
		if in {
			f.docs.Add(doc)
		} else {
			f.docs.Remove(doc)
		}
	}
}

// shrinkFront takes out the last base, of which there is one.
func (x *Index) shrinkFront(f *front) {
	for base := range x.ranked.backward(x.frontEnd(f)) {
		x.setInFront(f, base, false)
		f.end = x.boundOf(base)
		return
	}
}

// growFront takes in the base behind the last.
func (x *Index) growFront(f *front) {
	grown := false
	for base := range x.ranked.from(x.frontEnd(f)) {
		if grown {
			f.end = x.boundOf(base)
			return
		}
		x.setInFront(f, base, true)
		grown = true
	}
	f.end = nil
}

// frontEnd returns the position of the first base that is not in the front.
func (x *Index) frontEnd(f *front) position {
	if f.end == nil {
		return position{block: len(x.ranked.blocks)}
	}
	return x.ranked.search(x.before(f.end.standing))
}

// frontsWith returns the fronts that are to have the documents of a base.
func (x *Index) frontsWith(base uint32, docs int) inFronts {
	switch {
	case docs > largeBase:
		return 1<<frontCount - 1
	case x.bases.at(base).listings == 0:
		return 0 // it is not ranked
	default:
		return x.frontsOf(base)
	}
}

// addToFronts tells the fronts of a new document, the last of its base.
func (x *Index) addToFronts(base uint32) {
	if x.loading {
		return // there are none yet
	}
	var alone [1]uint32
	docs := x.documents(base, &alone)
	in, added := x.frontsWith(base, len(docs)), docs[len(docs)-1:]
	if len(docs) == largeBase+1 {
		added = docs // it has become large
	}
	for i := range x.fronts {
		if in&(1<<i) != 0 {
			x.fronts[i].set(added, true)
		}
	}
}

// removeFromFronts tells the fronts that a document is not its base's any more.
func (x *Index) removeFromFronts(doc, base uint32) {
	if x.loading {
		return
	}
	var alone [1]uint32
	docs := x.documents(base, &alone)
	in := x.frontsWith(base, len(docs))
	for i := range x.fronts {
		f := &x.fronts[i]
		f.docs.Remove(doc)
		if len(docs) == largeBase && in&(1<<i) == 0 {
			f.set(docs, false) // it is not large any more
		}
	}
}

// lookInFronts looks for a page in the fronts, the smallest first that may have
// it, and reports whether one has. That saves bringing together all documents
// of words that are in very many.
func (s *search) lookInFronts() bool {
	most, estimate := uint64(s.hits.most), s.mayMatch()
	for i := frontCount - 1; i >= 0; i-- {
		f, share := &s.x.fronts[i], frontBits*(i+1)
		if f.end == nil || estimate>>share < most || s.start != nil && s.start.compare(&f.end.standing) >= 0 {
			continue
		}
		docs := s.matchIn(f.docs)
		if n := docs.GetCardinality(); n < most {
			estimate = n << share
			continue
		}
		if s.gather(docs, f.end); s.hits.full() {
			s.matches = docs // all that there are of the bases in the front
			return true
		}
	}
	return false
}
