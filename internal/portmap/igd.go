package portmap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/dcps/internetgateway2"
	"github.com/huin/goupnp/soap"

	"lonja"
)

// The UPnP errors that are acted upon: UPnP-gw-WANIPConnection-v2, section 2.5,
// and UPnP-arch-DeviceArchitecture, section 3.2.
const (
	errInvalidAction     = 401
	errInvalidArguments  = 402 // some routers' way to say errOnlyPermanent
	errNotImplemented    = 602
	errNoSuchEntry       = 714
	errConflict          = 718
	errSamePorts         = 724
	errOnlyPermanent     = 725
	errOtherMechanism    = 729
	errNoSuchEntryByName = 713
)

// description is what routers list our mappings under.
const description = "lonja"

// otherPorts is how many other outside ports are tried when the wanted one is
// taken.
const otherPorts = 5

// wanConnection is what the three services that map ports have in common.
type wanConnection interface {
	AddPortMappingCtx(ctx context.Context, remoteHost string, external uint16, protocol string, internal uint16,
		client string, enabled bool, description string, lease uint32) error
	GetSpecificPortMappingEntryCtx(ctx context.Context, remoteHost string, external uint16, protocol string) (
		internal uint16, client string, enabled bool, description string, lease uint32, err error)
	DeletePortMappingCtx(ctx context.Context, remoteHost string, external uint16, protocol string) error
	GetExternalIPAddressCtx(ctx context.Context) (string, error)
}

// An igd is a service of a UPnP router that maps ports.
type igd struct {
	wan  wanConnection
	any  *internetgateway2.WANIPConnection2 // nil in version 1: it cannot choose a port
	gate *gate
	at   network
	port uint16 // inside
}

func newIGD(s *goupnp.Service, kind string, at network, port uint16) *igd {
	g := newGate(at)
	client := goupnp.ServiceClient{Service: s, SOAPClient: s.NewSOAPClient()}
	client.SOAPClient.HTTPClient = http.Client{
		Timeout: httpPatience, Transport: g,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	d := &igd{gate: g, at: at, port: port}
	switch kind {
	case internetgateway2.URN_WANIPConnection_2:
		d.any = &internetgateway2.WANIPConnection2{ServiceClient: client}
		d.wan = d.any
	case internetgateway2.URN_WANIPConnection_1:
		d.wan = &internetgateway2.WANIPConnection1{ServiceClient: client}
	default:
		d.wan = &internetgateway2.WANPPPConnection1{ServiceClient: client}
	}
	return d
}

func (d *igd) by() string {
	if d.any != nil {
		return "UPnP IGD v2"
	}
	return "UPnP IGD v1"
}

func (d *igd) outside(ctx context.Context) (netip.Addr, error) {
	const op = "ask the router for its outside address"
	text, err := d.wan.GetExternalIPAddressCtx(ctx)
	if err != nil {
		return netip.Addr{}, d.explain(op, err)
	}
	if text = strings.TrimSpace(text); text == "" {
		return netip.Addr{}, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil || !address.Unmap().Is4() {
		return netip.Addr{}, lonja.E(lonja.Malformed, op, fmt.Errorf("it says %q", shown(text)))
	}
	return address.Unmap(), nil
}

func (d *igd) add(ctx context.Context, want uint16, lease time.Duration) (grant, error) {
	err := d.free(ctx, want)
	if err == nil {
		var given grant
		given, err = d.addAt(ctx, want, lease)
		if err == nil {
			return d.verified(ctx, given)
		}
	}
	if code := codeOf(err); code != errConflict && code != errSamePorts && code != errOtherMechanism {
		return grant{}, err
	}
	if d.any != nil {
		given, errAny := d.addAny(ctx, want, lease)
		if errAny == nil {
			return d.verified(ctx, given)
		}
		if code := codeOf(errAny); code != errInvalidAction && code != errNotImplemented && code != errConflict {
			return grant{}, errAny
		}
	}
	for range otherPorts {
		port := uint16(20000 + rand.IntN(40000))
		if d.free(ctx, port) != nil {
			continue
		}
		given, errOther := d.addAt(ctx, port, lease)
		if errOther == nil {
			return d.verified(ctx, given)
		}
		err = errOther
	}
	return grant{}, err
}

// free fails when the outside port is mapped to something else: many routers of
// version 1 let anybody take away what is somebody else's.
func (d *igd) free(ctx context.Context, outside uint16) error {
	internal, client, _, _, _, err := d.wan.GetSpecificPortMappingEntryCtx(ctx, "", outside, "TCP")
	if err == nil && !d.ours(internal, client) {
		return d.explain("map a port", conflict(fmt.Sprintf("port %d leads to another machine or program", outside)))
	}
	return nil // that it cannot be asked is no reason not to try
}

func (d *igd) ours(internal uint16, client string) bool {
	address, err := netip.ParseAddr(strings.TrimSpace(client))
	return err == nil && address.Unmap() == d.at.local && internal == d.port
}

// addAt maps this very port outside; for good if the router cannot do
// otherwise.
func (d *igd) addAt(ctx context.Context, outside uint16, lease time.Duration) (grant, error) {
	return d.leased(lease, func(seconds uint32) (uint16, error) {
		err := d.wan.AddPortMappingCtx(ctx, "", outside, "TCP", d.port, d.at.local.String(), true, description, seconds)
		return outside, err
	})
}

// addAny has a router of version 2 choose the port.
func (d *igd) addAny(ctx context.Context, want uint16, lease time.Duration) (grant, error) {
	return d.leased(lease, func(seconds uint32) (uint16, error) {
		return d.any.AddAnyPortMappingCtx(ctx, "", want, "TCP", d.port, d.at.local.String(), true, description, seconds)
	})
}

func (d *igd) leased(lease time.Duration, add func(seconds uint32) (uint16, error)) (grant, error) {
	port, err := add(uint32(lease / time.Second))
	if code := codeOf(err); code == errOnlyPermanent || code == errInvalidArguments {
		lease = 0
		port, err = add(0)
	}
	if err != nil {
		return grant{}, d.explain("map a port", err)
	}
	return grant{port, lease}, nil
}

// verified looks whether the router did what it said, and for how long: some
// give less time than they were asked for.
func (d *igd) verified(ctx context.Context, given grant) (grant, error) {
	const op = "look at the mapping"
	internal, client, _, _, seconds, err := d.wan.GetSpecificPortMappingEntryCtx(ctx, "", given.port, "TCP")
	switch {
	case codeOf(err) == errNoSuchEntry:
		return grant{}, lonja.E(lonja.Malformed, op, errors.New("it says it mapped the port, and does not list it"))
	case err != nil: // not every router can be asked
		return given, nil
	case !d.ours(internal, client):
		return grant{}, lonja.E(lonja.Malformed, op, fmt.Errorf("it mapped the port to %s", shown(client)))
	case seconds > 0 && given.lease > time.Duration(seconds)*time.Second:
		given.lease = time.Duration(seconds) * time.Second
	}
	return given, nil
}

func (d *igd) check(ctx context.Context, outside uint16) error {
	const op = "look whether the mapping is still there"
	internal, client, _, _, _, err := d.wan.GetSpecificPortMappingEntryCtx(ctx, "", outside, "TCP")
	switch code := codeOf(err); {
	case err == nil && !d.ours(internal, client):
		return lonja.E(lonja.Refused, op, fmt.Errorf("port %d leads to another machine now", outside))
	case err == nil, code == errInvalidAction, code == errNotImplemented:
		return nil
	}
	return d.explain(op, err)
}

func (d *igd) remove(ctx context.Context, outside uint16) error {
	if d.free(ctx, outside) != nil {
		return nil // it is somebody else's by now, and not every router minds
	}
	err := d.wan.DeletePortMappingCtx(ctx, "", outside, "TCP")
	if code := codeOf(err); err == nil || code == errNoSuchEntry || code == errNoSuchEntryByName {
		return nil
	}
	return d.explain("remove the mapping", err)
}

// explain gives an error of goupnp its kind.
func (d *igd) explain(op string, err error) error {
	var fault *soap.SOAPFaultError
	switch {
	case errors.As(err, &fault):
		why := fmt.Sprintf("UPnP error %d", codeOf(err))
		if text := strings.TrimSpace(fault.Detail.UPnPError.ErrorDescription); text != "" {
			why += " (" + shown(text) + ")"
		}
		return lonja.E(lonja.Refused, op, &upnpError{codeOf(err), why})
	case d.gate.failed != nil:
		return lonja.E(lonja.Unavailable, op, d.gate.failed)
	}
	return lonja.E(lonja.Malformed, op, errors.New(shown(err.Error())))
}

// A upnpError is what a router refused with.
type upnpError struct {
	code int
	text string
}

func (e *upnpError) Error() string { return e.text }

// conflict is the fault that a router ought to have answered.
func conflict(text string) error {
	fault := &soap.SOAPFaultError{FaultString: "UPnPError"}
	fault.Detail.UPnPError.Errorcode = errConflict
	fault.Detail.UPnPError.ErrorDescription = text
	return fault
}

// codeOf returns a UPnP error's number, or 0.
func codeOf(err error) int {
	var fault *soap.SOAPFaultError
	if errors.As(err, &fault) {
		return fault.Detail.UPnPError.Errorcode
	}
	if e, ok := errors.AsType[*upnpError](err); ok {
		return e.code
	}
	return 0
}
