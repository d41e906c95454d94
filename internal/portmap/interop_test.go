//go:build interop && linux

package portmap_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"lonja/internal/natlab"
	"lonja/internal/portmap"
)

// Routers with the real miniupnpd. This test's binary runs again inside, as the
// program behind the router and as the one that comes from outside.

const (
	roleVariable = "LONJA_PORTMAP_ROLE"
	// shortLease is short so that renewals can be waited for.
	shortLease = 10 * time.Second
	patience   = 30 * time.Second
	nodePort   = 4445
	greeting   = "a listener behind a router\n"
)

func TestMain(m *testing.M) {
	switch role, argument, _ := strings.Cut(os.Getenv(roleVariable), " "); role {
	case "listen":
		exit(listen(argument))
	case "dial":
		exit(dial(argument))
	default:
		os.Exit(m.Run())
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// listen greets whoever connects to a port, has the port mapped, and prints
// each state, until its standard input ends.
func listen(port string) error {
	l, err := net.Listen("tcp4", ":"+port)
	if err != nil {
		return err
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, greeting)
			conn.Close()
		}
	}()
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return err
	}
	return portmap.Run(ctx, portmap.Options{Port: uint16(number), Lease: shortLease, Changed: func(s portmap.State) {
		_ = json.NewEncoder(os.Stdout).Encode(s)
	}})
}

// dial prints what it reads from an address.
func dial(address string) error {
	conn, err := net.DialTimeout("tcp4", address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.Copy(os.Stdout, conn)
	return err
}

// A node is a program behind a router whose port is mapped.
type node struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.Closer
	states *json.Decoder
	stderr strings.Builder
}

func startNode(t *testing.T, lab *natlab.Lab, host natlab.Host, port int) *node {
	t.Helper()
	n := &node{t: t, cmd: lab.Command(host, os.Args[0])}
	n.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=listen %d", roleVariable, port))
	n.cmd.Stderr = &n.stderr
	n.cmd.WaitDelay = patience
	stdin, err := n.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.stdin, n.states = stdin, json.NewDecoder(bufio.NewReader(stdout))
	late := time.AfterFunc(2*patience, func() { _ = n.cmd.Process.Kill() })
	t.Cleanup(func() {
		late.Stop()
		_ = n.cmd.Process.Kill()
		_ = n.cmd.Wait()
	})
	return n
}

// wait waits for a state that is wanted and returns it.
func (n *node) wait(what string, wanted func(portmap.State) bool) portmap.State {
	n.t.Helper()
	for {
		var s portmap.State
		if err := n.states.Decode(&s); err != nil {
			n.t.Fatalf("%s never comes: %v\n%s", what, err, n.stderr.String())
		}
		n.t.Log(s)
		if wanted(s) {
			return s
		}
	}
}

func (n *node) mapped() portmap.Mapping {
	n.t.Helper()
	return n.wait("a mapping", func(s portmap.State) bool { return s.Problem == portmap.None }).Mapping
}

// end ends the program as its user would.
func (n *node) end() {
	n.t.Helper()
	n.stdin.Close()
	if err := n.cmd.Wait(); err != nil {
		n.t.Errorf("the program ends with %v: %s", err, n.stderr.String())
	}
}

// rules returns what the router's daemon has put into the kernel.
func rules(t *testing.T, lab *natlab.Lab, router natlab.Host) string {
	t.Helper()
	out, err := lab.Command(router, "nft", "list", "chain", "inet", "upnp", "prerouting_miniupnpd").CombinedOutput()
	if err != nil {
		t.Fatalf("list the rules: %v\n%s", err, out)
	}
	return string(out)
}

func hasRule(t *testing.T, lab *natlab.Lab, port uint16, to natlab.Host) bool {
	t.Helper()
	for rule := range strings.Lines(rules(t, lab, natlab.RouterA)) {
		if strings.Contains(rule, fmt.Sprintf("dport %d ", port)) && strings.Contains(rule, lab.Addr(to).String()) {
			return true
		}
	}
	return false
}

// mustLead has a peer outside connect to an address that leads to a listener.
func mustLead(t *testing.T, lab *natlab.Lab, at netip.AddrPort) {
	t.Helper()
	cmd := lab.Command(natlab.PublicPeer, os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=dial %v", roleVariable, at))
	if got, err := cmd.Output(); err != nil || string(got) != greeting {
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			t.Logf("%s", ended.Stderr)
		}
		t.Errorf("from outside, %v answers %q (%v), want %q; the router has\n%s", at, got, err, greeting, rules(t, lab, natlab.RouterA))
	}
}

func TestMapsThroughRealRouters(t *testing.T) {
	for _, tc := range []struct{ by, router string }{
		{"UPnP IGD v2", "port+upnp"},
		{"UPnP IGD v1", "port+igd1"},
		{"NAT-PMP", "port+natpmp"},
	} {
		t.Run(tc.by, func(t *testing.T) {
			t.Parallel()
			lab := natlab.Start(t, natlab.Options{A: tc.router})
			n := startNode(t, lab, natlab.A1, nodePort)
			first := n.mapped()
			if want := netip.AddrPortFrom(lab.Addr(natlab.RouterA), nodePort); first.Endpoint.AddrPort != want || first.By != tc.by {
				t.Fatalf("mapped to %v by %q, want %v by %q", first.Endpoint, first.By, want, tc.by)
			}
			mustLead(t, lab, first.Endpoint.AddrPort)

			n.wait("a renewal after the first lease", func(s portmap.State) bool {
				return s.Problem == portmap.None && s.Mapping.Until.After(first.Until.Add(shortLease/2))
			})
			if !hasRule(t, lab, nodePort, natlab.A1) {
				t.Errorf("the renewed mapping is not in the router:\n%s", rules(t, lab, natlab.RouterA))
			}
			mustLead(t, lab, first.Endpoint.AddrPort)

			lab.Forget(t, natlab.RouterA)
			forgotten := time.Now()
			n.wait("another renewal", func(s portmap.State) bool {
				return s.Problem == portmap.None && s.Mapping.Until.After(forgotten.Add(shortLease-time.Second))
			})
			mustLead(t, lab, first.Endpoint.AddrPort)

			n.end()
			if hasRule(t, lab, nodePort, natlab.A1) {
				t.Errorf("the mapping outlives the program:\n%s", rules(t, lab, natlab.RouterA))
			}
		})
	}
}

func TestTakesAnotherPortOfRealRouters(t *testing.T) {
	for _, tc := range []struct{ by, router string }{
		{"UPnP IGD v2", "port+upnp"},
		{"UPnP IGD v1", "port+igd1"},
		{"NAT-PMP", "port+natpmp"},
	} {
		t.Run(tc.by, func(t *testing.T) {
			t.Parallel()
			lab := natlab.Start(t, natlab.Options{A: tc.router})
			first, second := startNode(t, lab, natlab.A1, nodePort), startNode(t, lab, natlab.A2, nodePort)
			one, two := first.mapped(), second.mapped()
			if one.Endpoint == two.Endpoint {
				t.Fatalf("both have %v", one.Endpoint)
			}
			if !hasRule(t, lab, one.Endpoint.Port(), natlab.A1) || !hasRule(t, lab, two.Endpoint.Port(), natlab.A2) {
				t.Errorf("%v and %v are not both in the router:\n%s", one, two, rules(t, lab, natlab.RouterA))
			}
			mustLead(t, lab, one.Endpoint.AddrPort)
			mustLead(t, lab, two.Endpoint.AddrPort)
			first.end()
			if hasRule(t, lab, one.Endpoint.Port(), natlab.A1) || !hasRule(t, lab, two.Endpoint.Port(), natlab.A2) {
				t.Errorf("with the first program its mapping should be gone, and no other:\n%s", rules(t, lab, natlab.RouterA))
			}
			second.end()
		})
	}
}

func TestSaysWhyRealRoutersDoNotMap(t *testing.T) {
	for _, tc := range []struct {
		name, router, prefix string
		host                 natlab.Host
		port                 int
		want                 portmap.Problem
	}{
		{name: "no mapping in the router", router: "port", host: natlab.A1, port: nodePort, want: portmap.NoAnswer},
		{name: "another router before it, UPnP", router: "port+upnp", prefix: "10.9.8", host: natlab.A1, port: nodePort, want: portmap.NoOutside},
		{name: "another router before it, NAT-PMP", router: "port+natpmp", prefix: "10.9.8", host: natlab.A1, port: nodePort, want: portmap.NoOutside},
		{name: "a port that it must not map, UPnP", router: "port+upnp", host: natlab.A1, port: 80, want: portmap.Refused},
		{name: "a port that it must not map, NAT-PMP", router: "port+natpmp", host: natlab.A1, port: 80, want: portmap.Refused},
		{name: "no router", router: "port", host: natlab.PublicPeer, port: nodePort, want: portmap.NoRouter},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			lab := natlab.Start(t, natlab.Options{A: tc.router, Prefix: tc.prefix})
			n := startNode(t, lab, tc.host, tc.port)
			n.wait("the reason", func(s portmap.State) bool { return s.Problem == tc.want })
			n.end()
		})
	}
}
