package index

import (
	"hash/maphash"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
)

// What the secure dialect adds is apart from the rest, so that it costs those
// nothing who do not use it. Closed listings, those with an audience, are not
// among what base names and documents count and show: whoever asks does not see
// them unless it is asked for what this user may see.
type secure struct {
	proofs    vec[proof]
	keys      vec[key]
	contents  vec[content]
	audiences vec[audience]
	readers   vec[reader]
	members   vec[member]
	folders   vec[lonja.Folder]
	extras    vec[extra]
	blobs     vec[cell]

	byKey, byContent, byAudience, byReader set

	revoked    map[uint32][]lonja.PublicKey // by account
	reach      map[uint32]*lonja.Reach      // by account, while it is connected
	blankDocs  *roaring.Bitmap              // documents whose names have a blank
	closedDocs *roaring.Bitmap              // documents that only closed listings say
	mixed      *roaring.Bitmap              // bases of which some listings have a blank, and some not
	observer   func(Notice)
}

// A proof is what a signed listing has beside others. There are no pointers in
// it: ten million are one row of bytes.
type proof struct {
	signature lonja.Signature
	date      int64
	content   uint32
	key       uint32
	audience  uint32 // or 0
	folder    uint32 // or 0
	// listings of the same content, and of the same audience, the latest first
	newer, older  uint32
	before, after uint32
}

// A key signed some listings.
type key struct {
	key   lonja.PublicKey
	holds uint32
}

// A content is what some listings offer.
type content struct {
	id     lonja.FileID
	newest uint32 // listing
}

// An extra is what there is of a base beside what everybody sees.
type extra struct {
	closed      uint32 // listings
	closed1st   uint32 // the listing that was the last to come
	blank       uint32 // of the base's listings, those whose names have a blank
	blankOnline uint32
}

func newSecure() secure {
	return secure{
		revoked: make(map[uint32][]lonja.PublicKey), reach: make(map[uint32]*lonja.Reach),
		blankDocs: roaring.New(), closedDocs: roaring.New(), mixed: roaring.New(),
	}
}

// hasBlank reports whether the classic protocol has no place for a name.
func hasBlank(name lonja.FileName) bool { return strings.ContainsAny(string(name), " \t\n\v\f\r") }

func (x *Index) hashBytes(b []byte) uint64 { return maphash.Bytes(x.seed, b) }

// prove keeps the proof of a listing.
func (x *Index) prove(number uint32, l *listing, a *account, p *lonja.Proof) {
	s := &x.secure
	l.proof = s.proofs.add()
	kept := s.proofs.at(l.proof)
	kept.signature, kept.date = p.Signature, p.Date
	kept.key, kept.content = x.holdKey(p.Key), x.holdContent(p.File)
	x.linkContent(number, l, kept)
	if p.Folder != nil {
		kept.folder = s.folders.add()
		*s.folders.at(kept.folder) = *p.Folder
	}
	if len(p.Audience) > 0 {
		kept.audience = x.holdAudience(a.user, p.Audience)
		x.linkAudience(number, kept)
	}
	x.memberOf(a).digest.Add(p.Signature)
}

// disprove forgets what prove has kept, if anything.
func (x *Index) disprove(number uint32, l *listing, a *account) {
	if l.proof == 0 {
		return
	}
	s := &x.secure
	kept := s.proofs.at(l.proof)
	if a.member != 0 {
		s.members.at(a.member).digest.Remove(kept.signature)
	}
	x.unlinkContent(kept)
	if kept.audience != 0 {
		x.unlinkAudience(kept)
	}
	if kept.folder != 0 {
		s.folders.release(kept.folder)
	}
	x.releaseKey(kept.key)
	s.proofs.release(l.proof)
}

// proof returns the proof of a listing, or nil.
func (x *Index) proof(l *listing) *lonja.Proof {
	if l.proof == 0 {
		return nil
	}
	kept := x.secure.proofs.at(l.proof)
	p := &lonja.Proof{
		File: x.secure.contents.at(kept.content).id, Date: kept.date, Audience: x.audienceNames(kept.audience),
		Key: x.secure.keys.at(kept.key).key, Signature: kept.signature,
	}
	if kept.folder != 0 {
		folder := *x.secure.folders.at(kept.folder)
		p.Folder = &folder
	}
	return p
}

func (x *Index) keyOf(l *listing) lonja.PublicKey {
	return x.secure.keys.at(x.secure.proofs.at(l.proof).key).key
}

func (x *Index) holdKey(k lonja.PublicKey) uint32 {
	s, hash := &x.secure, x.hashBytes(k[:])
	number := s.byKey.find(hash, func(n uint32) bool { return s.keys.at(n).key == k })
	if number == 0 {
		number = s.keys.add()
		s.keys.at(number).key = k
		s.byKey.insert(hash, number)
	}
	s.keys.at(number).holds++
	return number
}

func (x *Index) releaseKey(number uint32) {
	s := &x.secure
	k := s.keys.at(number)
	if k.holds--; k.holds == 0 {
		s.byKey.remove(x.hashBytes(k.key[:]), number)
		s.keys.release(number)
	}
}

func (x *Index) content(id lonja.FileID) uint32 {
	s := &x.secure
	return s.byContent.find(x.hashBytes(id[:]), func(n uint32) bool { return s.contents.at(n).id == id })
}

func (x *Index) holdContent(id lonja.FileID) uint32 {
	number := x.content(id)
	if number == 0 {
		s := &x.secure
		number = s.contents.add()
		s.contents.at(number).id = id
		s.byContent.insert(x.hashBytes(id[:]), number)
	}
	return number
}

// linkContent puts a listing among those of its content: at the head, unless it
// came late, as some do while loading.
func (x *Index) linkContent(number uint32, l *listing, p *proof) {
	s := &x.secure
	head := s.contents.at(p.content)
	for p.older = head.newest; p.older != 0 && x.listings.at(p.older).rev > l.rev; p.older = x.proofOf(p.older).older {
		p.newer = p.older
	}
	if p.older != 0 {
		x.proofOf(p.older).newer = number
	}
	if p.newer != 0 {
		x.proofOf(p.newer).older = number
	} else {
		head.newest = number
	}
}

func (x *Index) proofOf(listing uint32) *proof {
	return x.secure.proofs.at(x.listings.at(listing).proof)
}

func (x *Index) unlinkContent(p *proof) {
	s := &x.secure
	c := s.contents.at(p.content)
	if p.older != 0 {
		x.proofOf(p.older).newer = p.newer
	}
	if p.newer != 0 {
		x.proofOf(p.newer).older = p.older
	} else {
		c.newest = p.older
	}
	if c.newest == 0 {
		s.byContent.remove(x.hashBytes(c.id[:]), p.content)
		s.contents.release(p.content)
	}
}

// A NoticeKind says what has become of a listing.
type NoticeKind uint8

// What an observer is told.
const (
	Added   NoticeKind = iota
	Removed            // it is about to be
	Turned             // its owner has connected, or left
)

// A Notice tells an observer of one listing. It is good during the call.
type Notice struct {
	Kind   NoticeKind
	x      *Index
	number uint32
}

// Observe has f told of each listing that comes, goes, or whose owner does. f
// may read the index and not change it; nil ends it.
func (x *Index) Observe(f func(Notice)) { x.secure.observer = f }

func (x *Index) notice(kind NoticeKind, number uint32) {
	if x.secure.observer != nil {
		x.secure.observer(Notice{kind, x, number})
	}
}

// Publication returns the listing and whose it is.
func (n Notice) Publication() lonja.Publication {
	return lonja.Publication{Owner: n.Owner(), Listing: n.x.publication(n.number)}
}

// Owner returns whose listing it is.
func (n Notice) Owner() lonja.UserName {
	return lonja.UserName(n.x.texts.str(n.x.accounts.at(n.x.listings.at(n.number).owner).user))
}

// Rev returns the listing's revision, and the incarnation of its owner.
func (n Notice) Rev() (rev, incarnation uint64) {
	l := n.x.listings.at(n.number)
	return l.rev, n.x.accounts.at(l.owner).incarnation
}

// Online reports whether the owner is connected, or, of one that is removed,
// was.
func (n Notice) Online() bool { return n.x.listings.at(n.number).online }

// Forbidden reports whether the owner has revoked the key that signed the listing.
func (n Notice) Forbidden() bool {
	l := n.x.listings.at(n.number)
	return l.proof != 0 && n.x.revoked(l.owner, n.x.keyOf(l))
}

// OfLiving reports whether the owner still has an account.
func (n Notice) OfLiving() bool { return !n.x.accounts.at(n.x.listings.at(n.number).owner).gone }

// File returns which content a listing offers, or zero.
func (n Notice) File() lonja.FileID {
	l := n.x.listings.at(n.number)
	if l.proof == 0 {
		return lonja.FileID{}
	}
	return n.x.secure.contents.at(n.x.proofOf(n.number).content).id
}
