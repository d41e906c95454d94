package index

import "lonja"

// holdClosed returns the document that says what p says, for one more closed
// listing. Its words lead to it, and nothing else does.
func (x *Index) holdClosed(p lonja.Listing) uint32 {
	number := x.document(p)
	d := x.docs.at(number)
	if d.listings == 0 && d.closed == 0 {
		base := x.holdBase(p.Name.Base())
		x.baseOf.reach(number)
		x.docsOf.reach(base)
		*x.baseOf.at(number) = base
		x.secure.closedDocs.Add(number)
	}
	d.closed++
	return number
}

// extraOf returns what a base has beside what everybody sees, which is made if
// need be.
func (x *Index) extraOf(base uint32) *extra {
	b := x.bases.at(base)
	if b.extra == 0 {
		b.extra = x.secure.extras.add()
	}
	return x.secure.extras.at(b.extra)
}

// trim forgets an extra that says nothing.
func (x *Index) trim(base uint32) {
	b := x.bases.at(base)
	if e := x.secure.extras.at(b.extra); e.closed == 0 && e.blank == 0 {
		x.secure.extras.release(b.extra)
		b.extra = 0
	}
}

// countClosed puts a closed listing among those of its base.
func (x *Index) countClosed(number uint32, l *listing, online bool) {
	e := x.extraOf(*x.baseOf.at(l.doc))
	e.closed++
	l.online = online
	x.linkBase(number, l, &e.closed1st)
}

// removeClosed takes a closed listing out of its base and its document.
func (x *Index) removeClosed(l *listing, a *account) {
	base, d := *x.baseOf.at(l.doc), x.docs.at(l.doc)
	e := x.extraOf(base)
	x.unlinkBase(l, &e.closed1st)
	e.closed--
	x.trim(base)
	if a.files == 0 {
		delete(x.large, l.owner)
	}
	if d.closed--; d.closed == 0 && d.listings == 0 {
		x.secure.closedDocs.Remove(l.doc)
		x.dropDocument(l.doc)
	}
}

// countBlank counts a listing that count has counted, if the classic protocol
// has no place for its name.
func (x *Index) countBlank(l *listing, by int) {
	base := *x.baseOf.at(l.doc)
	if l.blank {
		e := x.extraOf(base)
		e.blank += uint32(by)
		if l.online {
			e.blankOnline += uint32(by)
		}
	}
	b := x.bases.at(base)
	if b.extra == 0 {
		return
	}
	if e := x.secure.extras.at(b.extra); e.blank > 0 && e.blank < b.listings {
		x.secure.mixed.Add(base)
	} else {
		x.secure.mixed.Remove(base)
	}
	x.trim(base)
}

// turn counts a listing as one whose owner has connected, or left.
func (x *Index) turn(number uint32, l *listing, online bool) {
	if l.closed {
		l.online = online
	} else {
		x.recount(number, l, online)
	}
	if l.blank && !l.closed {
		e := x.extraOf(*x.baseOf.at(l.doc))
		if online {
			e.blankOnline++
		} else {
			e.blankOnline--
		}
	}
	x.notice(Turned, number)
}
