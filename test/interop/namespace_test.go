//go:build interop

package interop_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// A namespace is a network of its own with nothing in it but a loopback
// interface: no other traffic, and every port is free. It lasts as long as the
// test. The nil namespace is the machine's own network.
type namespace struct {
	nsenter string
	holder  *process // what keeps it alive
}

// newNamespace makes a network namespace. It needs either root or a kernel that
// lets users make user namespaces, as Debian's does.
func newNamespace(t *testing.T) *namespace {
	t.Helper()
	unshare := []string{require(t, "unshare", "util-linux"), "--net"}
	if os.Geteuid() != 0 {
		unshare = append(unshare, "--map-root-user")
	}
	script := strings.Join([]string{
		// No early retransmissions: on a busy machine they fill captures with
		// segments that were not lost.
		"echo 0 > /proc/sys/net/ipv4/tcp_early_retrans",
		// No free port on which Wireshark expects some other protocol.
		"echo 50000 56999 > /proc/sys/net/ipv4/ip_local_port_range",
		require(t, "ip", "iproute2") + " link set lo up",
		"echo ready",
		"exec tail -f /dev/null",
	}, " && ")
	holder := start(t, program{argv: append(unshare, "sh", "-c", script)})
	holder.waitLine("^ready$")
	return &namespace{nsenter: require(t, "nsenter", "util-linux"), holder: holder}
}

// enter returns the command that runs argv inside the namespace. It becomes
// argv's process: signals and process groups work as outside.
func (n *namespace) enter(argv []string) []string {
	if n == nil {
		return argv
	}
	prefix := []string{n.nsenter, "--target", strconv.Itoa(n.holder.cmd.Process.Pid), "--net"}
	if os.Geteuid() != 0 {
		prefix = append(prefix, "--user", "--preserve-credentials")
	}
	return append(append(prefix, "--"), argv...)
}
