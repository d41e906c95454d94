package portmap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	natpmp "github.com/jackpal/go-nat-pmp"

	"lonja"
)

// pmpPatience bounds one exchange, repetitions among it. The library cannot be
// told to stop, so it is short.
const pmpPatience = 2 * time.Second

// A pmp is a router that speaks NAT-PMP, RFC 6886.
type pmp struct {
	client *natpmp.Client
	port   uint16 // inside

	// A router counts the seconds since its table was empty: when and what it
	// said last.
	epoch uint32
	said  time.Time
	reset bool // it has begun anew since the last mapping
}

// findPMP asks the gateway for its outside address, as everybody does who wants
// to know whether it speaks NAT-PMP.
func findPMP(ctx context.Context, at network, port uint16) ([]router, error) {
	client := natpmp.NewClientWithLocalAndTimeout(net.IP(at.gateway.AsSlice()), net.IP(at.local.AsSlice()), pmpPatience)
	p := &pmp{client: client, port: port}
	if _, err := p.outside(ctx); err != nil {
		return nil, err
	}
	return []router{p}, nil
}

func (p *pmp) by() string { return "NAT-PMP" }

func (p *pmp) outside(ctx context.Context) (netip.Addr, error) {
	const op = "ask the router for its outside address"
	if err := ctx.Err(); err != nil {
		return netip.Addr{}, lonja.E(lonja.Canceled, op, err)
	}
	answer, err := p.client.GetExternalAddress()
	if err != nil {
		return netip.Addr{}, explainPMP(op, err)
	}
	p.heard(answer.SecondsSinceStartOfEpoc, time.Now())
	return netip.AddrFrom4(answer.ExternalIPAddress), nil
}

// heard takes a router's clock in. One that is behind where it should be has
// begun anew and has forgotten all mappings: RFC 6886, section 3.6, which also
// has the allowance for clocks that differ.
func (p *pmp) heard(epoch uint32, now time.Time) {
	if !p.said.IsZero() {
		passed := now.Round(0).Sub(p.said.Round(0)) // the wall's clock: it goes on while a machine sleeps
		least := float64(p.epoch) + passed.Seconds()*7/8 - 2
		p.reset = p.reset || float64(epoch) < least
	}
	p.epoch, p.said = epoch, now
}

func (p *pmp) add(ctx context.Context, want uint16, lease time.Duration) (grant, error) {
	const op = "map a port"
	if err := ctx.Err(); err != nil {
		return grant{}, lonja.E(lonja.Canceled, op, err)
	}
	answer, err := p.client.AddPortMapping("tcp", int(p.port), int(want), int(lease/time.Second))
	if err != nil {
		return grant{}, explainPMP(op, err)
	}
	given := time.Duration(answer.PortMappingLifetimeInSeconds) * time.Second
	switch {
	case answer.InternalPort != p.port:
		return grant{}, lonja.E(lonja.Malformed, op, fmt.Errorf("it mapped port %d instead of %d", answer.InternalPort, p.port))
	case given == 0:
		return grant{}, lonja.E(lonja.Malformed, op, errors.New("it mapped the port for no time"))
	}
	p.epoch, p.said, p.reset = answer.SecondsSinceStartOfEpoc, time.Now(), false
	return grant{answer.MappedExternalPort, min(given, lease)}, nil
}

// check cannot see the mapping; but whether the router forgot.
func (p *pmp) check(ctx context.Context, _ uint16) error {
	if _, err := p.outside(ctx); err != nil {
		return err
	}
	if p.reset {
		return lonja.E(lonja.Refused, "look whether the mapping is still there", errors.New("the router has begun anew"))
	}
	return nil
}

func (p *pmp) remove(ctx context.Context, _ uint16) error {
	const op = "remove the mapping"
	if err := ctx.Err(); err != nil {
		return lonja.E(lonja.Canceled, op, err)
	}
	if _, err := p.client.AddPortMapping("tcp", int(p.port), 0, 0); err != nil {
		return explainPMP(op, err)
	}
	return nil
}

// explainPMP gives an error of the library its kind. It has no types for them,
// only texts.
func explainPMP(op string, err error) error {
	text := err.Error()
	switch _, network := errors.AsType[net.Error](err); {
	case strings.Contains(text, "result code 3 "): // "no DHCP lease or external IP"
		return &trouble{problem: NoOutside}
	case strings.Contains(text, "result code"):
		return lonja.E(lonja.Refused, op, fmt.Errorf("NAT-PMP: %s", strings.TrimPrefix(text, "Non-zero ")))
	case network, strings.HasPrefix(text, "Timed out"):
		return lonja.E(lonja.Unavailable, op, err)
	case strings.Contains(text, "unknown protocol version 2 "): // the newer PCP, and nothing else
		return lonja.E(lonja.Unavailable, op, err)
	}
	return lonja.E(lonja.Malformed, op, fmt.Errorf("NAT-PMP: %s", text))
}
