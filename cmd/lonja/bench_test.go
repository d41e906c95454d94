package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestBenchReportsAsJSON runs each measurement in a small way.
func TestBenchReportsAsJSON(t *testing.T) {
	for _, c := range []struct{ args, key string }{
		{"bench store --rounds 1 --clients 2 --warmup 0s --duration 300ms", "points"},
		{"bench index --rounds 1 --users 60 --listings-per-user 2 --asked 100ms --names unique --duration 300ms", "shapes"},
		{"bench presence --rounds 1 --users 20 --operations 500 --renewals 500 --warmup 0s --duration 300ms", "points"},
		{"bench transfer --rounds 1 --shapes bare,one,crowd --size 2MiB --downloaders 2 --throttled 100ms", "points"},
		{"bench member --rounds 1 --files 1001", "starts"}, // more than a page
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			status, stdout, stderr := runToEnd(t, append(strings.Fields(c.args), "--json")...)
			if status != 0 {
				t.Fatalf("status %d, %s", status, stderr)
			}
			var report map[string]any
			if err := json.Unmarshal([]byte(stdout), &report); err != nil {
				t.Fatal(err)
			}
			if list, ok := report[c.key].([]any); !ok || len(list) == 0 || report["machine"] == "" {
				t.Errorf("got %s", stdout)
			}
		})
	}
}

// TestBenchRefusesNonsense before it measures anything.
func TestBenchRefusesNonsense(t *testing.T) {
	for args, says := range map[string]string{
		"bench store --clients 0":                    "not numbers of clients",
		"bench store --store-ca ca.pem":              "want a --store",
		"bench store --store nats://x --store-key k": "go together",
		"bench index --names long":                   "neither shared nor unique",
		"bench index --users 3":                      "nothing to measure",
		"bench presence --rounds 0":                  "too few",
		"bench transfer --shapes fast":               "there are",
		"bench member --files 0":                     "too few",
		"bench transfer --size big":                  "not a size",
		"bench transfer --holders 1":                 "1 holders",
		"bench transfer --rate 1":                    "too few",
	} {
		t.Run(args, func(t *testing.T) {
			status, stdout, stderr := runToEnd(t, strings.Fields(args)...)
			if status != 2 || !strings.Contains(stderr, says) || stdout != "" {
				t.Errorf("status %d, %q and %q; want 2 and %q", status, stderr, stdout, says)
			}
		})
	}
}
