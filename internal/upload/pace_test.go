package upload

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

	"lonja/internal/fairshare"
	"lonja/internal/pacing"
)

// There is one rate for all that is sent, in this dialect and in another one, and one for
// each address; neither is for those who are near. Nobody is cut off for being slow who is
// only made to wait.
func TestPaced(t *testing.T) {
	const size = 1_000_000
	for name, tc := range map[string]struct {
		rates  fairshare.Options
		from   []string
		others int           // transfers of that size in another dialect
		least  time.Duration // that all of it takes; a tenth of a second's worth is free, and the last quantum is paid for afterwards
	}{
		"all":         {fairshare.Options{Total: 100_000}, []string{"192.0.2.1", "192.0.2.2"}, 0, 19 * time.Second},
		"each":        {fairshare.Options{Each: 100_000}, []string{"192.0.2.1", "192.0.2.1", "192.0.2.2"}, 0, 19 * time.Second},
		"one network": {fairshare.Options{Each: 100_000}, []string{"2001:db8::1", "2001:db8::2"}, 0, 19 * time.Second},
		"both":        {fairshare.Options{Total: 100_000}, []string{"192.0.2.1"}, 2, 29 * time.Second},
		"near":        {fairshare.Options{Total: 100_000}, []string{"10.0.0.1"}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var pacer *pacing.Pacer
			opts := Options{
				Files: published(t, make([]byte, size)), Near: netip.Addr.IsPrivate, StallTimeout: 5 * time.Second,
				LeastRate: 1 << 30, MaxConns: len(tc.from), // no place for another one
			}
			paced := func() Options {
				pacer = pacing.New(tc.rates)
				opts.Pacer = pacer
				return opts
			}
			simulateWith(t, paced, func(t *testing.T, l *pipeListener) {
				began := time.Now()
				var going sync.WaitGroup
				for _, ip := range tc.from {
					conn := l.dialFrom(ip)
					going.Go(func() {
						say(t, conn, wholeFile)
						if n, err := io.CopyN(io.Discard, conn, 1+size); err != nil {
							t.Errorf("%s: %d bytes came, %v", ip, n, err)
						}
						_ = conn.Close()
					})
				}
				for range tc.others {
					going.Go(func() { other(t, pacer, size) })
				}
				going.Wait()
				if took := time.Since(began); took < tc.least || took > tc.least+time.Second {
					t.Errorf("it took %v, want %v or a little more", took, tc.least)
				}
			})
		})
	}
}

// other sends so much in another dialect, as a user.
func other(t *testing.T, pacer *pacing.Pacer, size int) {
	turn, place := pacer.Begin("ana", fairshare.Terms{})
	if place != fairshare.Served {
		t.Errorf("place %d", place)
		return
	}
	defer turn.End()
	for size > 0 {
		n, err := turn.Next(context.Background(), size)
		if err != nil {
			t.Error(err)
			return
		}
		turn.Sent()
		size -= n
	}
}
