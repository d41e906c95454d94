package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/downloads"
)

// TestFollow: it is told every so often, and no more once it was stopped.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []time.Duration
		began := time.Now()
		stop := follow(defaultProgress, func() downloads.Status { return downloads.Status{Received: 7} }, func(s downloads.Status) {
			if s.Received != 7 {
				t.Errorf("got %+v", s)
			}
			told = append(told, time.Since(began))
		})
		time.Sleep(3*defaultProgress + time.Second)
		stop()
		time.Sleep(time.Hour)
		if len(told) != 3 || told[0] != defaultProgress || told[2] != 3*defaultProgress {
			t.Errorf("told after %v", told)
		}
		follow(0, nil, nil)()
	})
}

func TestProgressText(t *testing.T) {
	connected := downloads.Holder{Conns: 2}
	for want, s := range map[string]downloads.Status{
		"film: 25.0 MB of 100.0 MB, 5.0 MB/s, 15s left, 2 holders, piece 25 of 100": {
			Received: 25e6, Size: 100e6, Speed: 5e6, Pieces: 25, Of: 100, Holders: []downloads.Holder{connected, {}, connected},
		},
		"film: 0 B of 100 B, 0 B/s, 0 holders, piece 0 of 1":                   {Size: 100, Of: 1},
		"film: 1 B of 2 B, waits: nobody" + lonja.Printable("\x1b") + " there": {Received: 1, Size: 2, Waits: "nobody\x1b there\nana: x"},
		"film: 100 B of 100 B, 0 B/s, 0s left, 1 holder, piece 1 of 1":         {Received: 100, Size: 100, Pieces: 1, Of: 1, Holders: []downloads.Holder{connected}},
	} {
		var out bytes.Buffer
		progressLine(&out, "/home/luis/film")(s)
		if got := strings.TrimSpace(out.String()); got != "lonja: "+want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestHolderEvents: who comes, goes and lies is told once each; at the end, going is
// not.
func TestHolderEvents(t *testing.T) {
	var out bytes.Buffer
	e := newEventWriter(&out, "k7wxyz", "film")
	told := func(what string, end bool, want string, now ...downloads.Holder) {
		t.Helper()
		out.Reset()
		e.holders(now, end)
		var got []string
		for line := range strings.Lines(out.String()) {
			var one event
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.TrimPrefix(one.Event, "holder-")+" "+one.Holder.User)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: got %v, want %s", what, got, want)
		}
	}
	ana, luis := downloads.Holder{User: "ana", Key: "a", Conns: 1}, downloads.Holder{User: "luis", Key: "l"}
	told("the first", false, "joined ana", ana, luis)
	told("nothing new", false, "", ana, luis)
	luis.Conns, ana.Conns, ana.Error = 2, 0, "broke off"
	told("one for the other", false, "left ana, joined luis", ana, luis)
	other := downloads.Holder{User: "ana", Key: "b", Conns: 1}
	told("another node of hers", false, "joined ana", ana, luis, other)
	luis.Lied, luis.Conns = true, 0
	told("a lie", false, "lied luis", ana, luis, other)
	told("gone from the list", false, "left ana", ana, luis)
	told("still gone", false, "", ana, luis)
	late := downloads.Holder{User: "eva", Key: "e", Pieces: 3}
	told("the end", true, "joined eva", ana, luis, late)
}

func TestEndedEvents(t *testing.T) {
	var out bytes.Buffer
	e := newEventWriter(&out, "k7wxyz", "film")
	failure := lonja.E(lonja.Unavailable, "fetch", errors.New("nobody"))
	e.tellEnd(eventFailed, failure)
	e.tellEnd(eventPaused, failure)
	all := lines[event](t, out.String())
	if len(all) != 2 || all[0].Kind != lonja.Unavailable.Error() || all[0].Error != "fetch: nobody" || all[1].Error != "" || all[1].Event != eventPaused {
		t.Errorf("got %s", out.String())
	}
}

func TestWays(t *testing.T) {
	own := []netip.Prefix{netip.MustParsePrefix("192.168.3.0/24"), netip.MustParsePrefix("2001:db8:1::/64")}
	for at, want := range map[string]string{
		"": "", "nonsense": "", "127.0.0.1:1": wayLoopback, "[::1]:1": wayLoopback, "192.168.3.9:1": wayLAN, "192.168.4.9:1": wayPrivate,
		"[::ffff:192.168.3.9]:1": wayLAN, "[2001:db8:1::5]:1": wayLAN, "[2001:db8:2::5]:1": wayPublic, "[fe80::1%eth0]:1": wayLAN, "100.64.3.4:1": wayShared,
		"10.1.1.1:1": wayPrivate, "[fd00::1]:1": wayPrivate, "198.51.100.7:4445": wayPublic,
	} {
		if got := wayOf(at, own); got != want {
			t.Errorf("%s: got %q, want %q", at, got, want)
		}
	}
}

func TestHolderText(t *testing.T) {
	now := time.Unix(1000, 0)
	for want, h := range map[string]downloads.Holder{
		"lied, and is asked no more: wrong piece": {Lied: true, Error: "wrong piece\nmore", Conns: 1},
		"waits in its queue":                      {Place: 3, Conns: 1},
		"1 connection":                            {Conns: 1, Speed: 1},
		"2 connections, and sends nothing":        {Conns: 2},
		"1 connection, has a part only":           {Conns: 1, Speed: 1, Part: true},
		"tried again in 5s; last error: broke":    {Again: now.Add(5 * time.Second), Error: "broke"},
		"being connected":                         {Again: now},
	} {
		if got := holderText(h, now); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for want, h := range map[string]downloads.Holder{
		"Internet":                        {Way: wayPublic, Route: routeDirect, IP: "IPv4"},
		"Internet, IPv6":                  {Way: wayPublic, Route: routeDirect, IP: "IPv6"},
		"Internet, mapped by its router":  {Way: wayPublic, Route: routeMapped, IP: "IPv4"},
		"Internet, forwarded to it, IPv6": {Way: wayPublic, Route: routeSeen, IP: "IPv6"},
		"this machine":                    {Way: wayLoopback, Route: routeDirect, IP: "IPv4"},
	} {
		h.At = "198.51.100.7:4445"
		if cells := holderCells(h, now); cells[2] != want {
			t.Errorf("got %q, want %q", cells, want)
		}
	}
	if cells := holderCells(downloads.Holder{User: "ana", Place: 3}, now); cells[6] != "3" || cells[1] != "-" || cells[3] != "-" {
		t.Errorf("got %q", cells)
	}
}
