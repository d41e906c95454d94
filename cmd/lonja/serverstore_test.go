package main

import (
	"strings"
	"testing"
)

// TestStoreFlagsWantAStore: none of them is left out of account in silence.
func TestStoreFlagsWantAStore(t *testing.T) {
	for _, flags := range [][]string{
		{"--store-name", "other"},
		{"--store-credentials", "f"},
		{"--store-ca", "f"},
		{"--store-cert", "f", "--store-key", "f"},
		{"--allow-unsafe-store"},
	} {
		status, _, stderr := runToEnd(t, append([]string{"server", "-p", "0", "--data", inMemory}, flags...)...)
		if status != 2 || !strings.Contains(stderr, "want a --store") {
			t.Errorf("%v: got status %d and %q", flags, status, stderr)
		}
	}
}
