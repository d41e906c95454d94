package bench

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTurnsReverse(t *testing.T) {
	var got []string
	for _, turn := range turns(3, []string{"a", "b", "c"}) {
		got = append(got, turn.of+string(rune('0'+turn.round)))
	}
	if want := []string{"a1", "b1", "c1", "c2", "b2", "a2", "a3", "b3", "c3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMedianLatency(t *testing.T) {
	at := func(p50, p90, p99, most time.Duration) Latency { return Latency{p50, p90, p99, most} }
	got := medianLatency([]Latency{at(1, 20, 300, 4000), at(3, 10, 100, 9000), at(2, 30, 200, 1000)})
	if want := at(2, 20, 200, 9000); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := medianLatency(nil); got != (Latency{}) {
		t.Errorf("of nothing: %v", got)
	}
}

// TestReportsAsJSON holds the names that programs read, and their units.
func TestReportsAsJSON(t *testing.T) {
	report := StoreReport{
		Conditions: Conditions{Machine: Machine{Cores: 2, Go: "go1"}, Rounds: 3, Duration: Seconds(1500 * time.Millisecond)},
		Engine:     "SQLite",
		Points:     []StorePoint{{Writers: 16, Path: StorePath, Rate: 2, OfBare: 0.5, Latency: Latency{P50: 3 * time.Microsecond}}},
	}
	b, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"machine":"2 cores, go1"`, `"rounds":3`, `"seconds":1.5`, `"engine":"SQLite"`,
		`{"clients":16,"path":"store","writes_per_s":2,"of_bare":0.5,"latency":{"p50_us":3,"p90_us":0,"p99_us":0,"max_us":0}}`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s does not have %s", b, want)
		}
	}
}
