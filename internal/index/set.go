package index

import "iter"

// shardBits splits a set, so that growing one of millions moves little at once.
const (
	shardBits = 6
	minSlots  = 8
)

// A set finds numbers by the hash of what they stand for. It holds no keys: the
// caller compares. It costs 8 bytes a slot, of which up to three quarters are
// full, and no pointers.
type set struct {
	shards [1 << shardBits]shard
}

// A shard is a hash table with linear probing. A slot has the hash's upper
// half, then the number; an empty one is 0.
type shard struct {
	slots []uint64
	count int
}

func (s *set) shard(hash uint64) *shard { return &s.shards[hash>>(64-shardBits)] }

// place is where a slot's probing begins.
func place(slot uint64, size int) int { return int(slot>>32) & (size - 1) }

func slotOf(hash uint64, number uint32) uint64 {
	// The topmost bits choose the shard, so the ones below make the slot.
	return hash<<shardBits>>32<<32 | uint64(number)
}

// find returns the number with that hash for which same holds, or 0.
func (s *set) find(hash uint64, same func(number uint32) bool) uint32 {
	t := s.shard(hash)
	if t.count == 0 {
		return 0
	}
	want := slotOf(hash, 0)
	for i := place(want, len(t.slots)); t.slots[i] != 0; i = (i + 1) & (len(t.slots) - 1) {
		if slot := t.slots[i]; slot>>32 == want>>32 && same(uint32(slot)) {
			return uint32(slot)
		}
	}
	return 0
}

// all returns all numbers, in no order.
func (s *set) all() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i := range s.shards {
			for _, slot := range s.shards[i].slots {
				if slot != 0 && !yield(uint32(slot)) {
					return
				}
			}
		}
	}
}

// insert adds a number that is not there.
func (s *set) insert(hash uint64, number uint32) {
	t := s.shard(hash)
	if 4*(t.count+1) > 3*len(t.slots) {
		t.grow()
	}
	t.put(slotOf(hash, number))
	t.count++
}

func (t *shard) put(slot uint64) {
	i := place(slot, len(t.slots))
	for t.slots[i] != 0 {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i] = slot
}

func (t *shard) grow() {
	old := t.slots
	t.slots = make([]uint64, max(minSlots, 2*len(old)))
	// New memory that is read before it is written costs two page faults instead
	// of one, and an interrupt of all processors.
	const wordsOfPage = 4096 / 8
	for i := 0; i < len(t.slots); i += wordsOfPage {
		t.slots[i] = 0
	}
	for _, slot := range old {
		if slot != 0 {
			t.put(slot)
		}
	}
}

// remove takes out a number that is there. What follows it moves up, so that
// no search stops early (Knuth, volume 3, 6.4, algorithm R).
func (s *set) remove(hash uint64, number uint32) {
	t := s.shard(hash)
	mask := len(t.slots) - 1
	gone := slotOf(hash, number)
	i := place(gone, len(t.slots))
	for t.slots[i] != gone {
		i = (i + 1) & mask
	}
	t.count--
	for j := i; ; {
		t.slots[i] = 0
		for {
			j = (j + 1) & mask
			if t.slots[j] == 0 {
				return
			}
			// The slot at j may move to i unless its place is after i.
			if (j-place(t.slots[j], len(t.slots)))&mask >= (j-i)&mask {
				break
			}
		}
		t.slots[i] = t.slots[j]
		i = j
	}
}
