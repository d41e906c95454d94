package oplog

import (
	"hash/maphash"
	"net/netip"
)

// A callKey stands for one call: who sent it, and a hash of all of it. The hash
// takes in the XID, which a retransmission keeps, and the arguments, so that a
// client that never changes its XID is heard nevertheless.
//
// Over UDP a sender is an address and port. Over TCP a call comes again over
// another connection, or over UDP, so the port counts for nothing and is 0.
type callKey struct {
	from netip.AddrPort
	sum  uint64
}

// seed makes hashes that nobody outside can foresee.
var seed = maphash.MakeSeed()

func keyOf(from netip.AddrPort, message []byte) callKey {
	return callKey{from: from, sum: maphash.Bytes(seed, message)}
}

// anyPort is the key of the same call, whichever way it comes.
func (k callKey) anyPort() callKey {
	k.from = netip.AddrPortFrom(k.from.Addr().Unmap(), 0)
	return k
}

// repeats remembers the last calls, up to some number. It is for one goroutine
// at a time.
type repeats struct {
	size  int
	known map[callKey]struct{}
	ring  []callKey // the keys of known; once it is full, the oldest is at next
	next  int
}

func newRepeats(size int) *repeats {
	return &repeats{size: size, known: make(map[callKey]struct{})}
}

func (r *repeats) empty() bool { return len(r.known) == 0 }

func (r *repeats) has(key callKey) bool {
	_, ok := r.known[key]
	return ok
}

// add remembers a call, when it is full in the place of the oldest.
func (r *repeats) add(key callKey) {
	if len(r.ring) < r.size {
		r.ring = append(r.ring, key)
	} else {
		delete(r.known, r.ring[r.next])
		r.ring[r.next] = key
		r.next = (r.next + 1) % r.size
	}
	r.known[key] = struct{}{}
}

// forget forgets them all.
func (r *repeats) forget() {
	if !r.empty() {
		*r = *newRepeats(r.size)
	}
}
