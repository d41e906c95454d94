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
	worst worstFirst
}

// full reports whether a base has to be better than another to be kept.
func (h *hits) full() bool { return len(h.worst) == h.most }

// add keeps the hit if it is among the best. A base counts once.
func (h *hits) add(new hit) {
	if s, otherwise := h.view.standing(h.x, new.base); otherwise {
		h.addSeen(new, s)
		return
	}
	if h.after != nil && h.x.compareBase(new.base, h.after) <= 0 ||
		h.full() && h.x.compareBase(new.base, &h.worst[0].bound) >= 0 ||
		slices.ContainsFunc(h.worst, func(o hit) bool { return o.base == new.base }) {
		return
	}
	new.bound = *newBound(h.x.standing(new.base))
	h.put(new)
}

func (h *hits) put(new hit) {
	if !h.full() {
		heap.Push(&h.worst, new)
		return
	}
	h.worst[0] = new
	heap.Fix(&h.worst, 0)
}

// sorted returns the hits, the best first.
func (h *hits) sorted() []hit {
	slices.SortFunc(h.worst, func(a, b hit) int { return a.compare(&b.standing) })
	return h.worst
}

// WorstFirst is a heap with the hit to show last on top.
type worstFirst []hit

func (w worstFirst) Len() int { return len(w) }

func (w worstFirst) Less(i, j int) bool {
	if w[i].rank != w[j].rank {
		return w[i].rank > w[j].rank
	}
	return w[i].compare(&w[j].standing) > 0
}

func (w worstFirst) Swap(i, j int) { w[i], w[j] = w[j], w[i] }
func (w *worstFirst) Push(v any)   { *w = append(*w, v.(hit)) }

func (w *worstFirst) Pop() any {
	last := len(*w) - 1
	v := (*w)[last]
	*w = (*w)[:last]
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
