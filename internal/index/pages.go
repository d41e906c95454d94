package index

import (
	"cmp"
	"slices"

	"lonja"
)

// A Spot is where a page of listings ended: at a listing, which may be gone by
// then. Below is the revision that all of the next page are below; the number
// and the revision of the listing that was looked at last only spare looking for
// the place. The zero Spot is before the first.
type Spot struct {
	Below  uint64
	Number uint32
	Rev    uint64
}

// maxRev is above all revisions.
const maxRev = 1<<64 - 1

// A Progress says how far a page has come.
type Progress uint8

// What a page can have come to.
const (
	Looking Progress = iota // it has to be gone on with, from where it is
	Full                    // there is more for another page
	Ended                   // there is not
)

// A row is listings that follow each other, and which of them a viewer sees.
type row struct {
	first  uint32
	follow func(number uint32) uint32
	sees   func(number uint32, l *listing) bool
}

// A ListingPage is a part of some listings, the latest first.
type ListingPage struct {
	Listings []lonja.Listing
	Last     Spot // of the last of Listings, or where the page before ended
	at       Spot // where it goes on
}

// NewListingPage returns a page that begins behind a spot.
func NewListingPage(after Spot) *ListingPage { return &ListingPage{Last: after, at: after} }

// Place returns where the page goes on: behind what was looked at, also what the
// viewer does not see.
func (p *ListingPage) Place() Spot { return p.at }

// ContentPage appends to a page up to n in all of the listings of a user that v
// may know of. It looks at up to steps listings, and is called again, perhaps
// after others had a turn, while it is looking.
func (x *Index) ContentPage(p *ListingPage, v Viewer, user lonja.UserName, n, steps int) Progress {
	owner, a := x.account(user)
	if a == nil {
		return Ended
	}
	r := row{
		first:  a.newest,
		follow: func(number uint32) uint32 { return x.listings.at(number).older },
		sees:   func(_ uint32, l *listing) bool { return x.sees(v, l) },
	}
	if x.isAt(p.at, func(l *listing) bool { return l.owner == owner }) {
		r.first = r.follow(p.at.Number)
	}
	return x.page(r, &p.at, steps, func(number uint32) bool {
		if len(p.Listings) == n {
			return false
		}
		p.Listings = append(p.Listings, x.publication(number))
		p.Last = p.at
		return true
	})
}

// isAt reports whether the listing of a spot is still there.
func (x *Index) isAt(at Spot, same func(*listing) bool) bool {
	if at.Number == 0 || at.Number > x.listings.next {
		return false
	}
	l := x.listings.at(at.Number)
	return l.rev == at.Rev && l.doc != 0 && same(l)
}

// page looks at a row in the order of falling revisions, and hands what the
// viewer sees to take until that wants no more. So the viewer learns that there
// is more only if it may know of that.
func (x *Index) page(r row, at *Spot, steps int, take func(uint32) bool) Progress {
	below := cmp.Or(at.Below, maxRev)
	for number := r.first; number != 0; number = r.follow(number) {
		if steps--; steps < 0 {
			return Looking
		}
		l := x.listings.at(number)
		at.Number, at.Rev = number, l.rev
		if l.rev >= below {
			continue // looking for the place
		}
		at.Below = l.rev
		if r.sees(number, l) && !take(number) {
			return Full
		}
	}
	return Ended
}

// A HolderPage is a part of the holders of something, the latest first.
type HolderPage struct {
	Holders []lonja.Holder
	Last    Spot // of the last of Holders, or where the page before ended
	at      Spot // where it goes on
}

// NewHolderPage returns a page that begins behind a spot.
func NewHolderPage(after Spot) *HolderPage { return &HolderPage{Last: after, at: after} }

// Place is that of a ListingPage.
func (p *HolderPage) Place() Spot { return p.at }

// FilePage appends to a page up to n in all of the holders, of connected users,
// of a content, as ContentPage does.
func (x *Index) FilePage(p *HolderPage, v Viewer, file lonja.FileID, n, steps int) Progress {
	number := x.content(file)
	if number == 0 {
		return Ended
	}
	r := row{
		first:  x.secure.contents.at(number).newest,
		follow: func(number uint32) uint32 { return x.proofOf(number).older },
		sees:   func(_ uint32, l *listing) bool { return x.accounts.at(l.owner).online && x.sees(v, l) },
	}
	if x.isAt(p.at, func(l *listing) bool { return l.proof != 0 && x.secure.proofs.at(l.proof).content == number }) {
		r.first = r.follow(p.at.Number)
	}
	return x.page(r, &p.at, steps, func(number uint32) bool {
		if len(p.Holders) == n {
			return false
		}
		p.Holders = append(p.Holders, x.holder(number))
		p.Last = p.at
		return true
	})
}

func (x *Index) holder(number uint32) lonja.Holder {
	l := x.listings.at(number)
	a := x.accounts.at(l.owner)
	d := x.docs.at(l.doc)
	h := lonja.Holder{
		User: lonja.UserName(x.texts.str(a.user)), At: a.endpoint(),
		Name:  lonja.FileName(x.texts.str(d.name)),
		Reach: x.secure.reach[l.owner], Proof: x.proof(l),
	}
	if h.Proof != nil {
		h.Description, h.Size = lonja.Description(x.texts.str(d.description)), d.size
	}
	return h
}

// holdersOf calls tell with the listings, of connected users, with that base
// name that v may know of, until it returns false.
func (x *Index) holdersOf(v Viewer, base string, tell func(number uint32, l *listing) bool) {
	number := x.base(base)
	if number == 0 {
		return
	}
	b := x.bases.at(number)
	for n := b.online1st; n != 0; n = x.listings.at(n).behind {
		if l := x.listings.at(n); x.accounts.at(l.owner).online && x.sees(v, l) && !tell(n, l) {
			return
		}
	}
	if b.extra == 0 || !v.member {
		return
	}
	for n := x.secure.extras.at(b.extra).closed1st; n != 0; n = x.listings.at(n).behind {
		if l := x.listings.at(n); x.accounts.at(l.owner).online && x.sees(v, l) && !tell(n, l) {
			return
		}
	}
}

// HoldersFor is Holders of those that v may know of.
func (x *Index) HoldersFor(v Viewer, name lonja.FileName, most int) (holders []lonja.Holder) {
	x.holdersOf(v, name.Base(), func(number uint32, _ *listing) bool {
		holders = append(holders, x.holder(number))
		return len(holders) < most
	})
	return holders
}

// NamePage appends to an empty page up to n of the holders with the base name of
// name. It looks at all of them at once: those of one base name are in the order
// in which their owners connected, which changes.
func (x *Index) NamePage(p *HolderPage, v Viewer, name lonja.FileName, n int) Progress {
	below := cmp.Or(p.at.Below, maxRev)
	type candidate struct {
		rev    uint64
		number uint32
	}
	var best []candidate
	keep := func() { // one more than the page has says that there is another
		slices.SortFunc(best, func(a, b candidate) int { return cmp.Compare(b.rev, a.rev) })
		if len(best) > n {
			best = best[:n+1]
			below = best[n].rev + 1
		}
	}
	x.holdersOf(v, name.Base(), func(number uint32, l *listing) bool {
		if l.rev < below {
			if best = append(best, candidate{l.rev, number}); len(best) > 2*n+2 {
				keep()
			}
		}
		return true
	})
	keep()
	for _, c := range best[:min(len(best), n)] {
		p.Holders = append(p.Holders, x.holder(c.number))
		p.Last = Spot{c.rev, c.number, c.rev}
	}
	if len(best) > n {
		return Full
	}
	return Ended
}
