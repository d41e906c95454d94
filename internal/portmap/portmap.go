package portmap

import (
	"context"
	"log/slog"
	"time"

	"lonja"
)

// DefaultLease is for how long a mapping is asked for: long enough not to
// bother the router, short enough that what a crash leaves behind goes.
const DefaultLease = time.Hour

// Options say what to map.
type Options struct {
	// Port is the port that this machine listens at, and the one that is asked
	// for outside.
	Port uint16
	// Lease is for how long the router is asked each time, from ten seconds to a
	// week; 0 is DefaultLease.
	Lease time.Duration
	// Log takes what happens; nil is nowhere.
	Log *slog.Logger
	// Changed is told each new state, one at a time and from Run's own
	// goroutine, which it must not hold up: also when a renewal moved nothing
	// but Mapping.Until. It is told nothing once the context has ended. May be
	// nil.
	Changed func(State)
}

// A Mapping is a port of the router that leads to this machine.
type Mapping struct {
	Endpoint lonja.Endpoint // outside: the router's address and port
	By       string         // "UPnP IGD v2", "UPnP IGD v1" or "NAT-PMP"
	Until    time.Time      // when it ends unless renewed; zero is never
}

// Run keeps the port mapped until the context ends, and then removes the
// mapping, which takes no longer than ten seconds, whatever the router does. It
// returns nil, an Invalid error for a port that is none, or, when the mapping
// could not be removed, the reason.
func Run(ctx context.Context, o Options) error {
	if o.Port == 0 {
		return lonja.E(lonja.Invalid, "map a port: port 0", nil)
	}
	m := newMapper(o)
	m.look, m.find = lookAround, findRouters
	return m.run(ctx)
}
