package oplog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"lonja"
	"lonja/internal/oncrpc"
)

// rpcbindSocket is where rpcbind listens for the processes of its own machine.
// Over it, it knows who asks, and lets every user register.
const rpcbindSocket = "/run/rpcbind.sock"

// A Registration is a service's entry at the machine's rpcbind. Remove ends it.
type Registration struct{ bindings []oncrpc.Binding }

// Register tells the machine's rpcbind where the service listens, in place of
// whatever stood there for the operation log: a service that died has left its
// entry behind. ctx bounds it, beside a few seconds of its own.
//
// The error is of kind lonja.Unavailable when there is no rpcbind, and
// lonja.Refused when it does not want the entry; the service can do without.
func Register(ctx context.Context, s *Service) (*Registration, error) {
	rpc, err := dialRegistrar(ctx)
	if err != nil {
		return nil, lonja.E(lonja.Unavailable, "rpcbind", err)
	}
	defer rpc.Close()
	r := &Registration{bindings: bindingsOf(s.Addr())}
	if err := rpc.clear(); err != nil {
		return nil, lonja.E(lonja.Refused, "rpcbind", err)
	}
	if err := rpc.set(r.bindings); err != nil {
		return nil, lonja.E(lonja.Refused, "rpcbind", err)
	}
	return r, nil
}

// Remove takes the entry back, unless another service has taken its place. An
// rpcbind that is gone has forgotten it anyway, which is not an error.
func (r *Registration) Remove(ctx context.Context) error {
	rpc, err := dialRegistrar(ctx)
	if err != nil {
		return nil
	}
	defer rpc.Close()
	ours, err := rpc.holds(r.bindings)
	if err == nil && ours {
		err = rpc.clear()
	}
	if err != nil {
		return lonja.E(lonja.Refused, "rpcbind", err)
	}
	return nil
}

// bindingsOf lists what to register for a service that listens there over TCP
// and UDP. The unspecified IPv6 address takes IPv4 as well.
func bindingsOf(at netip.AddrPort) []oncrpc.Binding {
	var bindings []oncrpc.Binding
	add := func(suffix string, addr netip.Addr) {
		for _, network := range []string{"tcp", "udp"} {
			b := loggerBinding()
			b.NetID = network + suffix
			b.Address = oncrpc.UniversalAddress(netip.AddrPortFrom(addr, at.Port()))
			bindings = append(bindings, b)
		}
	}
	switch addr := at.Addr().WithZone(""); {
	case addr.Is4():
		add("", addr)
	case addr.IsUnspecified():
		add("", netip.IPv4Unspecified())
		add("6", addr)
	default:
		add("6", addr)
	}
	return bindings
}

// A registrar is one of the two ways to change what the machine's rpcbind has
// for the operation log.
type registrar interface {
	// clear removes all there is. That there was nothing is not an error.
	clear() error
	// set registers the bindings.
	set([]oncrpc.Binding) error
	// holds reports whether one of the bindings is registered.
	holds([]oncrpc.Binding) (bool, error)
	Close() error
}

// dialRegistrar prefers the local socket. What has none is a portmapper of old,
// or an rpcbind that was told to be like one.
func dialRegistrar(ctx context.Context) (registrar, error) {
	var dialer net.Dialer
	conn, errLocal := dialer.DialContext(ctx, "unix", rpcbindSocket)
	if errLocal == nil {
		rpc, err := newRpcbind(ctx, conn)
		return localRegistrar{rpc}, err
	}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(oncrpc.RpcbindPort)))
	if err != nil {
		return nil, both(errLocal, err)
	}
	rpc, err := newRpcbind(ctx, conn)
	return portmapRegistrar{rpc}, err
}

// A localRegistrar speaks RpcbindVersion4, over the local socket.
type localRegistrar struct{ *rpcbind }

func (r localRegistrar) clear() error {
	_, err := r.change(oncrpc.RpcbindVersion4, oncrpc.RpcbindUnset, oncrpc.AppendBinding(nil, loggerBinding()))
	return err
}

func (r localRegistrar) set(bindings []oncrpc.Binding) error {
	for _, b := range bindings {
		done, err := r.change(oncrpc.RpcbindVersion4, oncrpc.RpcbindSet, oncrpc.AppendBinding(nil, b))
		if err := notDone(done, err, b); err != nil {
			return err
		}
	}
	return nil
}

func (r localRegistrar) holds(bindings []oncrpc.Binding) (bool, error) {
	all, err := r.dump()
	for _, registered := range all {
		registered.Owner = ""
		for _, b := range bindings {
			if registered == b {
				return true, nil
			}
		}
	}
	return false, err
}

// A portmapRegistrar speaks PortmapVersion, over loopback. It knows IPv4 only.
type portmapRegistrar struct{ *rpcbind }

func (r portmapRegistrar) clear() error {
	_, err := r.change(oncrpc.PortmapVersion, oncrpc.PortmapUnset, oncrpc.AppendMapping(nil, oncrpc.Mapping{
		Program: oncrpc.LoggerProgram, Version: oncrpc.LoggerVersion,
	}))
	return err
}

func (r portmapRegistrar) set(bindings []oncrpc.Binding) error {
	for _, b := range bindings {
		m, ok := mappingOf(b)
		if !ok {
			continue
		}
		done, err := r.change(oncrpc.PortmapVersion, oncrpc.PortmapSet, oncrpc.AppendMapping(nil, m))
		if err := notDone(done, err, b); err != nil {
			return err
		}
	}
	return nil
}

func (r portmapRegistrar) holds(bindings []oncrpc.Binding) (bool, error) {
	for _, b := range bindings {
		m, ok := mappingOf(b)
		if !ok {
			continue
		}
		port, err := r.port(m.Protocol)
		if err != nil || uint32(port) == m.Port {
			return err == nil, err
		}
	}
	return false, nil
}

// mappingOf is b for a portmapper, if there is such a thing.
func mappingOf(b oncrpc.Binding) (oncrpc.Mapping, bool) {
	protocol, ok := map[string]uint32{"tcp": oncrpc.ProtocolTCP, "udp": oncrpc.ProtocolUDP}[b.NetID]
	at, err := oncrpc.ParseUniversalAddress(b.Address)
	return oncrpc.Mapping{
		Program: b.Program, Version: b.Version, Protocol: protocol, Port: uint32(at.Port()),
	}, ok && err == nil
}

// notDone makes an error of a registration that was answered with no.
func notDone(done bool, err error, b oncrpc.Binding) error {
	if err == nil && !done {
		err = errors.New("it is taken, or another user's")
	}
	if err != nil {
		return fmt.Errorf("register %s at %s: %w", b.NetID, b.Address, err)
	}
	return nil
}
