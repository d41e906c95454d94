package bench

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lonja"
)

func TestQuantileIsNearestRank(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	tests := []struct {
		name   string
		sorted []int
		q      float64
		want   int
	}{
		{"nothing", nil, 0.5, 0},
		{"one value", []int{7}, 0.99, 7},
		{"median of two", []int{1, 2}, 0.5, 1},
		{"median of three", []int{1, 2, 3}, 0.5, 2},
		{"least", hundred, 0, 1},
		{"p50", hundred, 0.5, 50},
		{"p90", hundred, 0.9, 90},
		{"p99", hundred, 0.99, 99},
		{"largest", hundred, 1, 100},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := quantile(test.sorted, test.q); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// TestQuantileKeepsItsPromise checks the definition: enough values are not
// above the quantile, and of no smaller value is that true.
func TestQuantileKeepsItsPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.IntRange(0, 20), 1, 50).Draw(t, "values")
		q := float64(rapid.IntRange(1, 100).Draw(t, "percent")) / 100
		slices.Sort(values)
		got := quantile(values, q)
		notAbove := func(x int) float64 {
			n, _ := slices.BinarySearch(values, x+1)
			return float64(n)
		}
		need := q * float64(len(values))
		if notAbove(got) < need {
			t.Fatalf("quantile %g of %v is %d: too small", q, values, got)
		}
		if i := slices.Index(values, got); i > 0 && notAbove(values[i-1]) >= need {
			t.Fatalf("quantile %g of %v is %d: %d does as well", q, values, got, values[i-1])
		}
	})
}

func TestMedian(t *testing.T) {
	tests := []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{5, 1}, 3},
		{[]float64{9, 1, 4}, 4},
		{[]float64{8, 1, 2, 4}, 3},
	}
	for _, test := range tests {
		if got := median(slices.Clone(test.values)); got != test.want {
			t.Errorf("median of %v is %g, want %g", test.values, got, test.want)
		}
	}
}

// TestTallyHasRoomForEveryOperation guards against an operation that comes
// new: reports look up all of them.
func TestTallyHasRoomForEveryOperation(t *testing.T) {
	var tally Tally
	for _, op := range lonja.Operations() {
		if int(op) >= len(tally.Statuses) || statusCount(op) > len(tally.Statuses[op]) {
			t.Errorf("%s with %d statuses does not fit in %dx%d", op, statusCount(op), len(tally.Statuses), maxStatus+1)
		}
	}
}

func TestMergeAddsEverything(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	var a, b Tally
	a.Done, a.Undated, a.AnswerBytes = 1, 2, 3
	a.Latencies = append(a.Latencies, 5)
	a.Statuses[1][2] = 1
	a.fail(&failure{FailedSilence, first})
	b.Done, b.Undated, b.AnswerBytes = 10, 20, 30
	b.Latencies = append(b.Latencies, 6, 7)
	b.Statuses[1][2] = 10
	b.fail(&failure{FailedSilence, second})
	b.fail(second) // of no kind: the exchange failed
	a.merge(&b)
	if a.Done != 11 || a.Undated != 22 || a.AnswerBytes != 33 || len(a.Latencies) != 3 || a.Statuses[1][2] != 11 {
		t.Errorf("the sum is %+v", a)
	}
	if a.Failures[FailedSilence] != 2 || a.Failures[FailedExchange] != 1 {
		t.Errorf("failures %v", a.Failures)
	}
	if a.Causes[FailedSilence] != first || a.Causes[FailedExchange] != second {
		t.Errorf("causes %v", a.Causes)
	}
}
