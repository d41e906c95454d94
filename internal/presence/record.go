package presence

import (
	"cmp"

	"lonja"
)

// A Stamp says when a user connected or disconnected: later ones are larger.
// It names that connection as long as it lasts. Its low stampTag bits come from
// the node that made it, so that two of one microsecond seldom are the same.
type Stamp uint64

// Micros returns the time of the stamp, in microseconds since 1970.
func (s Stamp) Micros() uint64 { return uint64(s >> stampTag) }

const (
	stampTag = 12
	// maxStamp is the largest that is taken from others: room is left for all
	// that come after it.
	maxStamp Stamp = 1<<64 - 1<<56
)

// flags of a record. The first ones go over the wire.
type flags uint8

const (
	online  flags = 1 << iota // a lease; else the end of one
	expired                   // the end came by silence, not by an operation
	adopted                   // taken over from a node that seemed dead
	v4                        // on the wire: an IPv4 address follows
	v6                        // on the wire: an IPv6 address follows
	used                      // here: the slot is in use
	dirty                     // here: the next delta carries it
	session                   // on the wire: the terms of a session follow

	wireState = online | expired | adopted
)

// A record is the latest that is known of a user. At a million of them each
// byte counts: nodes are indexes into Table.nodes, times are ticks of the
// wheel.
type record struct {
	user   lonja.UserName
	at     lonja.Endpoint // of a lease
	terms  *Session       // of a lease that has some; never changed
	stamp  Stamp
	epoch  uint32
	due    uint32 // when a lease of ours ends, or an end is forgotten; 0: never
	queued uint32 // the tick at which the wheel looks at the slot; 0: not at all
	node   uint16 // the holder
	flags  flags
	round  uint8 // of the holder's pages that mentioned it last
}

// An order is what decides which of two records of a user counts.
type order struct {
	stamp Stamp
	epoch uint32
	node  uint64
	ended bool
}

func (o order) compare(p order) int {
	return cmp.Or(
		cmp.Compare(o.stamp, p.stamp),
		cmp.Compare(o.epoch, p.epoch),
		cmp.Compare(o.node, p.node),
		cmp.Compare(number(o.ended), number(p.ended)),
	)
}

func number(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// hashUser is FNV-1a: every node must come to the same value.
func hashUser[T ~string | ~[]byte](user T) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(user) {
		h = (h ^ uint64(user[i])) * 1099511628211
	}
	return h
}

// mix spreads each bit of x over all of them (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// digest is the record's part in its holder's: the sum of them all does not
// depend on their order.
func (r *record) digest() uint64 {
	return mix(hashUser(r.user) ^ mix(uint64(r.stamp)^mix(uint64(r.epoch))))
}

const chunkSize = 1 << 10

// A slab holds the records in slots whose numbers stay: a walk over them can
// go on where it stopped, and comes by in the same order on each run, as a map
// does not. Chunks keep it from being copied, and from twice its size, as it
// grows.
type slab struct {
	chunks [][]record
	free   []uint32
	size   uint32 // slots in use or free
	byUser map[lonja.UserName]uint32
}

func (s *slab) at(slot uint32) *record { return &s.chunks[slot/chunkSize][slot%chunkSize] }

// add makes an empty record for a user who has none.
func (s *slab) add(user lonja.UserName) uint32 {
	var slot uint32
	if n := len(s.free); n > 0 {
		slot, s.free = s.free[n-1], s.free[:n-1]
	} else {
		slot = s.size
		if slot%chunkSize == 0 {
			s.chunks = append(s.chunks, make([]record, chunkSize))
		}
		s.size++
	}
	r := s.at(slot)
	*r = record{user: user, flags: used | r.flags&dirty, queued: r.queued}
	s.byUser[user] = slot
	return slot
}

// remove forgets a record. What else refers to its slot, the wheel and the
// list of dirty ones, goes on doing so and finds it unused, or used again.
func (s *slab) remove(slot uint32) {
	r := s.at(slot)
	delete(s.byUser, r.user)
	*r = record{flags: r.flags & dirty, queued: r.queued}
	s.free = append(s.free, slot)
}
