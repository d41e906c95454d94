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

// A ListingPage is a part of some listings, the latest first.
type ListingPage struct {
	Listings []lonja.Listing
	Last     Spot // of the last of Listings, or where the page before ended
}

// ContentPage appends to a page up to n listings of a user that v may know of.
// It looks at up to steps listings and reports whether there are more; at is
// where it goes on then, and zero at the beginning.
func (x *Index) ContentPage(p *ListingPage, v Viewer, user lonja.UserName, at Spot, n, steps int) (next Spot, more bool) {
	owner, a := x.account(user)
	if a == nil {
		return Spot{}, false
	}
	follow := func(number uint32) uint32 { return x.listings.at(number).older }
	first := a.newest
	if x.isAt(at, func(l *listing) bool { return l.owner == owner }) {
		first = follow(at.Number)
	}
	return x.page(&p.Last, first, follow, at, n-len(p.Listings), steps, func(number uint32, l *listing) bool {
		if x.sees(v, l) {
			p.Listings = append(p.Listings, x.publication(number))
			return true
		}
		return false
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

// page looks at listings in the order of falling revisions and takes up to n of
// those that take wants.
func (x *Index) page(last *Spot, first uint32, follow func(uint32) uint32, at Spot, n, steps int, take func(uint32, *listing) bool) (next Spot, more bool) {
	below := cmp.Or(at.Below, maxRev)
	for number := first; number != 0; number = follow(number) {
		l := x.listings.at(number)
		if steps--; n == 0 || steps < 0 {
			return at, true
		}
		at.Number, at.Rev = number, l.rev
		if l.rev >= below {
			continue // looking for the place
		}
		if at.Below = l.rev; take(number, l) {
			*last = at
			n--
		}
	}
	return Spot{}, false
}

// A HolderPage is a part of the holders of something, the latest first.
type HolderPage struct {
	Holders []lonja.Holder
	Last    Spot // of the last of Holders, or where the page before ended
}

// FilePage appends to a page up to n of the holders, of connected users, of a
// content, as ContentPage does.
func (x *Index) FilePage(p *HolderPage, v Viewer, file lonja.FileID, at Spot, n, steps int) (next Spot, more bool) {
	number := x.content(file)
	if number == 0 {
		return Spot{}, false
	}
	follow := func(number uint32) uint32 { return x.proofOf(number).older }
	first := x.secure.contents.at(number).newest
	if x.isAt(at, func(l *listing) bool { return l.proof != 0 && x.secure.proofs.at(l.proof).content == number }) {
		first = follow(at.Number)
	}
	return x.page(&p.Last, first, follow, at, n-len(p.Holders), steps, func(number uint32, l *listing) bool {
		if x.accounts.at(l.owner).online && x.sees(v, l) {
			p.Holders = append(p.Holders, x.holder(number))
			return true
		}
		return false
	})
}

func (x *Index) holder(number uint32) lonja.Holder {
	l := x.listings.at(number)
	a := x.accounts.at(l.owner)
	return lonja.Holder{
		User: lonja.UserName(x.texts.str(a.user)), At: a.endpoint(),
		Name:  lonja.FileName(x.texts.str(x.docs.at(l.doc).name)),
		Reach: x.secure.reach[l.owner], Proof: x.proof(l),
	}
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

// NamePage returns up to n of the holders with the base name of name, as FilePage
// does, and whether there are more. It looks at all of them: those of one base
// name are in the order in which their owners connected, which changes.
func (x *Index) NamePage(v Viewer, name lonja.FileName, after Spot, n int) (p HolderPage, more bool) {
	below := cmp.Or(after.Below, maxRev)
	type candidate struct {
		rev    uint64
		number uint32
	}
	var best []candidate
	keep := func() {
		slices.SortFunc(best, func(a, b candidate) int { return cmp.Compare(b.rev, a.rev) })
		best = best[:min(len(best), n+1)]
		if len(best) > n {
			below = min(below, best[n].rev+1)
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
	p.Last = after
	for _, c := range best[:min(len(best), n)] {
		p.Holders = append(p.Holders, x.holder(c.number))
		p.Last = Spot{c.rev, c.number, c.rev}
	}
	return p, len(best) > n
}
