package directory

import "iter"

// An ordered is a map that remembers the order of insertion. Adding, removing
// and looking up take constant time on average; removed entries leave gaps,
// which are closed when they are half of all.
type ordered[K comparable, V any] struct {
	at    map[K]int // where in slots
	slots []slot[K, V]
}

type slot[K comparable, V any] struct {
	key   K
	value V
	live  bool
}

// minGaps keeps small maps from closing gaps all the time.
const minGaps = 16

func newOrdered[K comparable, V any]() *ordered[K, V] {
	return &ordered[K, V]{at: make(map[K]int)}
}

func (o *ordered[K, V]) len() int { return len(o.at) }

// add appends the entry. It reports false, and changes nothing, if key is there.
func (o *ordered[K, V]) add(key K, value V) bool {
	if _, there := o.at[key]; there {
		return false
	}
	o.at[key] = len(o.slots)
	o.slots = append(o.slots, slot[K, V]{key, value, true})
	return true
}

// get returns the value of key, and whether it is there.
func (o *ordered[K, V]) get(key K) (value V, there bool) {
	i, there := o.at[key]
	if there {
		value = o.slots[i].value
	}
	return value, there
}

// remove reports whether key was there.
func (o *ordered[K, V]) remove(key K) bool {
	i, there := o.at[key]
	if !there {
		return false
	}
	delete(o.at, key)
	o.slots[i] = slot[K, V]{}
	if gaps := len(o.slots) - len(o.at); gaps >= minGaps && gaps > len(o.at) {
		o.closeGaps()
	}
	return true
}

func (o *ordered[K, V]) closeGaps() {
	slots := make([]slot[K, V], 0, len(o.at))
	for _, s := range o.slots {
		if s.live {
			o.at[s.key] = len(slots)
			slots = append(slots, s)
		}
	}
	o.slots = slots
}

func (o *ordered[K, V]) oldestFirst() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, s := range o.slots {
			if s.live && !yield(s.key, s.value) {
				return
			}
		}
	}
}

func (o *ordered[K, V]) newestFirst() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for i := len(o.slots) - 1; i >= 0; i-- {
			if s := o.slots[i]; s.live && !yield(s.key, s.value) {
				return
			}
		}
	}
}
