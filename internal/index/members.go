package index

import (
	"slices"

	"lonja"
)

// A member is what is known of an account that has to do with keys.
type member struct {
	rev    uint64 // of the record of the keys, if it is one of its own
	keys   uint32 // the first cell of them, or 0
	size   uint32 // in bytes
	digest lonja.ContentDigest
}

// cellSize is what a cell holds of something longer.
const cellSize = 60

// A cell is a part of some bytes: a few hundred of them cost no object of
// their own.
type cell struct {
	next uint32
	data [cellSize]byte
}

// keep copies b into cells and returns the first one.
func (s *secure) keep(b []byte) (first uint32) {
	parts := slices.Collect(slices.Chunk(b, cellSize))
	for _, part := range slices.Backward(parts) {
		number := s.blobs.add()
		c := s.blobs.at(number)
		c.next = first
		copy(c.data[:], part)
		first = number
	}
	return first
}

func (s *secure) bytes(first, size uint32) []byte {
	b := make([]byte, 0, size)
	for n := first; n != 0; n = s.blobs.at(n).next {
		b = append(b, s.blobs.at(n).data[:min(cellSize, int(size)-len(b))]...)
	}
	return b
}

func (s *secure) drop(first uint32) {
	for first != 0 {
		next := s.blobs.at(first).next
		s.blobs.release(first)
		first = next
	}
}

// memberOf returns what is known of an account beside the rest, which is made
// if need be.
func (x *Index) memberOf(a *account) *member {
	if a.member == 0 {
		a.member = x.secure.members.add()
	}
	return x.secure.members.at(a.member)
}

func (x *Index) releaseMember(number uint32, a *account) {
	delete(x.secure.revoked, number)
	if a.member == 0 {
		return
	}
	x.secure.drop(x.secure.members.at(a.member).keys)
	x.secure.members.release(a.member)
	a.member = 0
}

// bound reports whether an account is bound to keys.
func (x *Index) bound(a *account) bool {
	return a.member != 0 && x.secure.members.at(a.member).size > 0
}

func (x *Index) keysRev(a *account) uint64 {
	if a.member == 0 {
		return 0
	}
	return x.secure.members.at(a.member).rev
}

// SetKeys tells which keys that incarnation of the user's account is bound to,
// in a form that only the caller reads, which are those that are revoked, and
// the revision of their record, or 0 if they are in the account's own. What a
// revoked key signed is taken out, in steps. It reports false if there is no
// such account.
func (x *Index) SetKeys(user lonja.UserName, incarnation, rev uint64, keys []byte, revoked []lonja.PublicKey) bool {
	number, a := x.account(user)
	if a == nil || a.incarnation != incarnation {
		return false
	}
	m := x.memberOf(a)
	x.secure.drop(m.keys)
	m.rev, m.keys, m.size = rev, x.secure.keep(keys), uint32(len(keys))
	if len(revoked) > 0 {
		x.secure.revoked[number] = slices.Clone(revoked)
		x.settleLater(number, a)
	}
	return true
}

// Keys returns what SetKeys was told last, which is the caller's; nil for an
// account that is bound to none.
func (x *Index) Keys(user lonja.UserName) []byte {
	_, a := x.account(user)
	if a == nil || !x.bound(a) {
		return nil
	}
	m := x.secure.members.at(a.member)
	return x.secure.bytes(m.keys, m.size)
}

// Revoked reports whether a key of that incarnation of the user's account is
// revoked.
func (x *Index) Revoked(user lonja.UserName, incarnation uint64, k lonja.PublicKey) bool {
	number, a := x.account(user)
	return a != nil && a.incarnation == incarnation && x.revoked(number, k)
}

func (x *Index) revoked(account uint32, k lonja.PublicKey) bool {
	return slices.Contains(x.secure.revoked[account], k)
}

// Digest returns the digest of all signed listings of a user.
func (x *Index) Digest(user lonja.UserName) lonja.ContentDigest {
	_, a := x.account(user)
	if a == nil || a.member == 0 {
		return lonja.ContentDigest{}
	}
	return x.secure.members.at(a.member).digest
}

// ConnectReach tells that the user, who has an account, is connected with a node
// that is reached so; nil if it speaks the classic protocol.
func (x *Index) ConnectReach(user lonja.UserName, at lonja.Endpoint, reach *lonja.Reach) {
	x.Connect(user, at)
	number, _ := x.account(user)
	if reach == nil {
		delete(x.secure.reach, number)
		return
	}
	x.secure.reach[number] = reach
}
