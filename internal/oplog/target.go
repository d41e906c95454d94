package oplog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"lonja/internal/oncrpc"
)

// A target is where an operator says that the operation log is.
type target struct {
	host string // name or address; empty: there is none
	port uint16 // 0: rpcbind knows
}

// parseTarget reads HOST or HOST:PORT. An IPv6 address may stand in brackets,
// and must before a port.
func parseTarget(s string) (target, error) {
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		s = strings.TrimSuffix(inner, "]")
		if !isIPv6(s) {
			return target{}, fmt.Errorf("%q is not an IPv6 address", s)
		}
	}
	if isIPv6(s) || !strings.Contains(s, ":") {
		return target{host: s}, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || strings.Contains(host, ":") && !isIPv6(host) {
		return target{}, fmt.Errorf("%q is neither HOST nor HOST:PORT", s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return target{}, fmt.Errorf("%q does not end in a port from 1 to 65535", s)
	}
	return target{host: host, port: uint16(n)}, nil
}

func isIPv6(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is6()
}

// String is the target as it was given.
func (t target) String() string {
	if t.port == 0 {
		return t.host
	}
	return net.JoinHostPort(t.host, strconv.Itoa(int(t.port)))
}

// A candidate is a place where the service may be.
type candidate struct {
	network string // "tcp" or "udp"
	at      netip.AddrPort
}

// candidates lists where to look for the service, the best first: TCP, which
// carries many calls at once, before UDP, and IPv4 before IPv6, which the
// services made with rpcgen do not know. It is never empty without an error.
func (t target) candidates(ctx context.Context, dial dialFunc) ([]candidate, error) {
	addresses, err := t.resolve(ctx)
	if err != nil {
		return nil, err
	}
	if t.port == 0 {
		return askRpcbinds(ctx, dial, addresses)
	}
	var list []candidate
	for _, network := range []string{"tcp", "udp"} {
		for _, addr := range addresses {
			list = append(list, candidate{network, netip.AddrPortFrom(addr, t.port)})
		}
	}
	return list, nil
}

// resolve returns the host's addresses, IPv4 first.
func (t target) resolve(ctx context.Context) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(t.host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.host)
	if err != nil {
		return nil, err
	}
	for i := range addresses {
		addresses[i] = addresses[i].Unmap()
	}
	slices.SortStableFunc(addresses, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	return addresses, nil
}

// askRpcbinds asks the rpcbind at one address after the other, until one knows
// the service.
func askRpcbinds(ctx context.Context, dial dialFunc, addresses []netip.Addr) ([]candidate, error) {
	var failures []error
	for _, addr := range addresses {
		list, err := askRpcbind(ctx, dial, addr)
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("rpcbind at %s knows no operation log", addr)
		}
		if err == nil {
			return list, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

func askRpcbind(ctx context.Context, dial dialFunc, addr netip.Addr) ([]candidate, error) {
	conn, err := dial(ctx, "tcp", netip.AddrPortFrom(addr, oncrpc.RpcbindPort).String())
	if err != nil {
		return nil, fmt.Errorf("rpcbind: %w", err)
	}
	rpc, err := newRpcbind(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("rpcbind: %w", err)
	}
	defer rpc.Close()
	ports := rpc.ports4
	if addr.Is6() {
		ports = rpc.ports6
	}
	tcp, udp, err := ports()
	if err != nil {
		return nil, fmt.Errorf("rpcbind at %s: %w", addr, err)
	}
	var list []candidate
	if tcp != 0 {
		list = append(list, candidate{"tcp", netip.AddrPortFrom(addr, tcp)})
	}
	if udp != 0 {
		list = append(list, candidate{"udp", netip.AddrPortFrom(addr, udp)})
	}
	return list, nil
}

// ports4 asks for the service's ports over IPv4: 0 for none. It asks as a
// portmapper of old understands it.
func (r *rpcbind) ports4() (tcp, udp uint16, err error) {
	if tcp, err = r.port(oncrpc.ProtocolTCP); err != nil {
		return 0, 0, err
	}
	udp, err = r.port(oncrpc.ProtocolUDP)
	return tcp, udp, err
}

// ports6 does the same over IPv6. Only the ports count: the address is the one
// under which its rpcbind was reached.
func (r *rpcbind) ports6() (tcp, udp uint16, err error) {
	entries, err := r.entries()
	if err != nil {
		return 0, 0, err
	}
	for _, entry := range entries {
		at, err := oncrpc.ParseUniversalAddress(entry.Address)
		switch {
		case err != nil:
			return 0, 0, err
		case entry.NetID == "tcp6":
			tcp = at.Port()
		case entry.NetID == "udp6":
			udp = at.Port()
		}
	}
	return tcp, udp, nil
}
