package limits

import "sync"

// A table has a token bucket for each key. A bucket is one number, the moment
// at which it will be full again (the generic cell rate algorithm): each token
// taken moves that moment on by the time in which a token comes back, and it
// may not lie further ahead than it takes to fill an empty bucket.
//
// A bucket that is full is the same as none. So the one that was used longest
// ago makes room for a new key, if it is full; if it is not, the table grows,
// up to maxKeys. Then the one that was used longest ago is forgotten, full or
// not: somebody with that many addresses gains a burst by it, which is no more
// than another address would give; nobody is ever refused for want of room.
type table struct {
	refill int64 // nanoseconds in which a token comes back
	depth  int64 // nanoseconds in which an empty bucket fills
	shards [shardCount]shard
}

const (
	shardCount = 64
	// maxKeys bounds a table to about 4 MiB.
	maxKeys      = 1 << 16
	keysPerShard = maxKeys / shardCount
)

type shard struct {
	mu      sync.Mutex
	indices map[uint64]int32 // from key to its place in buckets
	buckets []bucket         // the first is the head of the ring, and no bucket
}

// A bucket is also a link of a ring in order of use, the latest first.
type bucket struct {
	key        uint64
	full       int64 // when it is full again
	prev, next int32
}

const second = 1_000_000_000 // in nanoseconds

// newTable returns a table of buckets that give rate tokens a second, or nil
// for no limit.
func newTable(rate int) *table {
	if rate <= 0 {
		return nil
	}
	refill := max(1, second/int64(rate))
	t := &table{refill: refill, depth: max(refill, burstSeconds*second)}
	for i := range t.shards {
		t.shards[i].indices = make(map[uint64]int32)
		t.shards[i].buckets = make([]bucket, 1)
	}
	return t
}

// take takes a token of the key's bucket, at a time in nanoseconds. It is false
// if there is none.
func (t *table) take(key uint64, now int64) bool {
	s := &t.shards[key%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.use(key, now)
	full := max(b.full, now) + t.refill
	if full-now > t.depth {
		return false
	}
	b.full = full
	return true
}

// use returns the key's bucket, a full one if it has none, as the one used
// latest.
func (s *shard) use(key uint64, now int64) *bucket {
	i, known := s.indices[key]
	if known {
		s.unlink(i)
	} else {
		i = s.place(now)
		s.buckets[i] = bucket{key: key, full: now}
		s.indices[key] = i
	}
	s.linkFirst(i)
	return &s.buckets[i]
}

// place returns where a new bucket can be put.
func (s *shard) place(now int64) int32 {
	last := s.buckets[0].prev
	if last == 0 || s.buckets[last].full > now && len(s.buckets) <= keysPerShard {
		s.buckets = append(s.buckets, bucket{})
		return int32(len(s.buckets) - 1)
	}
	s.unlink(last)
	delete(s.indices, s.buckets[last].key)
	return last
}

func (s *shard) unlink(i int32) {
	b := s.buckets[i]
	s.buckets[b.prev].next = b.next
	s.buckets[b.next].prev = b.prev
}

func (s *shard) linkFirst(i int32) {
	first := s.buckets[0].next
	s.buckets[i].prev, s.buckets[i].next = 0, first
	s.buckets[0].next = i
	s.buckets[first].prev = i
}
