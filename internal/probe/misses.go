package probe

import (
	"sync"

	"lonja"
)

// misses counts, for the leases that were not reached, how often in a row.
// Leases that ended otherwise are forgotten after a pass or two, so it never
// has more than there are leases, by much.
type misses struct {
	mu      sync.Mutex
	pass    uint64
	byLease map[leaseKey]missed
}

type leaseKey struct {
	user  lonja.UserName
	stamp uint64
}

type missed struct {
	count int
	pass  uint64 // the last in which the lease was probed
}

// add counts a miss and returns how many there are.
func (m *misses) add(key leaseKey) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := m.byLease[key].count + 1
	m.byLease[key] = missed{count, m.pass}
	return count
}

// keep leaves the count as it is: a probe that says nothing is no break in a
// row either.
func (m *misses) keep(key leaseKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.byLease[key]; ok {
		m.byLease[key] = missed{known.count, m.pass}
	}
}

func (m *misses) forget(key leaseKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byLease, key)
}

// turn begins a new pass. A probe may end in the pass after its own, so what is
// older than that belongs to no lease any more.
func (m *misses) turn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pass++
	for key, known := range m.byLease {
		if known.pass+2 < m.pass {
			delete(m.byLease, key)
		}
	}
}
