// Package limits keeps anybody from taking more of a server than is fair: how
// many connections an address may have open, and how many operations a second
// an address and a user may ask for.
//
// It counts and decides, and nothing else: it is told the time, opens nothing
// and starts nothing. What happens to those over a limit is the business of
// its user, dirserver. How much a user may publish is a rule of the directory
// and not here.
//
// Its memory is bounded whatever comes: see table.
package limits

import (
	"hash/maphash"
	"net/netip"
	"time"

	"lonja"
)

// The defaults of the command. No person reaches them, nor does a script that
// sends one request after the other; a classroom behind one address does not
// either. A user's allowance is twice an address's because a classic request
// proves no name: one address alone cannot use up somebody else's.
const (
	DefaultConnectionsPerAddress = 256
	DefaultOperationsPerAddress  = 1000
	DefaultOperationsPerUser     = 2000
)

// burstSeconds is how long a key may have been silent and then ask for
// everything that it did not use meanwhile, at once.
const burstSeconds = 5

// Options are the limits; 0 is none. An address is one IPv4 address, or one
// IPv6 network of 64 bits: that is what a household or a machine is given, and
// inside it there are more addresses than anybody can count.
type Options struct {
	ConnectionsPerAddress int // open at once
	OperationsPerAddress  int // a second; five times that at once
	OperationsPerUser     int // a second, from all addresses; five times that at once

	// Loopback applies the limits to this machine too. Otherwise whatever
	// comes from a loopback address is let through: it is the operator's own
	// tools, or a proxy that stands for all of its clients.
	Loopback bool
}

// A Reason is the limit that a request went over, or None.
type Reason uint8

// The reasons.
const (
	None Reason = iota
	AddressConnections
	AddressOperations
	UserOperations
	reasonCount
)

var reasonNames = [reasonCount]string{
	None:               "none",
	AddressConnections: "address_connections",
	AddressOperations:  "address_operations",
	UserOperations:     "user_operations",
}

// String returns the reason as a metric's label has it.
func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return reasonNames[None]
}

// Reasons returns every reason but None.
func Reasons() []Reason {
	return []Reason{AddressConnections, AddressOperations, UserOperations}
}

// A Limiter keeps account of one server. It may be used by any number of
// goroutines at once.
type Limiter struct {
	loopback  bool
	seed      maphash.Seed // so that nobody can choose keys that share a count
	start     time.Time    // times are kept as nanoseconds since then
	conns     *connCounts
	addresses *table // nil: no limit
	users     *table
}

// New returns a Limiter that begins at the given time.
func New(opts Options, start time.Time) *Limiter {
	return &Limiter{
		loopback:  opts.Loopback,
		seed:      maphash.MakeSeed(),
		start:     start,
		conns:     newConnCounts(opts.ConnectionsPerAddress),
		addresses: newTable(opts.OperationsPerAddress),
		users:     newTable(opts.OperationsPerUser),
	}
}

// A Visit is a connection that a Limiter has counted.
type Visit struct {
	Entry Entry

	key     uint64 // of the address
	counted bool   // or let through whatever it does
}

// Enter counts a new connection from addr and says, in the Entry, what is to be
// done with it. Leave must be called once it is closed, whatever the answer.
func (l *Limiter) Enter(addr netip.Addr) Visit {
	key, counted := l.addressKey(addr)
	if !counted {
		return Visit{Entry: Serve}
	}
	return Visit{Entry: l.conns.enter(key), key: key, counted: true}
}

// Leave takes back what Enter counted.
func (l *Limiter) Leave(v Visit) {
	if v.counted {
		l.conns.leave(v.key, v.Entry)
	}
}

// Operation counts an operation that user, if a name could be read, asks for
// in that visit. The answer is None, or the limit that it went over. What an
// address asks for beyond its limit is not counted against the user; what is
// beyond the user's counts for the address all the same.
func (l *Limiter) Operation(now time.Time, v Visit, user lonja.UserName) Reason {
	if v.Entry != Serve {
		return AddressConnections
	}
	if !v.counted {
		return None
	}
	if l.addresses != nil && !l.addresses.take(v.key, int64(now.Sub(l.start))) {
		return AddressOperations
	}
	return l.UserOperation(now, v, user)
}

// UserOperation counts an operation against the user alone, if there is a name:
// for who proves names, and does so after the address has been counted, by an
// Operation without a name. The answer is None or UserOperations.
func (l *Limiter) UserOperation(now time.Time, v Visit, user lonja.UserName) Reason {
	if v.counted && l.users != nil && user != "" && !l.users.take(maphash.String(l.seed, string(user)), int64(now.Sub(l.start))) {
		return UserOperations
	}
	return None
}

// addressKey returns what addr is counted under, and whether it is.
func (l *Limiter) addressKey(addr netip.Addr) (key uint64, counted bool) {
	addr = addr.Unmap()
	if !l.loopback && addr.IsLoopback() {
		return 0, false
	}
	if addr.Is4() {
		b := addr.As4()
		return maphash.Bytes(l.seed, b[:]), true
	}
	b := addr.As16()
	return maphash.Bytes(l.seed, b[:networkBytes]), true
}

// networkBytes is the part of an IPv6 address that is counted.
const networkBytes = 64 / 8
