package limits

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestRoomAgainstModel: a list of who is there, the longest first.
func TestRoomAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 4).Draw(t, "most")
		room := NewRoom(most)
		var model, gone, wantGone []int
		guests := make(map[int]*Guest)
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(*rapid.T) {
				if len(model) == most {
					wantGone, model = append(wantGone, model[0]), model[1:]
				}
				n := next
				next++
				guests[n] = room.Enter(func() { gone = append(gone, n) })
				model = append(model, n)
			},
			"leave": func(t *rapid.T) {
				if next == 0 {
					return
				}
				n := rapid.IntRange(0, next-1).Draw(t, "who")
				i := slices.Index(model, n)
				if got := room.Leave(guests[n]); got != (i >= 0) {
					t.Fatalf("Leave of %d: got %v", n, got)
				}
				if i >= 0 {
					model = slices.Delete(model, i, i+1)
				}
			},
			"thin": func(t *rapid.T) {
				limit := rapid.IntRange(0, 4).Draw(t, "limit")
				if len(model) > limit {
					wantGone, model = append(wantGone, model[0]), model[1:]
				}
				room.Thin(limit)
			},
			"": func(t *rapid.T) {
				if room.Len() != len(model) || !slices.Equal(gone, wantGone) {
					t.Fatalf("got %d there, %v gone; want %d, %v", room.Len(), gone, len(model), wantGone)
				}
			},
		})
	})
}
