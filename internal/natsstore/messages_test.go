package natsstore

import (
	"bytes"
	"testing"
	"time"

	"lonja/internal/store"
)

// TestMessagesBetweenNodes: what one node publishes reaches the subscribers of
// another that is connected to another server, and those of its directory only.
// The first ones may come too early for the servers between them.
func TestMessagesBetweenNodes(t *testing.T) {
	name := newName()
	here := mustOpen(t, nil, Options{Name: name, Servers: tests.shared.URL(0)})
	there := mustOpen(t, nil, Options{Name: name, Servers: tests.shared.URL(1)})
	other := mustOpen(t, nil, Options{Servers: tests.shared.URL(1)})
	subscribe := func(s *Store) <-chan []byte {
		got, ready := make(chan []byte, 10), make(chan struct{})
		go func() {
			_ = s.Subscribe(t.Context(), "A.B", func() { close(ready) }, func(m []byte) { got <- m })
		}()
		<-ready
		return got
	}
	got, foreign := subscribe(there), subscribe(other)
	for known := false; !known; {
		if err := here.Publish(t.Context(), "A.B", []byte("early")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-got:
			known = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	next := func() []byte {
		for {
			if m := <-got; string(m) != "early" {
				return m
			}
		}
	}
	large := bytes.Repeat([]byte("x"), store.MaxMessage)
	for _, m := range [][]byte{large, {}, []byte("last")} {
		if err := here.Publish(t.Context(), "A.B", m); err != nil {
			t.Fatal(err)
		}
		if back := next(); !bytes.Equal(back, m) {
			t.Errorf("got %d bytes, want %d", len(back), len(m))
		}
	}
	if err := other.Publish(t.Context(), "A.B", []byte("own")); err != nil {
		t.Fatal(err)
	}
	if m := <-foreign; string(m) != "own" {
		t.Errorf("another directory's subscriber got %.20q", m)
	}
}
