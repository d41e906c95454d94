//go:build interop

package interop_test

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	words "lonja" // lonja is the program here
	"lonja/internal/probe"
)

// Clients that the directory looks after, to learn whether they are there.

// A lone lease is of one user, for as long as the test goes on.
type loneLease struct{ at netip.AddrPort }

func (l loneLease) ProbedCount() int { return 1 }

func (l loneLease) Probed(from uint64, most int, tell func(words.Peer, uint64)) uint64 {
	tell(words.Peer{User: "ana", At: words.Endpoint{AddrPort: l.at}}, 1)
	return 0
}

func (loneLease) RenewLease(words.UserName, uint64) {}
func (loneLease) EndLease(words.UserName, uint64)   {}

// probeTimes probes a peer that often, without a pause, and has it be reached
// each time.
func probeTimes(t *testing.T, at netip.AddrPort, times int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	var mu sync.Mutex
	reached := 0
	err := probe.Run(ctx, probe.Options{
		Leases: loneLease{at}, Period: time.Millisecond, Timeout: patience,
		MaxDials: 1, // the last one has ended when the next begins
		Done: func(o probe.Outcome) {
			mu.Lock()
			defer mu.Unlock()
			if reached++; o != probe.Reached {
				t.Errorf("a probe ended with %v", o)
			}
			if reached > times {
				cancel()
			}
		},
	})
	if err != nil || reached <= times {
		t.Fatalf("reached %d times of %d: %v", reached, times, err)
	}
}

// TestProbedClientsAreLeftInPeace: neither a client of others nor ours says
// anything when it is probed, and both go on serving.
func TestProbedClientsAreLeftInPeace(t *testing.T) {
	content := patternOf(3000)
	t.Run("python", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file.bin")
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		p, at := startPythonPeer(t, nil, "--file", path)
		before := p.output()
		probeTimes(t, at, 30)
		walkTransfers(t, pythonClient{}, at, path, content)
		if got := p.output(); got != before {
			t.Errorf("it says\n%s\nand before it was probed\n%s", got, before)
		}
	})
	t.Run("ours", func(t *testing.T) {
		_, directory := startServer(t)
		c := startUser(t, directory, "ana")
		path := c.offer(t, "file.bin", content)
		at := whereIs(t, pythonClient{}, directory, "ana", "ana")
		shown, explained := c.stdout.bytes(), c.stderr.bytes()
		probeTimes(t, at, 30)
		if got := c.stdout.bytes(); !bytes.Equal(got, shown) {
			t.Errorf("it shows %q, and before it was probed %q", got, shown)
		}
		if got := c.stderr.bytes(); !bytes.Equal(got, explained) {
			t.Errorf("it explains %q, and before it was probed %q", got, explained)
		}
		walkTransfers(t, pythonClient{}, at, path, content)
	})
}
