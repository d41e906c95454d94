package index

import (
	"cmp"
	"container/heap"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
)

// A search that matches many documents tries bases in the order of their rank
// until the page is full; one that matches few gathers these and ranks them.
const (
	// gatherCost is what it costs to gather a document, in the cost of trying
	// one, as measured with a million publications.
	gatherCost = 4
	// maxTried bounds the documents that are tried for one page, and so the
	// time that a search takes. A page may be short by it.
	maxTried = 32768
)

// Search returns a page of what matches the query, which was checked. The page
// may be shorter than asked for, even empty, while its Next is not: no search
// takes long.
func (x *Index) Search(q *lonja.Query) (lonja.FoundPage, error) {
	after, err := parseCursor(q.After)
	if err != nil {
		return lonja.FoundPage{}, lonja.E(lonja.Invalid, lonja.OpSearch.String(), err)
	}
	s := &search{x: x, q: q, after: after, start: after, limit: cmp.Or(q.Limit, lonja.DefaultFound)}
	if !s.prepare() {
		return lonja.FoundPage{}, nil
	}
	switch {
	case q.Owner != "":
		s.gatherOwned()
	case q.Base != "":
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
	after *standing // the page's results come after it; nil: after nothing
	start *standing // from where walk looks; nil: from the first
	limit int

	base      uint32          // to which the search is bound, or 0
	exact     []*posting      // of the words but the last, and of the extension
	beginning *roaring.Bitmap // of the last word; nil if there is no word
	matches   *roaring.Bitmap // what exact and beginning have in common; nil: everything

	hits    hits
	tried   int
	stopped uint32 // the base after which the search has not looked, or 0
}

// A hit is a base of which a publication matches.
type hit struct {
	standing
	listing uint32
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
	if e := s.q.Extension; e != "" && !s.must("."+fold(e)) {
		return false
	}
	if last != "" {
		s.beginning = s.x.words.beginning(last)
	}
	if s.q.Base != "" {
		if s.base = s.x.base(string(s.q.Base)); s.base == 0 {
			return false
		}
	}
	s.match()
	return true
}

// match brings together what each word matches, the rarest first.
func (s *search) match() {
	slices.SortFunc(s.exact, func(a, b *posting) int { return cmp.Compare(a.len(), b.len()) })
	for _, p := range s.exact {
		if s.matches == nil {
			s.matches = p.asBitmap()
		} else {
			s.matches = roaring.And(s.matches, p.asBitmap())
		}
	}
	switch {
	case s.beginning == nil:
	case s.matches == nil:
		s.matches = s.beginning
	default:
		s.matches = roaring.And(s.matches, s.beginning)
	}
}

func (s *search) must(word string) bool {
	p := s.x.words.exactly(word)
	if p != nil {
		s.exact = append(s.exact, p)
	}
	return p != nil
}

// look finds the best of what matches everywhere. What somebody connected has
// comes first, and is mostly enough.
func (s *search) look() {
	if s.matches == nil {
		s.walk()
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
	s.gather(reachable)
	if len(s.hits) <= s.limit && !s.q.OnlineOnly && reachable.GetCardinality() < all {
		s.skipReachable()
		s.walk()
	}
}

// fewOf reports whether it is cheaper to gather that many matches than to try,
// of so many documents, as many as fill the page.
func (s *search) fewOf(matches uint64, documents int) bool {
	return matches*matches*gatherCost <= uint64(s.limit+1)*uint64(documents)
}

// fits reports whether a document is what is looked for.
func (s *search) fits(doc uint32) bool {
	if s.matches != nil && !s.matches.Contains(doc) {
		return false
	}
	d := s.x.docs.at(doc)
	return !(s.q.OnlineOnly && d.online == 0 ||
		s.q.MinSize > 0 && d.size < s.q.MinSize ||
		s.q.MaxSize > 0 && (d.size > s.q.MaxSize || d.size == lonja.UnknownSize) ||
		s.base != 0 && d.base != s.base)
}

// gatherOwned looks at all publications of one owner.
func (s *search) gatherOwned() {
	_, a := s.x.account(s.q.Owner)
	if a == nil {
		return
	}
	seen := make(map[uint32]struct{})
	for n := a.newest; n != 0; n = s.x.listings.at(n).older {
		l := s.x.listings.at(n)
		base := s.x.docs.at(l.doc).base
		if _, again := seen[base]; again || !s.fits(l.doc) || s.q.OnlineOnly && !a.online {
			continue
		}
		seen[base] = struct{}{}
		s.add(base, n)
	}
}

// gather looks at documents that match.
func (s *search) gather(docs *roaring.Bitmap) {
	bases := make([]uint64, 0, docs.GetCardinality()) // with one document each
	for it := docs.Iterator(); it.HasNext(); {
		doc := it.Next()
		if s.fits(doc) {
			d := s.x.docs.at(doc)
			offline := uint64(1) << 31
			if d.online > 0 {
				offline = 0
			}
			bases = append(bases, uint64(d.base)<<32|offline|uint64(doc))
		}
	}
	slices.Sort(bases)
	for i, b := range bases {
		if i == 0 || bases[i-1]>>32 != b>>32 {
			s.addDocument(uint32(b>>32), uint32(b)&^(1<<31))
		}
	}
}

// walk tries bases in the order of their rank until the page is full.
func (s *search) walk() {
	var at position
	if s.start != nil {
		at = s.x.ranked.search(s.x.before(s.start))
	}
	for number := range s.x.ranked.from(at) {
		if s.q.OnlineOnly && s.x.bases.at(number).online == 0 || len(s.hits) > s.limit {
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
	behind := &standing{listings: math.MaxUint32}
	if s.start == nil || behind.compare(s.start) > 0 {
		s.start = behind
	}
}

// try adds the base if one of its documents fits.
func (s *search) try(number uint32) {
	found := uint32(0)
	for doc := *s.x.docOf.at(number); doc != 0; doc = *s.x.nextDoc.at(doc) {
		s.tried++
		if !s.fits(doc) {
			continue
		}
		if online := s.x.docs.at(doc).online > 0; online || found == 0 {
			found = doc
			if online {
				break
			}
		}
	}
	if found != 0 {
		s.addDocument(number, found)
	}
}

func (s *search) addDocument(base, doc uint32) {
	if s.outranked(base) {
		return
	}
	online := s.x.docs.at(doc).online > 0
	n := *s.x.bases.at(base).head(online)
	for s.x.listings.at(n).doc != doc {
		n = s.x.listings.at(n).behind
	}
	s.add(base, n)
}

// outranked reports whether a base cannot be on the page.
func (s *search) outranked(base uint32) bool {
	return s.after != nil && s.x.compareBase(base, s.after) <= 0 ||
		len(s.hits) > s.limit && s.x.compareBase(base, &s.hits[0].standing) >= 0
}

// add keeps the best limit+1 hits: one more than the page tells whether there
// is another.
func (s *search) add(base, listing uint32) {
	if s.outranked(base) {
		return
	}
	heap.Push(&s.hits, hit{s.x.standing(base), listing})
	if len(s.hits) > s.limit+1 {
		heap.Pop(&s.hits)
	}
}

// page returns what was found, the best first.
func (s *search) page() lonja.FoundPage {
	slices.SortFunc(s.hits, func(a, b hit) int { return a.compare(&b.standing) })
	var page lonja.FoundPage
	switch {
	case len(s.hits) > s.limit:
		s.hits = s.hits[:s.limit]
		page.Next = appendCursor(s.hits[s.limit-1].standing)
	case s.stopped != 0:
		page.Next = appendCursor(s.x.standing(s.stopped))
	}
	for _, h := range s.hits {
		owner := s.x.accounts.at(s.x.listings.at(h.listing).owner)
		page.Found = append(page.Found, lonja.Found{
			Owner:   lonja.UserName(s.x.texts.str(owner.user)),
			Listing: s.x.publication(h.listing),
			Online:  int(h.online), Holders: int(h.listings),
		})
	}
	return page
}

// Hits is a heap with the hit to show last on top.
type hits []hit

func (h hits) Len() int           { return len(h) }
func (h hits) Less(i, j int) bool { return h[i].compare(&h[j].standing) > 0 }
func (h hits) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *hits) Push(v any)        { *h = append(*h, v.(hit)) }

func (h *hits) Pop() any {
	last := len(*h) - 1
	v := (*h)[last]
	*h = (*h)[:last]
	return v
}

// A cursor is the standing of the last base of a page: the counts as uvarints,
// then the name.
func appendCursor(s standing) lonja.Cursor {
	b := binary.AppendUvarint(nil, uint64(s.online))
	b = binary.AppendUvarint(b, uint64(s.listings))
	return lonja.Cursor(base64.RawURLEncoding.EncodeToString(append(b, s.name...)))
}

func parseCursor(c lonja.Cursor) (*standing, error) {
	if c == "" {
		return nil, nil
	}
	bad := fmt.Errorf("the cursor is not one of a page of results")
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(c) > lonja.MaxCursor {
		return nil, bad
	}
	online, n := binary.Uvarint(b)
	if n <= 0 {
		return nil, bad
	}
	listings, m := binary.Uvarint(b[n:])
	if m <= 0 || max(online, listings) > 1<<32-1 {
		return nil, bad
	}
	name := b[n+m:]
	return &standing{uint32(online), uint32(listings), begin(name), name}, nil
}
