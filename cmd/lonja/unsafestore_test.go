//go:build interop && linux

package main

import (
	"strings"
	"testing"

	"lonja/internal/natsstore/natscluster"
)

// TestUnsafeStore: a cluster that does not sync is refused with the reason,
// and used if that is allowed.
func TestUnsafeStore(t *testing.T) {
	cluster := startCluster(t, natscluster.Options{Unsynced: true})
	args := []string{"server", "--host", "127.0.0.1", "-p", "0", "--store", cluster.URLs(), "--data", t.TempDir()}
	const reason = "syncs now and then only"
	if status, _, stderr := runToEnd(t, args...); status != 2 || !strings.Contains(stderr, reason) {
		t.Errorf("got status %d and %q", status, stderr)
	}
	allowed := start(t, nil, append(args, "--allow-unsafe-store")...)
	allowed.firstLine()
	allowed.waitStderr(reason)
}
