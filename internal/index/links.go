package index

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
)

// linkOwner puts a listing at the head of its owner's.
func (x *Index) linkOwner(number uint32, l *listing, a *account) {
	l.older = a.newest
	if a.newest != 0 {
		x.listings.at(a.newest).newer = number
	} else {
		a.oldest = number
	}
	a.newest = number
	a.files++
}

func (x *Index) unlinkOwner(number uint32, l *listing, a *account) {
	if l.newer != 0 {
		x.listings.at(l.newer).older = l.older
	} else {
		a.newest = l.older
	}
	if l.older != 0 {
		x.listings.at(l.older).newer = l.newer
	} else {
		a.oldest = l.newer
	}
	if a.cursor == number {
		a.cursor = l.newer
	}
	a.files--
}

// count adds a listing, by +1, to what its base and its document have, or takes
// it out, by -1, as one whose owner is connected or not.
func (x *Index) count(number uint32, l *listing, online bool, by int) {
	d := x.docs.at(l.doc)
	base := *x.baseOf.at(l.doc)
	b := x.bases.at(base)
	was := x.unrank(base)
	b.listings += uint32(by)
	d.listings += uint32(by)
	if online {
		x.addOnline(d, base, uint32(by))
	}
	x.rank(base, was)
	switch {
	case by > 0:
		d.latest = number
	case d.latest == number:
		d.latest = 0
	}
	if by > 0 {
		l.online = online
		x.linkBase(number, l, b.head(online))
	} else {
		x.unlinkBase(l, b.head(online))
	}
}

// head returns where the base's listings begin whose owners are connected, or
// the others.
func (b *base) head(online bool) *uint32 {
	if online {
		return &b.online1st
	}
	return &b.offline1st
}

func (x *Index) linkBase(number uint32, l *listing, head *uint32) {
	l.before, l.behind = 0, *head
	if *head != 0 {
		x.listings.at(*head).before = number
	}
	*head = number
}

func (x *Index) unlinkBase(l *listing, head *uint32) {
	if l.before != 0 {
		x.listings.at(l.before).behind = l.behind
	} else {
		*head = l.behind
	}
	if l.behind != 0 {
		x.listings.at(l.behind).before = l.before
	}
}

// settleLater has an account's listings counted as its presence is now, or
// taken out if it is gone.
func (x *Index) settleLater(number uint32, a *account) {
	a.cursor = a.oldest
	if !a.unsettled {
		a.unsettled = true
		x.unsettled = append(x.unsettled, number)
	}
}

// Settled reports whether nothing is left to do for the user's account.
func (x *Index) Settled(user lonja.UserName) bool {
	_, a := x.account(user)
	return a == nil || !a.unsettled
}

// Settle does up to about n steps of what changes have left to do, and reports
// whether more is left.
func (x *Index) Settle(n int) (more bool) {
	for len(x.unsettled) > 0 && n > 0 {
		number := x.unsettled[0]
		a := x.accounts.at(number)
		for ; a.cursor != 0 && n > 0; n-- {
			current := a.cursor
			l := x.listings.at(current)
			a.cursor = l.newer
			switch {
			case a.gone, l.proof != 0 && x.revoked(number, x.keyOf(l)):
				x.removeListing(current)
			case l.online != a.online:
				x.turn(current, l, a.online)
			}
		}
		if a.cursor != 0 {
			return true
		}
		x.unsettled = x.unsettled[1:]
		a.unsettled = false
		if a.gone {
			x.texts.release(a.user)
			x.accounts.release(number)
		}
	}
	return len(x.unsettled) > 0
}

// recount moves a listing between those of connected owners and the others.
func (x *Index) recount(number uint32, l *listing, online bool) {
	d := x.docs.at(l.doc)
	base := *x.baseOf.at(l.doc)
	b := x.bases.at(base)
	was := x.unrank(base)
	x.unlinkBase(l, b.head(l.online))
	l.online = online
	x.linkBase(number, l, b.head(online))
	by := uint32(1)
	if !online {
		by = ^uint32(0) // less one
	}
	x.addOnline(d, base, by)
	x.rank(base, was)
}

func (x *Index) addOnline(d *document, base, by uint32) {
	b := x.bases.at(base)
	before := b.online
	b.online += by
	d.online += by
	if before > 0 == (b.online > 0) {
		return
	}
	var alone [1]uint32
	for _, doc := range x.documents(base, &alone) {
		if b.online > 0 {
			x.reachable.Add(doc)
		} else {
			x.reachable.Remove(doc)
		}
	}
}

// severalDocs marks, in docsOf, the number of a list.
const severalDocs = 1 << 31

// documents returns the documents of a base; alone is for when there is one.
func (x *Index) documents(base uint32, alone *[1]uint32) []uint32 {
	n := *x.docsOf.at(base)
	if n&severalDocs != 0 {
		return *x.docLists.at(n &^ severalDocs)
	}
	if n == 0 {
		return nil
	}
	alone[0] = n
	return alone[:]
}

func (x *Index) linkDocument(doc, base uint32) {
	x.baseOf.reach(doc)
	x.docsOf.reach(base)
	*x.baseOf.at(doc) = base
	switch docs := x.docsOf.at(base); {
	case *docs == 0:
		*docs = doc
	case *docs&severalDocs == 0:
		list := x.docLists.add()
		*x.docLists.at(list) = []uint32{*docs, doc}
		*docs = list | severalDocs
	default:
		list := x.docLists.at(*docs &^ severalDocs)
		*list = append(*list, doc)
	}
	if x.bases.at(base).online > 0 {
		x.reachable.Add(doc)
	}
	x.addToFronts(base)
}

func (x *Index) unlinkDocument(doc, base uint32) {
	x.reachable.Remove(doc)
	defer x.removeFromFronts(doc, base)
	docs := x.docsOf.at(base)
	if *docs&severalDocs == 0 {
		*docs = 0
		return
	}
	number := *docs &^ severalDocs
	list := x.docLists.at(number)
	last := len(*list) - 1
	(*list)[slices.Index(*list, doc)] = (*list)[last]
	*list = (*list)[:last]
	if last == 1 {
		*docs = (*list)[0]
		x.docLists.release(number)
	}
}

// largeAccount is from how many publications on an account has its documents
// in a bitmap: a search for one owner's would take too long over all of them.
const largeAccount = 4096

// addToLarge notes that an account has one more publication, which says what
// doc does.
func (x *Index) addToLarge(owner uint32, a *account, doc uint32) {
	if docs := x.large[owner]; docs != nil {
		docs.Add(doc)
		return
	}
	if a.files <= largeAccount {
		return
	}
	docs := roaring.New()
	for n := a.newest; n != 0; n = x.listings.at(n).older {
		if l := x.listings.at(n); !l.closed {
			docs.Add(l.doc)
		}
	}
	x.large[owner] = docs
}

func (x *Index) removeFromLarge(owner uint32, a *account, doc uint32) {
	if docs := x.large[owner]; docs != nil {
		docs.Remove(doc)
		if a.files == 0 {
			delete(x.large, owner)
		}
	}
}
