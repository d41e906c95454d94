package main

import (
	"time"

	"github.com/spf13/pflag"

	"lonja/internal/limits"
)

// defaultPublicationsPerUser is more than anybody shares by hand, and a small
// part of what one directory carries.
const defaultPublicationsPerUser = 100_000

// limitOptions are the limits of abuse; 0 is none.
type limitOptions struct {
	connections  int // of an address, at once
	operations   int // of an address, a second
	userOps      int // of a user, a second
	publications int // of a user
	loopback     bool
}

func (o *limitOptions) addFlags(f *pflag.FlagSet) {
	f.IntVar(&o.connections, "limit-connections-per-address", limits.DefaultConnectionsPerAddress,
		"connections served at once to one IPv4 address or IPv6 /64; 0 for no limit")
	f.IntVar(&o.operations, "limit-operations-per-address", limits.DefaultOperationsPerAddress,
		"operations a second from one address, five times that in a burst; 0 for no limit")
	f.IntVar(&o.userOps, "limit-operations-per-user", limits.DefaultOperationsPerUser,
		"operations a second of one user, five times that in a burst; 0 for no limit")
	f.IntVar(&o.publications, "limit-publications-per-user", defaultPublicationsPerUser,
		"files that one user may have published; 0 for no limit")
	f.BoolVar(&o.loopback, "limit-loopback", false,
		"apply the limits of connections and operations to this machine's own clients too")
}

func (o *limitOptions) check() error {
	if min(o.connections, o.operations, o.userOps, o.publications) < 0 {
		return usagef("a limit cannot be below zero; 0 is no limit")
	}
	return nil
}

func (o *limitOptions) limiter() *limits.Limiter {
	return limits.New(limits.Options{
		ConnectionsPerAddress: o.connections,
		OperationsPerAddress:  o.operations,
		OperationsPerUser:     o.userOps,
		Loopback:              o.loopback,
	}, time.Now())
}
