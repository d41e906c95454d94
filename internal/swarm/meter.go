package swarm

import (
	"sync"
	"time"
)

// meterSeconds is over how many seconds a speed is taken.
const meterSeconds = 5

// A meter tells how fast something came in the last few seconds. It is told the
// time, as what has gone by since some beginning. Any number of goroutines may use it.
type meter struct {
	mu     sync.Mutex
	latest int64               // the second that was counted last
	bytes  [meterSeconds]int64 // that came in each of the last seconds, by the second's remainder
}

func (m *meter) add(n int64, now time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(now)
	m.bytes[m.latest%meterSeconds] += n
}

// rate returns the bytes per second, of the second that has begun and those before.
func (m *meter) rate(now time.Duration) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(now)
	var sum int64
	for _, n := range m.bytes {
		sum += n
	}
	since := now - max(0, time.Duration(m.latest-meterSeconds+1)*time.Second)
	return int64(float64(sum) / max(since, time.Second).Seconds())
}

// advance forgets what is too old. Time that goes back is taken to stand still; mu is held.
func (m *meter) advance(now time.Duration) {
	second := max(int64(now/time.Second), m.latest)
	for s := max(m.latest+1, second-meterSeconds+1); s <= second; s++ {
		m.bytes[s%meterSeconds] = 0
	}
	m.latest = second
}
