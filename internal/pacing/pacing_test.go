package pacing

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/fairshare"
)

// send sends so much in one turn.
func send(t *testing.T, turn *Turn, size int) {
	t.Helper()
	for size > 0 {
		n, err := turn.Next(t.Context(), size)
		if err != nil {
			t.Error(err)
			return
		}
		turn.Sent()
		size -= n
	}
}

func begin(t *testing.T, p *Pacer, user lonja.UserName, how fairshare.Terms) *Turn {
	t.Helper()
	turn, place := p.Begin(user, how)
	if place != fairshare.Served {
		t.Fatalf("%s has place %d", user, place)
	}
	return turn
}

// TestOneRate: all requests together keep to the rate, whether they need slots or not, and
// one that does not count is not kept waiting by it.
func TestOneRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(fairshare.Options{Total: 100_000})
		began := time.Now()
		var going sync.WaitGroup
		for user, how := range map[lonja.UserName]fairshare.Terms{"a": {}, "b": {NoSlot: true}} {
			turn := begin(t, p, user, how)
			going.Go(func() {
				defer turn.End()
				send(t, turn, 1_000_000)
			})
		}
		near := begin(t, p, "c", fairshare.Terms{Unlimited: true})
		send(t, near, 10_000_000)
		near.End()
		if took := time.Since(began); took > 0 {
			t.Errorf("who is near took %v", took)
		}
		going.Wait()
		if took := time.Since(began); took < 19*time.Second || took > 20*time.Second {
			t.Errorf("it took %v, want 20 s less what is free", took)
		}
	})
}

// TestWaits: who waits for a slot has it as soon as it is free; who gives up waiting, for
// that or to send, keeps nobody from anything.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(fairshare.Options{Slots: 1, Linger: time.Second, Total: 100_000})
		first := begin(t, p, "a", fairshare.Terms{})
		if turn, place := p.Begin("b", fairshare.Terms{}); turn != nil || place != 1 {
			t.Errorf("the second has place %d", place)
		}
		began := time.Now()
		if place := p.Wait(t.Context(), "b", 2*time.Second); place != 1 || time.Since(began) != 2*time.Second {
			t.Errorf("place %d after %v", place, time.Since(began))
		}
		send(t, first, 50_000) // the next must wait for a moment
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := first.Next(ctx, 1_000_000); lonja.KindOf(err) != lonja.Canceled {
			t.Errorf("got %v", err)
		}
		first.End()
		ended := time.Now()
		if place := p.Wait(t.Context(), "b", 10*time.Second); place != fairshare.Served || time.Since(ended) > time.Second {
			t.Errorf("place %d after %v", place, time.Since(ended))
		}
		second := begin(t, p, "b", fairshare.Terms{})
		send(t, second, 1000)
		second.End()
		gone, leave := context.WithCancel(t.Context())
		leave()
		if place := p.Wait(gone, "c", time.Hour); place == fairshare.NoPlace {
			t.Errorf("place %d", place)
		}
	})
}
