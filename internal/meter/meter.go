// Package meter tells how fast something comes. It has no clock: it is told the time.
// The asking side between peers uses it, for what it shows.
package meter

import (
	"sync"
	"time"
)

// Seconds is over how many seconds a speed is taken.
const Seconds = 5

// A Meter tells how fast something came in the last few seconds. It is told the
// time, as what has gone by since some beginning. The zero Meter has seen nothing. Any
// number of goroutines may use it.
type Meter struct {
	mu     sync.Mutex
	latest int64          // the second that was counted last
	bytes  [Seconds]int64 // that came in each of the last seconds, by the second's remainder
}

// Add counts n bytes that have come just now.
func (m *Meter) Add(n int64, now time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(now)
	m.bytes[m.latest%Seconds] += n
}

// Rate returns the bytes per second, of the second that has begun and those before.
func (m *Meter) Rate(now time.Duration) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(now)
	var sum int64
	for _, n := range m.bytes {
		sum += n
	}
	since := now - max(0, time.Duration(m.latest-Seconds+1)*time.Second)
	return int64(float64(sum) / max(since, time.Second).Seconds())
}

// advance forgets what is too old. Time that goes back is taken to stand still; mu is held.
func (m *Meter) advance(now time.Duration) {
	second := max(int64(now/time.Second), m.latest)
	for s := max(m.latest+1, second-Seconds+1); s <= second; s++ {
		m.bytes[s%Seconds] = 0
	}
	m.latest = second
}
