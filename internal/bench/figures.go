package bench

import (
	"context"
	"encoding/json"
	"io"
	"time"
)

// MarshalJSON writes a Latency in microseconds.
func (l Latency) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		P50 float64 `json:"p50_us"`
		P90 float64 `json:"p90_us"`
		P99 float64 `json:"p99_us"`
		Max float64 `json:"max_us"`
	}{microseconds(l.P50), microseconds(l.P90), microseconds(l.P99), microseconds(l.Max)})
}

// MarshalJSON writes a Machine as its line.
func (m Machine) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }

// Conditions say how the figures of a report came about.
type Conditions struct {
	Machine  Machine   `json:"machine"`
	Started  time.Time `json:"started"`
	Rounds   int       `json:"rounds"`
	Duration Seconds   `json:"seconds"` // of each measurement
}

// Seconds is a time that JSON has in seconds.
type Seconds time.Duration

// MarshalJSON writes seconds.
func (s Seconds) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).Seconds()) }

// WriteJSON writes a report for programs to read. Units are in the names.
func WriteJSON(w io.Writer, report any) error {
	lines := json.NewEncoder(w)
	lines.SetIndent("", "  ")
	return lines.Encode(report)
}

// medianOver returns the median of a value of some things.
func medianOver[T any](things []T, value func(T) float64) float64 {
	values := make([]float64, len(things))
	for i, t := range things {
		values[i] = value(t)
	}
	return median(values)
}

// medianLatency returns the medians of some latencies, and the largest of their
// maxima.
func medianLatency(all []Latency) Latency {
	over := func(value func(Latency) time.Duration) time.Duration {
		return time.Duration(medianOver(all, func(l Latency) float64 { return float64(value(l)) }))
	}
	sum := Latency{
		P50: over(func(l Latency) time.Duration { return l.P50 }),
		P90: over(func(l Latency) time.Duration { return l.P90 }),
		P99: over(func(l Latency) time.Duration { return l.P99 }),
	}
	for _, l := range all {
		sum.Max = max(sum.Max, l.Max)
	}
	return sum
}

// turns returns n things to measure in their order, round after round: each
// round reverses the order of the one before, so that a machine that slows
// down or speeds up favours none.
func turns[T any](rounds int, things []T) (order []turn[T]) {
	for round := 1; round <= rounds; round++ {
		for i := range things {
			if round%2 == 0 {
				i = len(things) - 1 - i
			}
			order = append(order, turn[T]{things[i], round})
		}
	}
	return order
}

// A turn is one measurement of one thing.
type turn[T any] struct {
	of    T
	round int // from 1
}

// othersDuring returns the share of the machine's processors, from 0 to 1, that
// went to anything but this process during the window.
func othersDuring(ctx context.Context, w window) (float64, error) {
	m, alone := &meter{}, &site{}
	if m.from, m.err = readAt(ctx, alone, w.from); m.err == nil {
		m.to, m.err = readAt(ctx, alone, w.to)
	}
	if m.err != nil {
		return 0, m.err
	}
	return m.disturbance(), nil
}
