package portmap

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"lonja"
)

// A network is where this machine is, as far as mapping goes. The zero network
// has no way out.
type network struct {
	gateway netip.Addr // the router that leads out
	local   netip.Addr // this machine's address on its side
}

// A router maps ports of its outside to one port of this machine. Its methods
// are for one goroutine at a time, end when their context does or a few seconds
// later, and return errors of the kinds Unavailable (no answer), Malformed (no
// sense in it) and Refused.
type router interface {
	// by names the protocol, as Mapping.By.
	by() string
	// outside returns the router's outside address.
	outside(ctx context.Context) (netip.Addr, error)
	// add maps an outside port to this machine's, the wanted one if the router
	// lets it, or renews what it mapped.
	add(ctx context.Context, want uint16, lease time.Duration) (grant, error)
	// check fails unless the mapping of this outside port is still there, as far
	// as the router tells.
	check(ctx context.Context, outside uint16) error
	// remove takes the mapping of this outside port away.
	remove(ctx context.Context, outside uint16) error
}

// A grant is what a router gave.
type grant struct {
	port  uint16        // outside
	lease time.Duration // 0 is for ever
}

// findRouters looks for all protocols side by side and returns what it found,
// the best first. Without any, the error says most of what went wrong.
func findRouters(ctx context.Context, at network, port uint16) ([]router, error) {
	var (
		ways = []func(context.Context, network, uint16) ([]router, error){findIGD, findPMP}
		got  = make([][]router, len(ways))
		errs = make([]error, len(ways))
		all  sync.WaitGroup
	)
	for i, find := range ways {
		all.Go(func() { got[i], errs[i] = find(ctx, at, port) })
	}
	all.Wait()
	if found := slices.Concat(got...); len(found) > 0 {
		return found, nil
	}
	return nil, worst(errs...)
}

// worst returns the error that says the most.
func worst(errs ...error) error {
	return slices.MaxFunc(errs, func(a, b error) int { return int(problemOf(a).Problem) - int(problemOf(b).Problem) })
}

// obtain maps the port with one router.
func obtain(ctx context.Context, r router, want uint16, lease time.Duration) (Mapping, grant, error) {
	address, err := r.outside(ctx)
	if err == nil {
		err = usable(address)
	}
	if err != nil {
		return Mapping{}, grant{}, err
	}
	given, err := r.add(ctx, want, lease)
	if err == nil && given.port == 0 {
		err = lonja.E(lonja.Malformed, "map a port", errors.New("it mapped port 0"))
	}
	if errors.Is(err, lonja.Unavailable) && ctx.Err() == nil {
		// It did answer before.
		err = &trouble{problem: Refused, detail: "it does not answer when it is asked for a port"}
	}
	if err != nil {
		return Mapping{}, grant{}, err
	}
	return Mapping{Endpoint: lonja.EndpointFrom(address, given.port), By: r.by()}, given, nil
}

// usable says why peers elsewhere cannot use this outside address of a router.
func usable(outside netip.Addr) error {
	switch {
	case !outside.IsValid() || outside.IsUnspecified():
		return &trouble{problem: NoOutside}
	case !public(outside):
		return &trouble{problem: DoubleNAT, detail: outside.String()}
	}
	return nil
}

// special are the IPv4 addresses beside the private ones that mean nothing on
// the Internet: of the registry that RFC 6890 set up, what netip does not know.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // behind a provider's router, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
}

func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() &&
		!slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}
