package meter

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestMeter: it is what a list of all that came says.
func TestMeter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type come struct {
			at time.Duration
			n  int64
		}
		var m Meter
		var all []come
		now := time.Duration(0)
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond
			n := int64(rapid.IntRange(0, 1<<20).Draw(t, "bytes"))
			m.Add(n, now)
			all = append(all, come{now, n})
			from := max(0, now.Truncate(time.Second)-(Seconds-1)*time.Second)
			var sum int64
			for _, c := range all {
				if c.at >= from {
					sum += c.n
				}
			}
			want := int64(float64(sum) / max(now-from, time.Second).Seconds())
			if got := m.Rate(now); got != want {
				t.Fatalf("at %v: got %d, want %d", now, got, want)
			}
		}
		if got := m.Rate(now + Seconds*time.Second); got != 0 {
			t.Errorf("long after the last: got %d", got)
		}
	})
}
