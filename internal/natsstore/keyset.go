package natsstore

import (
	"hash/maphash"
	"math/bits"

	"lonja/internal/store"
)

// A keySet is a Bloom filter: it may have keys that were not added, one in
// some hundreds, for 2 to 4 bytes a key.
type keySet struct {
	seed maphash.Seed
	bits []uint64
}

// newKeySet returns a set for about n keys.
func newKeySet(n uint64) *keySet {
	const bitsPerKey = 16
	words := uint64(1) << bits.Len64(max(n, 1<<12)*bitsPerKey/64)
	return &keySet{maphash.MakeSeed(), make([]uint64, words)}
}

// places returns the bits that stand for key.
func (k *keySet) places(key store.Key) [3]uint64 {
	h := maphash.String(k.seed, string(key))
	return [3]uint64{h, h>>21 | h<<43, h>>42 | h<<22}
}

func (k *keySet) add(key store.Key) {
	for _, p := range k.places(key) {
		k.bits[p/64%uint64(len(k.bits))] |= 1 << (p % 64)
	}
}

func (k *keySet) has(key store.Key) bool {
	for _, p := range k.places(key) {
		if k.bits[p/64%uint64(len(k.bits))]&(1<<(p%64)) == 0 {
			return false
		}
	}
	return true
}
