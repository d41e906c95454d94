package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/dirclient"
)

// TestLimitFlags: each limit of operations and publications reaches the part
// that keeps to it, and none of them is noticed otherwise. Connections need
// more than one client: package dirserver.
func TestLimitFlags(t *testing.T) {
	const attempts = 40 // in far less than the 35 s in which that many would be allowed
	for name, c := range map[string]struct {
		flags []string
		done  int // at least
		all   bool
	}{
		"none":                      {nil, attempts, true},
		"operations of an address":  {[]string{"--limit-loopback", "--limit-operations-per-address=1"}, 2, false},
		"operations of a user":      {[]string{"--limit-loopback", "--limit-operations-per-user=1"}, 2, false},
		"operations, but not here":  {[]string{"--limit-operations-per-address=1"}, attempts, true},
		"publications":              {[]string{"--limit-publications-per-user=2"}, 2, false},
		"publications, no limit":    {[]string{"--limit-publications-per-user=0"}, attempts, true},
		"as many as there are, all": {[]string{"--limit-publications-per-user=40"}, attempts, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, nil, append([]string{"server", "--host", "127.0.0.1", "-p", "0", "--data", inMemory}, c.flags...)...)
			line := server.firstLine()
			dir := dirclient.New(dirclient.Options{Address: "127.0.0.1" + line[strings.LastIndexByte(line, ':'):]})
			for _, err := range []error{dir.Register(t.Context(), "ana"), dir.Connect(t.Context(), "ana", lonja.EndpointFrom(netip.IPv4Unspecified(), 4000))} {
				if err != nil {
					t.Fatal(err)
				}
			}
			done := 0
			for i := range attempts {
				err := dir.Publish(t.Context(), "ana", lonja.Listing{Name: lonja.FileName(fmt.Sprintf("/f%d", i))})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, lonja.Refused): // the status that says no more
					t.Fatal(err)
				}
			}
			if done < c.done || (done == attempts) != c.all {
				t.Errorf("%d of %d were done, want at least %d, all %v", done, attempts, c.done, c.all)
			}
		})
	}
}

func TestNegativeLimit(t *testing.T) {
	for _, flag := range []string{"connections-per-address", "operations-per-address", "operations-per-user", "publications-per-user"} {
		status, _, stderr := runToEnd(t, "server", "-p", "0", "--limit-"+flag, "-1")
		if status != exitUsage || !strings.Contains(stderr, "a limit cannot be below zero") {
			t.Errorf("--limit-%s -1: status %d, %q", flag, status, stderr)
		}
	}
}
