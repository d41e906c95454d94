package index

import (
	"slices"

	"lonja"
)

func (x *Index) listing(owner uint32, name lonja.FileName) uint32 {
	text := x.texts.find(string(name))
	if text == 0 {
		return 0
	}
	return x.byFile.find(x.hash(uint64(owner), uint64(text)), func(n uint32) bool {
		l := x.listings.at(n)
		return l.owner == owner && x.docs.at(l.doc).name == text
	})
}

// SetPublication adds a publication of that incarnation of the user's account,
// or tells that it has changed. It reports false if there is no such account;
// while loading, that one may still come.
func (x *Index) SetPublication(user lonja.UserName, incarnation, rev uint64, p lonja.Listing) bool {
	owner, a := x.account(user)
	if a == nil || a.incarnation != incarnation {
		if x.loading {
			x.orphans = append(x.orphans, Orphan{user, incarnation, rev, p})
		}
		return x.loading
	}
	if old := x.listing(owner, p.Name); old != 0 {
		x.removeListing(old)
	}
	if p.Proof != nil && x.revoked(owner, p.Proof.Key) {
		return true // it came on the way
	}
	number := x.listings.add()
	l := x.listings.at(number)
	l.rev, l.owner, l.blank = rev, owner, hasBlank(p.Name)
	l.closed = p.Proof != nil && len(p.Proof.Audience) > 0
	if l.closed {
		l.doc = x.holdClosed(p)
	} else {
		l.doc = x.holdDocument(p)
	}
	x.linkOwner(number, l, a)
	x.byFile.insert(x.hash(uint64(owner), uint64(x.docs.at(l.doc).name)), number)
	if p.Proof != nil {
		x.prove(number, l, a, p.Proof)
	}
	if l.closed {
		x.countClosed(number, l, a.online)
	} else {
		x.count(number, l, a.online, +1)
		x.countBlank(l, +1)
		x.addToLarge(owner, a, l.doc)
	}
	x.notice(Added, number)
	return true
}

// RemovePublication takes a publication out, if it is there.
func (x *Index) RemovePublication(user lonja.UserName, incarnation uint64, name lonja.FileName) {
	owner, a := x.account(user)
	if a == nil || a.incarnation != incarnation {
		return
	}
	if number := x.listing(owner, name); number != 0 {
		x.removeListing(number)
	}
}

func (x *Index) removeListing(number uint32) {
	x.notice(Removed, number)
	l := x.listings.at(number)
	d := x.docs.at(l.doc)
	x.byFile.remove(x.hash(uint64(l.owner), uint64(d.name)), number)
	a := x.accounts.at(l.owner)
	x.unlinkOwner(number, l, a)
	if l.closed {
		x.removeClosed(l, a)
	} else {
		x.removeFromLarge(l.owner, a, l.doc)
		x.count(number, l, l.online, -1)
		x.countBlank(l, -1)
		x.releaseDocument(l.doc)
	}
	x.disprove(number, l, a)
	x.listings.release(number)
}

// Publication returns the user's publication of that name and its revision.
func (x *Index) Publication(user lonja.UserName, name lonja.FileName) (p lonja.Listing, rev uint64, there bool) {
	owner, a := x.account(user)
	if a == nil {
		return p, 0, false
	}
	number := x.listing(owner, name)
	if number == 0 {
		return p, 0, false
	}
	return x.publication(number), x.listings.at(number).rev, true
}

// Listings returns what the user has published, newest first.
func (x *Index) Listings(user lonja.UserName) []lonja.Listing {
	_, a := x.account(user)
	if a == nil {
		return nil
	}
	listings := make([]lonja.Listing, 0, a.files)
	for n := a.newest; n != 0; n = x.listings.at(n).older {
		listings = append(listings, x.publication(n))
	}
	return listings
}

// An Entry is a publication and its revision.
type Entry struct {
	lonja.Listing
	Rev uint64
}

// ListingsPage returns up to n of the user's publications, the oldest first,
// and where to go on: 0 at the beginning and at the end. If what is there has
// been removed, it begins anew.
func (x *Index) ListingsPage(user lonja.UserName, from uint32, n int) (entries []Entry, next uint32) {
	owner, a := x.account(user)
	if a == nil {
		return nil, 0
	}
	if from == 0 || from > x.listings.next || x.listings.at(from).owner != owner {
		from = a.oldest
	}
	for ; from != 0; from = x.listings.at(from).newer {
		if len(entries) == n {
			return entries, from
		}
		entries = append(entries, Entry{x.publication(from), x.listings.at(from).rev})
	}
	return entries, 0
}

func (x *Index) publication(number uint32) lonja.Listing {
	l := x.listings.at(number)
	d := x.docs.at(l.doc)
	return lonja.Listing{
		Name:        lonja.FileName(x.texts.str(d.name)),
		Description: lonja.Description(x.texts.str(d.description)),
		Size:        d.size,
		Proof:       x.proof(l),
	}
}

// Holders returns up to most publications, of connected users, with the base
// name of name, the latest to offer it first.
func (x *Index) Holders(name lonja.FileName, most int) []lonja.Holder {
	number := x.base(name.Base())
	if number == 0 {
		return nil
	}
	b := x.bases.at(number)
	holders := make([]lonja.Holder, 0, min(int(b.online), most))
	for n := b.online1st; n != 0 && len(holders) < most; n = x.listings.at(n).behind {
		l := x.listings.at(n)
		a := x.accounts.at(l.owner)
		if !a.online {
			continue // not settled yet
		}
		holders = append(holders, lonja.Holder{
			User: lonja.UserName(x.texts.str(a.user)), At: a.endpoint(),
			Name: lonja.FileName(x.texts.str(x.docs.at(l.doc).name)),
		})
	}
	return holders
}

// holdDocument returns the document that says what p says, for one more
// listing.
func (x *Index) holdDocument(p lonja.Listing) uint32 {
	number := x.document(p)
	if x.docs.at(number).listings == 0 {
		x.linkDocument(number, x.holdBase(p.Name.Base()))
		x.secure.closedDocs.Remove(number)
	}
	return number
}

// document returns the document that says what p says; a new one has no base.
func (x *Index) document(p lonja.Listing) uint32 {
	name, description := x.texts.hold(string(p.Name)), x.texts.hold(string(p.Description))
	hash := x.hash(uint64(name), uint64(description), uint64(p.Size))
	number := x.byDoc.find(hash, func(n uint32) bool {
		d := x.docs.at(n)
		return d.name == name && d.description == description && d.size == p.Size
	})
	if number != 0 {
		x.texts.release(name)
		x.texts.release(description)
		return number
	}
	number = x.docs.add()
	d := x.docs.at(number)
	d.name, d.description, d.size = name, description, p.Size
	x.byDoc.insert(hash, number)
	if hasBlank(p.Name) {
		x.secure.blankDocs.Add(number)
	}
	if x.loading {
		x.fresh = append(x.fresh, Document{number, p})
	} else {
		x.words.add(number, documentWords(p))
	}
	return number
}

// releaseDocument forgets the document if no listing says it any more.
func (x *Index) releaseDocument(number uint32) {
	d := x.docs.at(number)
	if d.listings > 0 {
		return
	}
	x.unlinkDocument(number, *x.baseOf.at(number))
	if d.closed > 0 {
		x.secure.closedDocs.Add(number)
		return
	}
	x.dropDocument(number)
}

// dropDocument forgets a document that no listing says.
func (x *Index) dropDocument(number uint32) {
	d := x.docs.at(number)
	x.secure.blankDocs.Remove(number)
	said := Document{number, lonja.Listing{
		Name:        lonja.FileName(x.texts.str(d.name)),
		Description: lonja.Description(x.texts.str(d.description)),
	}}
	x.byDoc.remove(x.hash(uint64(d.name), uint64(d.description), uint64(d.size)), number)
	x.releaseBase(*x.baseOf.at(number))
	x.texts.release(d.name)
	x.texts.release(d.description)
	if x.loading {
		x.stale = append(x.stale, said) // its words may not have been added yet
		return
	}
	x.words.remove(number, documentWords(said.listing))
	x.docs.release(number)
}

// documentWords returns what a publication is found by, each once.
func documentWords(p lonja.Listing) []string {
	found := slices.AppendSeq(make([]string, 0, 16), words(string(p.Name)))
	found = slices.AppendSeq(found, words(string(p.Description)))
	if e := extension(p.Name.Base()); e != "" {
		found = append(found, "."+e)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (x *Index) base(name string) uint32 {
	text := x.texts.find(name)
	if text == 0 {
		return 0
	}
	return x.byBase.find(x.hash(uint64(text)), func(n uint32) bool { return x.bases.at(n).name == text })
}

// holdBase returns the base with that name, which is made if need be.
func (x *Index) holdBase(name string) uint32 {
	if number := x.base(name); number != 0 {
		return number
	}
	number := x.bases.add()
	text := x.texts.hold(name)
	b := x.bases.at(number)
	b.name, b.begin = text, lead([]byte(name))
	x.ranks.reach(number)
	x.byBase.insert(x.hash(uint64(text)), number)
	return number
}

// releaseBase forgets a base without listings, closed ones too.
func (x *Index) releaseBase(number uint32) {
	b := x.bases.at(number)
	if b.listings != 0 || b.extra != 0 {
		return
	}
	x.byBase.remove(x.hash(uint64(b.name)), number)
	x.texts.release(b.name)
	x.bases.release(number)
}
