package limits

import "sync"

// An Entry is what is to be done with a connection.
type Entry uint8

// The entries.
const (
	// Serve: it is within the limit.
	Serve Entry = iota
	// Refuse: it is over the limit. Read its request, with little patience,
	// and refuse that in the words of the protocol.
	Refuse
	// Shut: so many are being refused that this one is not worth it.
	Shut
)

// connCounts counts open connections. It has a key for as long as one of its
// connections is open, so it is bounded by the connections of the server.
type connCounts struct {
	limit, refusable int32

	mu    sync.Mutex
	byKey map[uint64]occupancy
}

type occupancy struct{ served, refused int32 }

// refusedShare is the part of its limit that an address may have open beyond
// it, to be refused properly. Those places are lent for a moment, but lent:
// without a bound whoever is over the limit would hold the server just so.
const refusedShare = 8

func newConnCounts(limit int) *connCounts {
	n := int32(min(limit, 1<<30))
	return &connCounts{limit: n, refusable: 1 + n/refusedShare, byKey: make(map[uint64]occupancy)}
}

func (c *connCounts) enter(key uint64) Entry {
	if c.limit <= 0 {
		return Serve
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	open := c.byKey[key]
	switch {
	case open.served < c.limit:
		open.served++
		c.byKey[key] = open
		return Serve
	case open.refused < c.refusable:
		open.refused++
		c.byKey[key] = open
		return Refuse
	}
	return Shut
}

func (c *connCounts) leave(key uint64, entry Entry) {
	if c.limit <= 0 || entry == Shut {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	open := c.byKey[key]
	if entry == Serve {
		open.served--
	} else {
		open.refused--
	}
	if open == (occupancy{}) {
		delete(c.byKey, key)
		return
	}
	c.byKey[key] = open
}
