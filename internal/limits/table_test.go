package limits

import (
	"testing"

	"pgregory.net/rapid"
)

// TestTableAgainstModel: a table of few keys gives what buckets of tokens give
// that are filled by the clock.
func TestTableAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rate := rapid.IntRange(1, 2000).Draw(rt, "rate")
		m := &model{table: newTable(rate), tokenCost: second / int64(rate), buckets: map[uint64]*modelBucket{}}
		rt.Repeat(map[string]func(*rapid.T){"take": m.take, "wait": m.wait, "": m.check})
	})
}

// A model counts in nanoseconds of refilling: a token costs tokenCost of them.
type model struct {
	table     *table
	tokenCost int64
	now       int64
	buckets   map[uint64]*modelBucket
}

type modelBucket struct {
	level, filled int64 // what is in it, as of when
	first, taken  int64 // when it was first used, and the tokens taken since
}

func (m *model) wait(t *rapid.T) {
	m.now += rapid.Int64Range(0, 2*burstSeconds*second).Draw(t, "wait")
}

func (m *model) take(t *rapid.T) {
	key := rapid.Uint64Range(1, 5).Draw(t, "key")
	b := m.buckets[key]
	if b == nil {
		b = &modelBucket{level: m.depth(), filled: m.now, first: m.now}
		m.buckets[key] = b
	}
	for range rapid.SampledFrom([]int{1, 2, 10, 1000, 20_000}).Draw(t, "times") {
		b.level, b.filled = min(m.depth(), b.level+m.now-b.filled), m.now
		want := b.level >= m.tokenCost
		if want {
			b.level -= m.tokenCost
			b.taken++
		}
		if got := m.table.take(key, m.now); got != want {
			t.Fatalf("take(%d) at %d gives %v, want %v", key, m.now, got, want)
		}
	}
}

func (m *model) depth() int64 { return max(m.tokenCost, burstSeconds*second) }

// check: nobody ever gets more than the burst and what came since.
func (m *model) check(t *rapid.T) {
	for key, b := range m.buckets {
		if most := (m.depth() + m.now - b.first) / m.tokenCost; b.taken > most {
			t.Fatalf("key %d took %d tokens, at most %d were there", key, b.taken, most)
		}
	}
}

// TestMemoryIsBounded: 300,000 addresses leave no more than the bound, and
// the latest of them are still known.
func TestMemoryIsBounded(t *testing.T) {
	table := newTable(1)
	const keys = 300_000
	for key := range uint64(keys) {
		if !table.take(key, 0) {
			t.Fatalf("key %d is refused at its first operation", key)
		}
	}
	if got := table.size(); got > maxKeys {
		t.Errorf("the table has %d keys, more than %d", got, maxKeys)
	}
	for range burstSeconds - 1 {
		table.take(keys-1, 0)
	}
	if table.take(keys-1, 0) {
		t.Error("the latest key was forgotten")
	}
}

// TestFullBucketsMakeRoom: keys that come now and then do not fill the table.
func TestFullBucketsMakeRoom(t *testing.T) {
	table := newTable(1)
	for i := range int64(100_000) {
		table.take(uint64(i), i*second)
	}
	if got, most := table.size(), shardCount; got > most {
		t.Errorf("the table has %d keys, want at most %d", got, most)
	}
}

func (t *table) size() int {
	n := 0
	for i := range t.shards {
		n += len(t.shards[i].indices)
		if len(t.shards[i].buckets)-1 < len(t.shards[i].indices) {
			panic("a key without a bucket")
		}
	}
	return n
}
