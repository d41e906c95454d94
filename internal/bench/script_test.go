package bench

import (
	"testing"

	"lonja"
	"lonja/internal/classic"
)

// requests returns the requests of the first n steps of a script whose
// directory does whatever it is asked.
func requests(seed uint64, client, n int) []string {
	s := newScript(seed, client, 8)
	var list []string
	for range n {
		st := s.next()
		list = append(list, string(classic.AppendRequest(nil, st.req)))
		if st.allowed.has(classic.StatusOK) {
			s.answered(&st, classic.StatusOK)
		}
	}
	return list
}

func TestScriptFollowsItsSeed(t *testing.T) {
	const steps = 200
	same := func(a, b []string) bool {
		for i := range a {
			if a[i] != b[i] {
				return false
			}
		}
		return true
	}
	first := requests(7, 3, steps)
	if again := requests(7, 3, steps); !same(first, again) {
		t.Error("the same seed and client made other requests")
	}
	if other := requests(8, 3, steps); same(first, other) {
		t.Error("another seed made the same requests")
	}
	if other := requests(7, 4, steps); same(first, other) {
		t.Error("another client made the same requests")
	}
}

func TestScriptTakesOperationsUniformly(t *testing.T) {
	const steps = 90_000
	s := newScript(1, 0, 1)
	var seen [operationCount]int
	malformed := 0
	for range steps {
		st := s.take()
		seen[st.req.Op]++
		if st.req.User == "" {
			malformed++
		}
	}
	if len(operations) != 9 {
		t.Fatalf("the mix is of %v, want the nine of the original system", operations)
	}
	each := steps / len(operations)
	for _, op := range operations {
		if n := seen[op]; n < each*9/10 || n > each*11/10 {
			t.Errorf("%s came %d times of %d, want about %d", op, n, steps, each)
		}
	}
	if want := steps / malformedOneIn; malformed < want*8/10 || malformed > want*12/10 {
		t.Errorf("%d requests were malformed, want about %d", malformed, want)
	}
}

// TestScriptForgetsLostUsers guards against counting right answers as wrong
// after an operation that may have been performed or not.
func TestScriptForgetsLostUsers(t *testing.T) {
	s := newScript(1, 0, 1)
	st := step{req: s.request(lonja.OpRegister, 0)}
	s.failed(&st)
	got := s.expect(&step{req: s.request(lonja.OpRegister, 0)})
	want := statusesOf(lonja.OpRegister, nil) | statusesOf(lonja.OpRegister, lonja.NameInUse) |
		statusesOf(lonja.OpRegister, lonja.Invalid)
	if got != want {
		t.Errorf("after a failed REGISTER the right answers are %b, want %b", got, want)
	}
}
