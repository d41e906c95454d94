package oplog

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lonja"
)

// TestQueueModel: a queue does what a plain slice would.
func TestQueueModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 5).Draw(t, "size")
		q := newQueue(size)
		var model []lonja.OperationRecord
		var dropped uint64
		pushed := 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(*rapid.T) {
				q.push(entry(pushed))
				model = append(model, entry(pushed))
				pushed++
				if len(model) > size {
					model = model[1:]
					dropped++
				}
			},
			"take": func(t *rapid.T) {
				n := rapid.IntRange(0, 6).Draw(t, "n")
				want := model[:min(n, len(model))]
				if got := q.take(nil, n); !slices.Equal(got, want) {
					t.Fatalf("take(%d): got %v, want %v", n, got, want)
				}
				model = model[len(want):]
			},
			"": func(t *rapid.T) {
				if q.len() != len(model) || q.waiting() != len(model) || q.lost() != dropped {
					t.Fatalf("got length %d and %d, dropped %d; want %d, %d", q.len(), q.waiting(), q.lost(), len(model), dropped)
				}
			},
		})
	})
}

// TestQueueWakes: whoever found the queue empty is woken by the next push, and
// nobody else is.
func TestQueueWakes(t *testing.T) {
	q := newQueue(2)
	q.waiting() // does not count as looking
	q.push(entry(0))
	if len(q.ready) != 0 {
		t.Error("a token, though nobody has looked")
	}
	q.take(nil, 1)
	q.len()
	q.push(entry(1))
	q.push(entry(2))
	if len(q.ready) != 1 {
		t.Errorf("got %d tokens, want 1", len(q.ready))
	}
}

// TestWindowModel: a window does what a plain list of calls would, also when
// the XIDs run over.
func TestWindowModel(t *testing.T) {
	names := []string{"ana", "luis", "eva"}
	numbered := func(xid uint32) lonja.OperationRecord {
		return lonja.OperationRecord{User: names[xid%uint32(len(names))]}
	}
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint32().Draw(t, "first")
		w := newWindow(first)
		next := first
		var model []sentCall // unanswered
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for range min(rapid.IntRange(1, 500).Draw(t, "calls"), w.state(false).room) {
					if xid := w.add(numbered(next)); xid != next {
						t.Fatalf("got XID %d, want %d", xid, next)
					}
					model = append(model, sentCall{next, numbered(next)})
					next++
				}
			},
			"answer": func(t *rapid.T) {
				from := rapid.IntRange(0, 3).Draw(t, "from")
				from = min(from, len(model))
				to := min(from+rapid.IntRange(0, 500).Draw(t, "answers"), len(model))
				for _, call := range model[from:to] {
					w.answer(call.xid)
					w.answer(call.xid) // a second time, which means nothing
				}
				model = slices.Delete(model, from, to)
			},
			"answer a stranger": func(t *rapid.T) {
				w.answer(next + rapid.Uint32Range(0, 5000).Draw(t, "ahead"))
				w.answer(first - 1 - rapid.Uint32Range(0, 5000).Draw(t, "behind"))
			},
			"": func(t *rapid.T) {
				kept := 0
				if len(model) > 0 {
					kept = int(next - model[0].xid)
				}
				got := w.state(false)
				want := windowState{
					room: windowSize - kept, unanswered: len(model), answered: uint64(int(next-first) - len(model)),
				}
				if got != want || !slices.Equal(w.pending(), model) {
					t.Fatalf("got %+v with %d pending, want %+v", got, len(w.pending()), want)
				}
			},
		})
	})
}
