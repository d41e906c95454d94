package index

import (
	"cmp"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
)

// A view is how a viewer sees some bases otherwise than the index ranks them:
// a classic one does not count names with a blank, and a member counts closed
// listings that it may know of. These bases are tried before all others, and
// given the standing that the viewer sees. So a search costs the more, the more
// such bases there are.
type view struct {
	classic bool
	seen    []seen
	of      map[uint32]uint32 // by base: the number in seen
}

// Seen is the closed listings of one base that a viewer may know of.
type seen struct {
	base             uint32
	online, listings uint32
	fits             uint32 // one that fits the query, of a connected owner if there is one
}

// standing returns the standing of a base that the viewer sees otherwise, or
// false.
func (v *view) standing(x *Index, base uint32) (standing, bool) {
	if v == nil {
		return standing{}, false
	}
	if v.classic {
		b := x.bases.at(base)
		if b.extra == 0 {
			return standing{}, false
		}
		e, s := x.secure.extras.at(b.extra), x.standing(base)
		s.online -= e.blankOnline
		s.listings -= e.blank
		return s, e.blank > 0
	}
	number, otherwise := v.of[base]
	if !otherwise {
		return standing{}, false
	}
	more, s := &v.seen[number], x.standing(base)
	s.online += more.online
	s.listings += more.listings
	return s, true
}

func (b *bound) against(o *bound) int {
	if c := cmp.Compare(b.rank, o.rank); c != 0 {
		return c
	}
	return b.compare(&o.standing)
}

// addSeen is add for a base with another standing than that of its rank.
func (h *hits) addSeen(new hit, s standing) {
	new.bound = *newBound(s)
	if h.after != nil && new.against(h.after) <= 0 ||
		h.full() && new.against(h.x.known(&h.worst[0])) >= 0 ||
		slices.ContainsFunc(h.worst, func(o hit) bool { return o.base == new.base }) {
		return
	}
	h.put(new)
}

// enough reports whether no base from number on, as they are ranked, can be
// among the best, once those that the viewer sees otherwise were tried.
func (h *hits) enough(number uint32) bool {
	return h.full() && (h.view == nil || h.x.compareBase(number, h.x.known(&h.worst[0])) >= 0)
}

// lookAtClosed makes the view of this search, and finds the closed listings that
// fit. From then on, matches are documents that everybody sees.
func (s *search) lookAtClosed() {
	closed := &s.x.secure
	if !s.viewer.member {
		if !closed.mixed.IsEmpty() {
			s.hits.view = &view{classic: true}
		}
	} else {
		s.seeClosed()
	}
	s.open = true
	if s.matched {
		s.leaveClosed()
	}
	if s.hits.view != nil {
		s.match()
		s.addClosed()
	}
}

// leaveClosed takes documents that not everybody sees out of what matches.
func (s *search) leaveClosed() {
	if closed := s.x.secure.closedDocs; s.matches != nil && !closed.IsEmpty() {
		s.matches = roaring.AndNot(s.matches, closed)
	}
}

// seeClosed gathers what the viewer may know of beside what everybody does.
func (s *search) seeClosed() {
	x := s.x
	if s.viewer.user == 0 || x.firstReader(s.viewer.user) == 0 {
		return
	}
	v := &view{of: make(map[uint32]uint32)}
	owner, _ := x.account(s.q.Owner)
	x.closedFor(s.viewer, func(number uint32) {
		l := x.listings.at(number)
		a := x.accounts.at(l.owner)
		if a.gone {
			return // not settled yet
		}
		base := *x.baseOf.at(l.doc)
		s.match()
		place, there := v.of[base]
		if !there {
			place = uint32(len(v.seen))
			v.of[base] = place
			v.seen = append(v.seen, seen{base: base})
		}
		of := &v.seen[place]
		of.listings++
		if l.online {
			of.online++
		}
		if (of.fits == 0 || l.online && !x.listings.at(of.fits).online) &&
			(s.q.Owner == "" || l.owner == owner) &&
			(s.matches == nil || s.matches.Contains(l.doc)) && s.admits(l.doc, x.docs.at(l.doc), l.online) {
			of.fits = number
		}
	})
	if len(v.seen) > 0 {
		s.hits.view = v
	}
}

// addClosed adds the bases of which a closed listing fits.
func (s *search) addClosed() {
	for i := range s.hits.view.seen {
		of := &s.hits.view.seen[i]
		if of.fits == 0 {
			continue
		}
		h := hit{base: of.base, listing: of.fits}
		if !s.x.listings.at(of.fits).online && s.q.Owner == "" {
			if doc := s.openFit(of.base); doc != 0 && s.x.docs.at(doc).online > 0 {
				h = hit{base: of.base, doc: doc}
			}
		}
		s.hits.add(h)
	}
}

// openFit returns a document of the base that fits, of a connected owner if
// there is one, or 0.
func (s *search) openFit(base uint32) (found uint32) {
	var alone [1]uint32
	for _, doc := range s.x.documents(base, &alone) {
		if (found == 0 || s.x.docs.at(doc).online > 0) && s.fits(doc) {
			if found = doc; s.x.docs.at(doc).online > 0 {
				break
			}
		}
	}
	return found
}

// trySeen tries the bases that the viewer sees otherwise than they are ranked.
func (s *search) trySeen() {
	if s.hits.view == nil {
		return
	}
	try := func(base uint32) {
		if doc := s.openFit(base); doc != 0 {
			s.hits.add(hit{base: base, doc: doc})
		}
	}
	if s.hits.view.classic {
		for it := s.x.secure.mixed.Iterator(); it.HasNext(); {
			try(it.Next())
		}
		return
	}
	for i := range s.hits.view.seen {
		try(s.hits.view.seen[i].base)
	}
}

// lookPlainly is look where a rank does not say everything.
func (s *search) lookPlainly() {
	if s.fewOf(s.matches.GetCardinality(), s.x.docs.len()) {
		s.gather(s.matches, nil)
		return
	}
	s.walk()
}

// upTo leaves the hits out that the search, which has stopped, had not come to:
// they are on a later page.
func (s *search) upTo(best []hit) []hit {
	if s.hits.view == nil {
		return best
	}
	end := newBound(s.x.standing(s.stopped))
	return slices.DeleteFunc(best, func(h hit) bool { return h.against(end) > 0 })
}

// ListingsFor is Listings of those that v may know of.
func (x *Index) ListingsFor(v Viewer, user lonja.UserName) []lonja.Listing {
	_, a := x.account(user)
	if a == nil {
		return nil
	}
	listings := make([]lonja.Listing, 0, a.files)
	for n := a.newest; n != 0; n = x.listings.at(n).older {
		if x.sees(v, x.listings.at(n)) {
			listings = append(listings, x.publication(n))
		}
	}
	return listings
}
