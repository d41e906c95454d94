package portmap

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
)

const pmpPort = 5351

// Operations of NAT-PMP, RFC 6886.
const (
	opAddress = 0
	opMapTCP  = 2
	opAnswer  = 0x80
)

// addressAnswer is a router's answer with its outside address.
func addressAnswer(result uint16, epoch uint32, address netip.Addr) []byte {
	b := []byte{0, opAddress | opAnswer}
	b = binary.BigEndian.AppendUint16(b, result)
	b = binary.BigEndian.AppendUint32(b, epoch)
	return append(b, address.AsSlice()...)
}

// mapAnswer is a router's answer to a request for a port.
func mapAnswer(result uint16, epoch uint32, inside, outside uint16, seconds uint32) []byte {
	b := []byte{0, opMapTCP | opAnswer}
	b = binary.BigEndian.AppendUint16(b, result)
	b = binary.BigEndian.AppendUint32(b, epoch)
	b = binary.BigEndian.AppendUint16(b, inside)
	b = binary.BigEndian.AppendUint16(b, outside)
	return binary.BigEndian.AppendUint32(b, seconds)
}

// startPMP starts a router that answers its address well and requests for
// ports with what answer makes of the ports and the time asked for; nil is no
// answer.
func startPMP(t *testing.T, address func() []byte, answer func(inside, outside uint16, seconds uint32) []byte) network {
	t.Helper()
	at := loopbackNetwork()
	answerPMP(t, at, address, answer)
	return at
}

func answerPMP(t *testing.T, at network, address func() []byte, answer func(inside, outside uint16, seconds uint32) []byte) {
	t.Helper()
	serveUDP(t, netip.AddrPortFrom(at.gateway, pmpPort), func(b []byte) [][]byte {
		var reply []byte
		switch {
		case len(b) == 2 && b[1] == opAddress:
			reply = address()
		case len(b) == 12 && b[1] == opMapTCP:
			reply = answer(binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:]), binary.BigEndian.Uint32(b[8:]))
		}
		if reply == nil {
			return nil
		}
		return [][]byte{reply}
	})
}

func goodAddress() []byte { return addressAnswer(0, 1000, testOutside) }

func TestPMPMaps(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(inside, outside uint16, seconds uint32) []byte
		want   grant
	}{
		{"as asked for", func(in, out uint16, s uint32) []byte { return mapAnswer(0, 1000, in, out, s) }, grant{testPort, time.Hour}},
		{"another port", func(in, out uint16, s uint32) []byte { return mapAnswer(0, 1000, in, out+1, s) }, grant{testPort + 1, time.Hour}},
		{"less time", func(in, out uint16, _ uint32) []byte { return mapAnswer(0, 1000, in, out, 60) }, grant{testPort, time.Minute}},
		{"more time", func(in, out uint16, _ uint32) []byte { return mapAnswer(0, 1000, in, out, 1<<32-1) }, grant{testPort, time.Hour}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var removed atomic.Bool
			at := startPMP(t, goodAddress, func(in, out uint16, s uint32) []byte {
				if s == 0 {
					removed.Store(in == testPort && out == 0)
					return mapAnswer(0, 1000, in, 0, 0)
				}
				return tc.answer(in, out, s)
			})
			found, err := findPMP(t.Context(), at, testPort)
			if err != nil {
				t.Fatal(err)
			}
			m, given, err := obtain(t.Context(), found[0], testPort, time.Hour)
			if err != nil || given != tc.want || m.Endpoint != lonja.EndpointFrom(testOutside, tc.want.port) || m.By != "NAT-PMP" {
				t.Errorf("got %v, %v, %v, want %v", m, given, err, tc.want)
			}
			if err := found[0].check(t.Context(), given.port); err != nil {
				t.Errorf("check: %v", err)
			}
			if err := found[0].remove(t.Context(), given.port); err != nil || !removed.Load() {
				t.Errorf("removed: %v, %v", removed.Load(), err)
			}
		})
	}
}

func TestPMPDoesNotMap(t *testing.T) {
	good := func(in, out uint16, s uint32) []byte { return mapAnswer(0, 1000, in, out, s) }
	for _, tc := range []struct {
		name    string
		address func() []byte
		answer  func(inside, outside uint16, seconds uint32) []byte
		want    Problem
		says    string
	}{
		{"silence", func() []byte { return nil }, good, NoAnswer, ""},
		{"PCP only", func() []byte { return append([]byte{2, opAnswer, 0, 1}, make([]byte, 20)...) }, good, NoAnswer, ""},
		{"not allowed", goodAddress, func(in, out uint16, _ uint32) []byte { return mapAnswer(2, 1000, in, out, 0) }, Refused, "Not Authorized"},
		{"no address, it says", func() []byte { return addressAnswer(3, 1000, testOutside) }, good, NoOutside, ""},
		{"no address", func() []byte { return addressAnswer(0, 1000, netip.IPv4Unspecified()) }, good, NoOutside, ""},
		{"private address", func() []byte { return addressAnswer(0, 1000, netip.MustParseAddr("192.168.0.2")) }, good, DoubleNAT, "192.168.0.2"},
		{"silence when asked for a port", goodAddress, func(uint16, uint16, uint32) []byte { return nil }, Refused, "does not answer"},
		{"the port of another", goodAddress, func(_, out uint16, s uint32) []byte { return mapAnswer(0, 1000, 22, out, s) }, Garbage, "port 22"},
		{"port 0", goodAddress, func(in, _ uint16, s uint32) []byte { return mapAnswer(0, 1000, in, 0, s) }, Garbage, "port 0"},
		{"no time", goodAddress, func(in, out uint16, _ uint32) []byte { return mapAnswer(0, 1000, in, out, 0) }, Garbage, "no time"},
		{"one byte", func() []byte { return []byte{0} }, good, Garbage, ""},
		{"nothing", func() []byte { return []byte{} }, good, Garbage, ""},
		{"cut short", func() []byte { return goodAddress()[:9] }, good, Garbage, ""},
		{"too long", func() []byte { return append(goodAddress(), 1) }, good, Garbage, ""},
		{"another operation", func() []byte { return mapAnswer(0, 1, 2, 3, 4)[:12] }, good, Garbage, ""},
		{"ASCII", func() []byte { return []byte("\x1b[2J no such thing here") }, good, Garbage, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			at := startPMP(t, tc.address, tc.answer)
			found, err := findPMP(t.Context(), at, testPort)
			if err == nil {
				_, _, err = obtain(t.Context(), found[0], testPort, time.Hour)
			}
			if err == nil {
				t.Fatal("mapped")
			}
			got := problemOf(err)
			if got.Problem != tc.want || !strings.Contains(got.Detail, tc.says) || got.Detail != lonja.Printable(got.Detail) {
				t.Errorf("%v says %v %q, want %v %q", err, got.Problem, got.Detail, tc.want, tc.says)
			}
		})
	}
}

func TestPMPWithoutListener(t *testing.T) {
	if _, err := findPMP(t.Context(), loopbackNetwork(), testPort); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("got %v", err)
	}
}

func TestPMPEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	at := startPMP(t, goodAddress, func(in, out uint16, s uint32) []byte { return mapAnswer(0, 1000, in, out, s) })
	found, err := findPMP(ctx, at, testPort)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	p := found[0]
	_, errAddress := p.outside(ctx)
	_, errAdd := p.add(ctx, testPort, time.Hour)
	for _, err := range []error{errAddress, errAdd, p.remove(ctx, testPort)} {
		if !errors.Is(err, lonja.Canceled) {
			t.Errorf("after the end: %v", err)
		}
	}
}

// TestPMPHearsARestart compares a router's clock with ours.
func TestPMPHearsARestart(t *testing.T) {
	for _, tc := range []struct {
		name   string
		passed time.Duration
		epoch  uint32 // which was 10000
		reset  bool
	}{
		{"in step", time.Hour, 13600, false},
		{"fast", time.Hour, 20000, false},
		{"slow, within what the standard allows", time.Hour, 13149, false},
		{"too slow", time.Hour, 13140, true},
		{"begun anew", time.Minute, 5, true},
		{"two seconds back", 0, 9998, false},
		{"three seconds back", 0, 9997, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var p pmp
				p.heard(10000, time.Now())
				if p.reset {
					t.Error("the first answer is no restart")
				}
				p.heard(tc.epoch, time.Now().Add(tc.passed))
				if p.reset != tc.reset {
					t.Errorf("begun anew: %v, want %v", p.reset, tc.reset)
				}
			})
		})
	}
}
