package index

import (
	"encoding/binary"
	"slices"

	"lonja"
)

// An audience is the users whom an owner has let some listings be seen by. All
// listings of one owner for the same users share one.
type audience struct {
	first    uint32 // reader
	newest   uint32 // listing
	owner    uint32 // text
	listings uint32
	hash     uint64
}

// A reader is one of an audience. The owner is the last of them, unless it is
// among those it has named.
type reader struct {
	user     uint32 // text
	audience uint32
	next     uint32 // of the audience
	before   uint32 // of the same user, in other audiences
	behind   uint32
	unnamed  bool // the owner, who is one without having said so
}

// holdAudience returns the audience of those users of that owner, for one more
// listing.
func (x *Index) holdAudience(owner uint32, users []lonja.UserName) uint32 {
	s := &x.secure
	texts := make([]uint32, 0, len(users)+1)
	named := false
	for _, u := range users {
		text := x.texts.hold(string(u))
		named = named || text == owner
		texts = append(texts, text)
	}
	b := binary.LittleEndian.AppendUint32(nil, owner)
	for _, text := range texts {
		b = binary.LittleEndian.AppendUint32(b, text)
	}
	hash := x.hashBytes(b)
	number := s.byAudience.find(hash, func(n uint32) bool { return s.audiences.at(n).owner == owner && x.isAudience(n, texts) })
	if number != 0 {
		for _, text := range texts {
			x.texts.release(text)
		}
		s.audiences.at(number).listings++
		return number
	}
	number = s.audiences.add()
	if !named {
		texts = append(texts, x.texts.hold(x.texts.str(owner)))
	}
	a := s.audiences.at(number)
	a.owner, a.hash, a.listings = owner, hash, 1
	last := &a.first
	for i, text := range texts {
		*last = x.addReader(number, text, i == len(users))
		last = &s.readers.at(*last).next
	}
	s.byAudience.insert(hash, number)
	return number
}

// isAudience reports whether those users are the ones who were named.
func (x *Index) isAudience(number uint32, texts []uint32) bool {
	i := 0
	for n := x.secure.audiences.at(number).first; n != 0; n = x.secure.readers.at(n).next {
		r := x.secure.readers.at(n)
		if r.unnamed {
			continue
		}
		if i == len(texts) || r.user != texts[i] {
			return false
		}
		i++
	}
	return i == len(texts)
}

// firstReader returns the first of the readers that a user is, or 0.
func (x *Index) firstReader(user uint32) uint32 {
	return x.secure.byReader.find(x.hash(uint64(user)), func(n uint32) bool { return x.secure.readers.at(n).user == user })
}

func (x *Index) addReader(audience, user uint32, unnamed bool) uint32 {
	s := &x.secure
	first := x.firstReader(user)
	number := s.readers.add()
	*s.readers.at(number) = reader{user: user, audience: audience, behind: first, unnamed: unnamed}
	if first != 0 {
		s.readers.at(first).before = number
		s.byReader.remove(x.hash(uint64(user)), first)
	}
	s.byReader.insert(x.hash(uint64(user)), number)
	return number
}

func (x *Index) removeReader(number uint32) {
	s := &x.secure
	r := *s.readers.at(number)
	hash := x.hash(uint64(r.user))
	if r.behind != 0 {
		s.readers.at(r.behind).before = r.before
	}
	if r.before != 0 {
		s.readers.at(r.before).behind = r.behind
	} else {
		s.byReader.remove(hash, number)
		if r.behind != 0 {
			s.byReader.insert(hash, r.behind)
		}
	}
	s.readers.release(number)
	x.texts.release(r.user)
}

// linkAudience puts a listing at the head of those of its audience.
func (x *Index) linkAudience(number uint32, p *proof) {
	a := x.secure.audiences.at(p.audience)
	p.after = a.newest
	if p.after != 0 {
		x.proofOf(p.after).before = number
	}
	a.newest = number
}

func (x *Index) unlinkAudience(p *proof) {
	s := &x.secure
	a := s.audiences.at(p.audience)
	if p.after != 0 {
		x.proofOf(p.after).before = p.before
	}
	if p.before != 0 {
		x.proofOf(p.before).after = p.after
	} else {
		a.newest = p.after
	}
	if a.listings--; a.listings > 0 {
		return
	}
	s.byAudience.remove(a.hash, p.audience)
	for n := a.first; n != 0; {
		next := s.readers.at(n).next
		x.removeReader(n)
		n = next
	}
	s.audiences.release(p.audience)
}

// audienceNames returns the users who were named, nil for no audience.
func (x *Index) audienceNames(number uint32) (names []lonja.UserName) {
	if number == 0 {
		return nil
	}
	for n := x.secure.audiences.at(number).first; n != 0; n = x.secure.readers.at(n).next {
		if r := x.secure.readers.at(n); !r.unnamed {
			names = append(names, lonja.UserName(x.texts.str(r.user)))
		}
	}
	return names
}

// A Viewer is somebody who asks, and may not know of everything. The zero
// Viewer is one of the classic dialect.
type Viewer struct {
	member  bool
	user    uint32 // text, or 0
	account uint32
	since   uint64 // the revision of the account
}

// Everybody is a Viewer who sees what all members may know of.
var Everybody = Viewer{member: true}

// Viewer returns what a user is as one: a member if its account is bound to
// keys. It is good until the index changes.
func (x *Index) Viewer(user lonja.UserName) Viewer {
	number, a := x.account(user)
	if a == nil {
		return Viewer{}
	}
	return x.viewer(number, a)
}

func (x *Index) viewer(number uint32, a *account) Viewer {
	if !x.bound(a) {
		return Viewer{}
	}
	return Viewer{true, a.user, number, a.rev}
}

// isMeant reports whether a closed listing whose audience v is named in is for
// v, and not for somebody who had the name before: whoever had it when the
// listing came was meant. To its owner it always is.
func isMeant(v Viewer, l *listing) bool { return l.owner == v.account || l.rev > v.since }

// sees reports whether v may know of a listing.
func (x *Index) sees(v Viewer, l *listing) bool {
	switch {
	case !v.member:
		return !l.closed && !l.blank
	case !l.closed:
		return true
	}
	if !isMeant(v, l) {
		return false
	}
	number := x.secure.proofs.at(l.proof).audience
	for n := x.secure.audiences.at(number).first; n != 0; n = x.secure.readers.at(n).next {
		if x.secure.readers.at(n).user == v.user {
			return true
		}
	}
	return false
}

// closedFor calls tell with each closed listing that v may know of.
func (x *Index) closedFor(v Viewer, tell func(number uint32)) {
	if !v.member || v.user == 0 {
		return
	}
	for r := x.firstReader(v.user); r != 0; r = x.secure.readers.at(r).behind {
		for n := x.secure.audiences.at(x.secure.readers.at(r).audience).newest; n != 0; n = x.proofOf(n).after {
			if isMeant(v, x.listings.at(n)) {
				tell(n)
			}
		}
	}
}

// MayKnow reports whether the user of an account may know of a publication of
// that revision: it is what Viewer decides, for one that is in no index any more.
func MayKnow(a Account, p *lonja.Publication, rev uint64) bool {
	closed := p.Proof != nil && len(p.Proof.Audience) > 0
	switch {
	case !a.Bound:
		return !closed && !hasBlank(p.Name)
	case !closed:
		return true
	}
	return rev > a.Rev && (a.User == p.Owner || slices.Contains(p.Proof.Audience, a.User))
}
