package index

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
)

// A search that matches many documents tries bases in the order of their rank
// until the page is full; one that matches few gathers these and ranks them.
const (
	// gatherCost is what it costs to gather a document, in the cost of trying
	// one, as measured with a million publications.
	gatherCost = 32
	// togetherMore is how many times as often as by chance two words come
	// together.
	togetherMore = 4
	// maxTried bounds the documents that are tried for one page, and so the
	// time that a search takes. A page may be short by it.
	maxTried = 32768
)

// Search returns a page of what matches the query, which was checked. The page
// may be shorter than asked for, even empty, while its Next is not: no search
// takes long.
func (x *Index) Search(q *lonja.Query) (lonja.FoundPage, error) { return x.SearchFor(Everybody, q) }

// SearchFor is Search among what v may know of.
func (x *Index) SearchFor(v Viewer, q *lonja.Query) (lonja.FoundPage, error) {
	after, err := parseCursor(q.After)
	if err != nil {
		return lonja.FoundPage{}, lonja.E(lonja.Invalid, lonja.OpSearch.String(), err)
	}
	s := &search{
		x: x, q: q, viewer: v, start: after,
		hits: hits{x: x, after: after, most: 1 + cmp.Or(q.Limit, lonja.DefaultFound)},
		// What is looked at of a document beside its words costs a look
		// somewhere else in memory.
		filters: q.OnlineOnly || q.MinSize > 0 || q.MaxSize > 0 || q.Base != "" ||
			!v.member && !x.secure.blankDocs.IsEmpty(),
	}
	if !s.prepare() {
		return lonja.FoundPage{}, nil
	}
	s.lookAtClosed()
	switch {
	case q.Owner != "":
		s.lookAtOwner()
	case q.Base != "":
		s.match()
		s.try(s.base)
	default:
		s.look()
	}
	return s.page(), nil
}

// A search is one call of Search.
type search struct {
	x     *Index
	q     *lonja.Query
	start *bound // from where walk looks; nil: from the first

	viewer Viewer

	base    uint32          // to which the search is bound, or 0
	owner   uint32          // whose documents matches are, or 0: everybody's
	exact   []*posting      // of the words but the last, and of the extension, the rarest first
	last    *beginning      // of the words that the last one begins; nil: there is none
	open    bool            // closed documents do not match any more
	matched bool            // match was called
	matches *roaring.Bitmap // then: documents that have all words; nil: there are no words
	dense   []uint64        // matches again, a bit for each document, while walking
	filters bool

	hits    hits
	tried   int
	stopped uint32 // the base after which the search has not looked, or 0
}

// prepare looks the words up. It reports false if nothing can match.
func (s *search) prepare() bool {
	var last string
	for w := range words(s.q.Words) {
		if last != "" && !s.must(last) {
			return false
		}
		last = w
	}
	if last == "" && strings.TrimSpace(s.q.Words) != "" {
		return false // there is not one letter or digit in it
	}
	if e := s.q.Extension; e != "" && !s.must("."+cut(fold(e))) {
		return false
	}
	if s.q.Base != "" {
		if s.base = s.x.base(string(s.q.Base)); s.base == 0 {
			return false
		}
	}
	if last != "" {
		b := s.x.words.beginning(last)
		s.last = &b
	}
	slices.SortFunc(s.exact, func(a, b *posting) int { return cmp.Compare(a.len(), b.len()) })
	return true
}

func (s *search) must(word string) bool {
	p := s.x.words.exactly(word)
	if p != nil {
		s.exact = append(s.exact, p)
	}
	return p != nil
}

// match brings together what all words match, unless that is done already.
func (s *search) match() {
	if s.matched {
		return
	}
	s.matched = true
	for _, p := range s.exact {
		if s.matches == nil {
			s.matches = p.asBitmap()
		} else {
			s.matches = roaring.And(s.matches, p.asBitmap())
		}
	}
	if s.last != nil {
		s.matches = s.last.within(s.matches)
	}
	if s.open {
		s.leaveClosed()
	}
}

// matchIn returns what all words match among docs.
func (s *search) matchIn(docs *roaring.Bitmap) *roaring.Bitmap {
	if s.matched {
		return roaring.And(docs, s.matches)
	}
	for _, p := range s.exact {
		docs = roaring.And(docs, p.asBitmap())
	}
	if s.last != nil {
		docs = s.last.within(docs)
	}
	return docs
}

// mayMatch estimates how many documents match; 0 if there are no words. Words
// of one name are seen together more often than by chance.
func (s *search) mayMatch() uint64 {
	if s.matched && s.matches != nil {
		return s.matches.GetCardinality()
	}
	all := float64(s.x.docs.len())
	estimate, most := togetherMore*all, 0.
	take := func(docs int) {
		estimate *= float64(docs) / all
		if most == 0 || float64(docs) < most {
			most = float64(docs)
		}
	}
	for _, p := range s.exact {
		take(p.len())
	}
	if s.last != nil {
		take(s.last.atMost())
	}
	return uint64(min(estimate, most))
}

// look finds the best of what matches everywhere. What somebody connected has
// comes first, and is mostly enough.
func (s *search) look() {
	if s.hits.view == nil && s.lookInFronts() {
		return
	}
	s.trySeen()
	s.match()
	if s.matches == nil {
		s.walk()
		return
	}
	if s.hits.view != nil {
		s.lookPlainly()
		return
	}
	reachable, all := s.matches, s.matches.GetCardinality()
	if !s.fewOf(all, s.x.docs.len()) {
		reachable = roaring.And(s.matches, s.x.reachable)
		if !s.fewOf(reachable.GetCardinality(), int(s.x.reachable.GetCardinality())) {
			s.walk()
			return
		}
	}
	s.gather(reachable, nil)
	if !s.hits.full() && !s.q.OnlineOnly && reachable.GetCardinality() < all {
		s.skipReachable()
		s.walk()
	}
}

// fewOf reports whether it is cheaper to gather that many matches than to try,
// of so many documents, as many as fill the page.
func (s *search) fewOf(matches uint64, documents int) bool {
	return matches*matches*gatherCost <= uint64(s.hits.most)*uint64(documents)
}

// passes reports whether a document whose words match is what is looked for.
func (s *search) passes(doc uint32) bool {
	if !s.filters {
		return true
	}
	d := s.x.docs.at(doc)
	return s.admits(doc, d, d.online > 0) && (s.viewer.member || !s.x.secure.blankDocs.Contains(doc))
}

// admits reports whether the query's filters let a document pass that somebody
// connected has, or nobody.
func (s *search) admits(doc uint32, d *document, online bool) bool {
	return !(s.q.OnlineOnly && !online ||
		s.q.MinSize > 0 && d.size < s.q.MinSize ||
		s.q.MaxSize > 0 && (d.size > s.q.MaxSize || d.size == lonja.UnknownSize) ||
		s.base != 0 && *s.x.baseOf.at(doc) != s.base)
}

func (s *search) fits(doc uint32) bool {
	switch {
	case s.dense != nil:
		word := int(doc / 64)
		if word >= len(s.dense) || s.dense[word]>>(doc%64)&1 == 0 {
			return false
		}
	case s.matches != nil && !s.matches.Contains(doc):
		return false
	}
	return s.passes(doc)
}

// lookAtOwner finds the best of one owner's publications.
func (s *search) lookAtOwner() {
	owner, a := s.x.account(s.q.Owner)
	if a == nil || s.q.OnlineOnly && !a.online {
		return
	}
	s.match()
	if docs := s.x.large[owner]; docs != nil {
		if s.owner = owner; s.matches != nil {
			docs = roaring.And(docs, s.matches)
		}
		s.matches = docs
		s.look()
		return
	}
	for n := a.newest; n != 0; n = s.x.listings.at(n).older {
		if l := s.x.listings.at(n); !l.closed && s.fits(l.doc) {
			s.hits.add(hit{base: *s.x.baseOf.at(l.doc), listing: n})
		}
	}
}

// gatherAtOnce is how many documents gather looks at together.
const gatherAtOnce = 256

// gather looks at documents whose words match, and whose bases are ranked before
// end if that is not nil. What it needs of each is
// somewhere else in memory, so it asks for that of many before it decides about
// any: the processor then waits for all of it at once.
func (s *search) gather(docs *roaring.Bitmap, end *bound) {
	var batch, bases [gatherAtOnce]uint32
	var ranks [gatherAtOnce]uint64
	for it := docs.ManyIterator(); ; {
		n := it.NextMany(batch[:])
		if n == 0 {
			return
		}
		for i, doc := range batch[:n] {
			bases[i] = *s.x.baseOf.at(doc)
		}
		for i, base := range bases[:n] {
			ranks[i] = *s.x.ranks.at(base)
		}
		for i, rank := range ranks[:n] {
			if s.hits.mayKeep(rank) && (end == nil || s.x.compareBase(bases[i], end) < 0) && s.passes(batch[i]) {
				s.hits.add(hit{base: bases[i], doc: batch[i]})
			}
		}
	}
}

// walk tries bases in the order of their rank until the page is full.
func (s *search) walk() {
	if s.matches != nil {
		s.dense = s.matches.ToDense()
	}
	var at position
	if s.start != nil {
		at = s.x.ranked.search(s.x.before(s.start.standing))
	}
	for number := range s.x.ranked.from(at) {
		if s.hits.enough(number) || s.q.OnlineOnly && s.x.bases.at(number).online == 0 {
			return
		}
		s.try(number)
		if s.tried >= maxTried {
			s.stopped = number
			return
		}
	}
}

// skipReachable has walk begin behind all that somebody connected has.
func (s *search) skipReachable() {
	behind := newBound(standing{listings: math.MaxUint32})
	if s.start == nil || behind.compare(&s.start.standing) > 0 {
		s.start = behind
	}
}

// try adds the base if one of its documents fits.
func (s *search) try(number uint32) {
	var alone [1]uint32
	docs := s.x.documents(number, &alone)
	s.tried += len(docs)
	if i := slices.IndexFunc(docs, s.fits); i >= 0 {
		s.hits.add(hit{base: number, doc: docs[i]})
	}
}

// page returns what was found, the best first.
func (s *search) page() lonja.FoundPage {
	best := s.hits.sorted()
	var page lonja.FoundPage
	if s.stopped != 0 {
		best = s.upTo(best)
	}
	switch {
	case len(best) == s.hits.most:
		best = best[:len(best)-1]
		page.Next = appendCursor(best[len(best)-1].standing)
	case s.stopped != 0:
		page.Next = appendCursor(s.x.standing(s.stopped))
	}
	for _, h := range best {
		listing := s.example(h)
		owner := s.x.accounts.at(s.x.listings.at(listing).owner)
		page.Found = append(page.Found, lonja.Found{
			Owner:   lonja.UserName(s.x.texts.str(owner.user)),
			Listing: s.x.publication(listing),
			Online:  int(h.online), Holders: int(h.listings),
		})
	}
	return page
}

// example returns a publication of a base that is found, of a connected owner
// if there is one.
func (s *search) example(h hit) uint32 {
	if h.listing != 0 {
		return h.listing
	}
	doc := h.doc
	if s.owner != 0 {
		name := s.x.docs.at(doc).name
		return s.x.byFile.find(s.x.hash(uint64(s.owner), uint64(name)), func(n uint32) bool {
			l := s.x.listings.at(n)
			return l.owner == s.owner && s.x.docs.at(l.doc).name == name
		})
	}
	if h.online > 0 && s.x.docs.at(doc).online == 0 {
		var alone [1]uint32
		docs := s.x.documents(h.base, &alone)
		if i := slices.IndexFunc(docs, func(o uint32) bool { return s.fits(o) && s.x.docs.at(o).online > 0 }); i >= 0 {
			doc = docs[i]
		}
	}
	d := s.x.docs.at(doc)
	if d.latest != 0 && s.x.listings.at(d.latest).online == (d.online > 0) {
		return d.latest
	}
	listing := *s.x.bases.at(h.base).head(d.online > 0)
	for s.x.listings.at(listing).doc != doc {
		listing = s.x.listings.at(listing).behind
	}
	return listing
}
