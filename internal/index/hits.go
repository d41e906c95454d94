package index

import (
	"container/heap"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"lonja"
)

// A hit is a base of which a publication is looked for: listing, or else one
// that says what doc does.
type hit struct {
	bound
	base, doc, listing uint32
}

// Hits keeps the best bases that were found. One more than a page holds tells
// that there is another page.
type hits struct {
	x     *Index
	view  *view  // how the viewer sees bases otherwise than all do, or nil
	after *bound // better ones were on earlier pages; nil: there are none
	most  int
	worst []hit // of a bound only the rank is set, until known asks
}

// full reports whether a base has to be better than another to be kept.
func (h *hits) full() bool { return len(h.worst) == h.most }

// mayKeep reports whether add might keep a base of that rank.
func (h *hits) mayKeep(rank uint64) bool {
	return (h.after == nil || rank >= h.after.rank) && (!h.full() || rank <= h.worst[0].rank)
}

// add keeps the hit if it is among the best. A base counts once.
func (h *hits) add(new hit) {
	if s, otherwise := h.view.standing(h.x, new.base); otherwise {
		h.addSeen(new, s)
		return
	}
	new.rank = *h.x.ranks.at(new.base)
	if !h.mayKeep(new.rank) ||
		h.after != nil && h.x.compareBase(new.base, h.after) <= 0 ||
		h.full() && new.rank == h.worst[0].rank && h.x.compareBase(new.base, h.x.known(&h.worst[0])) >= 0 ||
		slices.ContainsFunc(h.worst, func(o hit) bool { return o.base == new.base }) {
		return
	}
	h.put(new)
}

func (h *hits) put(new hit) {
	if !h.full() {
		heap.Push(h, new)
		return
	}
	h.worst[0] = new
	heap.Fix(h, 0)
}

// known returns the standing of a hit, of which add has noted the rank only:
// the rest is elsewhere in memory, and most hits are replaced by better ones
// before anybody asks.
func (x *Index) known(h *hit) *bound {
	if h.name == nil {
		h.bound = *newBound(x.standing(h.base))
	}
	return &h.bound
}

// sorted returns the hits, the best first.
func (h *hits) sorted() []hit {
	for i := range h.worst {
		h.x.known(&h.worst[i])
	}
	slices.SortFunc(h.worst, func(a, b hit) int { return a.compare(&b.standing) })
	return h.worst
}

// Hits are a heap with the one to show last on top.
func (h *hits) Len() int { return len(h.worst) }

// Less implements heap.Interface.
func (h *hits) Less(i, j int) bool {
	a, b := &h.worst[i], &h.worst[j]
	if a.rank != b.rank {
		return a.rank > b.rank
	}
	return h.x.known(a).compare(&h.x.known(b).standing) > 0
}

// Swap implements heap.Interface.
func (h *hits) Swap(i, j int) { h.worst[i], h.worst[j] = h.worst[j], h.worst[i] }

// Push implements heap.Interface.
func (h *hits) Push(v any) { h.worst = append(h.worst, v.(hit)) }

// Pop implements heap.Interface.
func (h *hits) Pop() any {
	last := len(h.worst) - 1
	v := h.worst[last]
	h.worst = h.worst[:last]
	return v
}

// A cursor is the standing of the last base of a page: the counts as uvarints,
// then the name.
func appendCursor(s standing) lonja.Cursor {
	b := binary.AppendUvarint(nil, uint64(s.online))
	b = binary.AppendUvarint(b, uint64(s.listings))
	return lonja.Cursor(base64.RawURLEncoding.EncodeToString(append(b, s.name...)))
}

func parseCursor(c lonja.Cursor) (*bound, error) {
	if c == "" {
		return nil, nil
	}
	bad := fmt.Errorf("the cursor is not one of a page of results")
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(c) > lonja.MaxCursor {
		return nil, bad
	}
	online, n := binary.Uvarint(b)
	if n <= 0 {
		return nil, bad
	}
	listings, m := binary.Uvarint(b[n:])
	if m <= 0 || max(online, listings) > math.MaxUint32 {
		return nil, bad
	}
	name := b[n+m:]
	return newBound(standing{uint32(online), uint32(listings), lead(name), name}), nil
}
