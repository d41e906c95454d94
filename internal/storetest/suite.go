// Package storetest is the contract of store.Store as a test suite. Every
// engine passes it; only tests import it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"lonja"
	"lonja/internal/store"
)

// patience bounds what the suite waits for.
const patience = 60 * time.Second

// Run runs the suite on the stores that open returns: empty ones, which it
// closes.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for name, test := range map[string]func(*world){
		"a key's life":                  testLife,
		"expectations":                  testExpectations,
		"a batch is all or nothing":     testBatches,
		"limits":                        testLimits,
		"a feed begins with what is":    testFeedSnapshot,
		"a feed goes on":                testFeedGoesOn,
		"a feed misses nothing":         testFeedUnderLoad,
		"a feed ends":                   testFeedEnds,
		"one of two at once wins":       testRaces,
		"a barrier is not before acks":  testBarrier,
		"purge":                         testPurge,
		"a backup is the same anywhere": testBackup,
		"a backup is of one moment":     testBackupUnderLoad,
		"messages":                      testMessages,
		"health":                        testHealth,
		"closed":                        testClosed,
		"canceled":                      testCanceled,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() { _ = s.Close() })
			test(&world{t, s, open})
		})
	}
}

type world struct {
	*testing.T
	store.Store
	open func(*testing.T) store.Store // another one, empty
}

func put(key store.Key, value string, expect store.Rev) store.Change {
	return store.Change{Key: key, Value: []byte(value), Expect: expect}
}

func remove(key store.Key, expect store.Rev) store.Change {
	return store.Change{Key: key, Expect: expect}
}

func (w *world) apply(batch ...store.Change) store.Rev {
	w.Helper()
	rev, err := w.Apply(w.Context(), batch)
	if err != nil {
		w.Fatalf("apply %v: %v", batch, err)
	}
	return rev
}

func (w *world) refused(kind lonja.Kind, batch ...store.Change) {
	w.Helper()
	if rev, err := w.Apply(w.Context(), batch); !errors.Is(err, kind) {
		w.Errorf("apply %v: got %d, %v; want kind %v", batch, rev, err, kind)
	}
}

var errEnough = errors.New("enough")

// records returns what a new feed begins with, up to a barrier.
func (w *world) records() []store.Event {
	w.Helper()
	last := w.apply(put("mark", "x", 0))
	defer w.apply(remove("mark", last))
	var events []store.Event
	err := w.Feed(w.Context(), func(e store.Event) error {
		if e.Rev >= last {
			return errEnough
		}
		if e.Key != "" {
			events = append(events, e)
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		w.Fatalf("feed: %v", err)
	}
	return events
}

// holds compares the records with "key=value" in the order of revisions.
func (w *world) holds(want ...string) {
	w.Helper()
	var got []string
	for _, e := range w.records() {
		got = append(got, fmt.Sprintf("%s=%s", e.Key, e.Value))
	}
	if !slices.Equal(got, want) {
		w.Errorf("got %v, want %v", got, want)
	}
}

func testLife(w *world) {
	first := w.apply(put("a", "1", 0))
	second := w.apply(put("a", "2", first))
	if second <= first || first == 0 {
		w.Errorf("revisions %d, %d do not grow", first, second)
	}
	w.holds("a=2")
	w.apply(remove("a", second))
	w.holds()
	third := w.apply(put("a", "", 0)) // an empty value is a value
	if third <= second {
		w.Errorf("revision %d after %d", third, second)
	}
	w.holds("a=")
}

func testExpectations(w *world) {
	w.refused(lonja.Conflict, put("a", "1", 7))
	w.refused(lonja.Conflict, remove("a", 7))
	rev := w.apply(put("a", "1", 0))
	w.refused(lonja.Conflict, put("a", "2", 0))
	w.refused(lonja.Conflict, put("a", "2", rev+1))
	w.refused(lonja.Conflict, remove("a", rev+5))
	w.holds("a=1")
	w.apply(remove("a", rev))
	w.refused(lonja.Conflict, put("a", "2", rev))
	w.refused(lonja.Conflict, remove("a", rev))
	w.holds()
}

func testBatches(w *world) {
	a := w.apply(put("a", "1", 0), put("b", "1", 0), put("c", "1", 0))
	w.holds("a=1", "b=1", "c=1")
	_ = a
	w.refused(lonja.Conflict, put("d", "1", 0), put("b", "2", 0), put("e", "1", 0))
	w.holds("a=1", "b=1", "c=1")
	revs := map[store.Key]store.Rev{}
	for _, e := range w.records() {
		revs[e.Key] = e.Rev
	}
	w.apply(remove("a", revs["a"]), put("b", "2", revs["b"]), put("d", "1", 0))
	w.holds("c=1", "b=2", "d=1")
	many := make([]store.Change, store.MaxBatch)
	for i := range many {
		many[i] = put(store.Key(fmt.Sprintf("many/%04d", i)), "x", 0)
	}
	w.apply(many...)
	if got, want := len(w.records()), 3+len(many); got != want {
		w.Errorf("got %d records, want %d", got, want)
	}
}

func testLimits(w *world) {
	long := store.Key(make([]byte, 0))
	for range store.MaxKey {
		long += "k"
	}
	w.refused(lonja.Invalid)
	w.refused(lonja.Invalid, put("", "x", 0))
	w.refused(lonja.Invalid, put(long+"k", "x", 0))
	w.refused(lonja.Invalid, put("with blank", "x", 0))
	w.refused(lonja.Invalid, put("ñ", "x", 0))
	w.refused(lonja.Invalid, put("a", "1", 0), put("a", "2", 0))
	w.refused(lonja.Invalid, remove("a", 0))
	w.refused(lonja.Invalid, put("a", string(make([]byte, store.MaxValue+1)), 0))
	w.refused(lonja.Invalid, make([]store.Change, store.MaxBatch+1)...)
	w.apply(put(long, string(make([]byte, store.MaxValue)), 0))
	w.apply(put("-/_=.09AZaz", "x", 0))
}

func testFeedSnapshot(w *world) {
	a := w.apply(put("a", "1", 0))
	w.apply(put("b", "1", 0))
	w.apply(put("a", "2", a))
	c := w.apply(put("c", "1", 0))
	w.apply(remove("c", c))
	w.holds("b=1", "a=2")
}

// feed collects events in the background until the test's end.
func (w *world) feed() <-chan store.Event {
	ctx, cancel := context.WithCancel(context.Background())
	events, ended := make(chan store.Event, 100_000), make(chan struct{})
	go func() {
		defer close(ended)
		err := w.Feed(ctx, func(e store.Event) error {
			if e.Key != "" {
				events <- e
			}
			return nil
		})
		if err == nil {
			w.Error("the feed ended without an error")
		}
	}()
	w.Cleanup(func() {
		cancel()
		<-ended
	})
	return events
}

func (w *world) next(events <-chan store.Event) store.Event {
	w.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(patience):
		w.Fatal("the feed tells nothing")
		return store.Event{}
	}
}

func testFeedGoesOn(w *world) {
	w.apply(put("a", "1", 0))
	events := w.feed()
	a := w.next(events)
	b := w.apply(put("b", "1", 0))
	w.apply(remove("b", b), put("a", "2", a.Rev))
	for _, want := range []string{"b=1", "b=gone", "a=2"} {
		e := w.next(events)
		got := fmt.Sprintf("%s=%s", e.Key, e.Value)
		if e.Value == nil {
			got = string(e.Key) + "=gone"
		}
		if got != want {
			w.Errorf("got %s, want %s", got, want)
		}
	}
}

// testFeedUnderLoad: feeds that begin while others write tell the changes
// once, in order. A change that another of the same key follows at once may be
// left out.
func testFeedUnderLoad(w *world) {
	const writers, changes = 8, 60
	var writing sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			key, rev := store.Key(fmt.Sprintf("key/%d", i)), store.Rev(0)
			for n := range changes {
				var err error
				if rev, err = w.Apply(context.Background(), []store.Change{put(key, fmt.Sprint(n), rev)}); err != nil {
					w.Errorf("apply: %v", err)
					return
				}
			}
		})
	}
	for range 5 {
		events := w.feed()
		writing.Go(func() {
			last, values := store.Rev(0), map[store.Key]string{}
			for done := 0; done < writers; {
				e := w.next(events)
				if e.Rev <= last {
					w.Errorf("revision %d after %d", e.Rev, last)
				}
				before, told := values[e.Key]
				var n, m int
				_, _ = fmt.Sscan(string(e.Value), &n)
				_, _ = fmt.Sscan(before, &m)
				if told && n <= m {
					w.Errorf("%s is %d after %d", e.Key, n, m)
				}
				last, values[e.Key] = e.Rev, string(e.Value)
				if n == changes-1 {
					done++
				}
			}
		})
	}
	writing.Wait()
}

func testFeedEnds(w *world) {
	w.apply(put("a", "1", 0))
	if err := w.Feed(w.Context(), func(store.Event) error { return errEnough }); !errors.Is(err, errEnough) {
		w.Errorf("got error %v, want that of tell", err)
	}
	ctx, cancel := context.WithCancel(w.Context())
	err := w.Feed(ctx, func(store.Event) error { cancel(); return nil })
	if !errors.Is(err, lonja.Canceled) {
		w.Errorf("got error %v, want %v", err, lonja.Canceled)
	}
	w.apply(put("b", "1", 0)) // nobody waits for the feeds that are gone
}

// testRaces: rivals for the same names, each of which has one winner.
func testRaces(w *world) {
	const rivals, names = 16, 40
	winners := make([][]int, names)
	var mu sync.Mutex
	var racing sync.WaitGroup
	for r := range rivals {
		racing.Go(func() {
			for _, n := range rand.Perm(names) {
				_, err := w.Apply(context.Background(), []store.Change{put(store.Key(fmt.Sprintf("name/%d", n)), fmt.Sprint(r), 0)})
				switch {
				case err == nil:
					mu.Lock()
					winners[n] = append(winners[n], r)
					mu.Unlock()
				case !errors.Is(err, lonja.Conflict):
					w.Errorf("apply: %v", err)
				}
			}
		})
	}
	racing.Wait()
	owners := map[store.Key]string{}
	for _, e := range w.records() {
		owners[e.Key] = string(e.Value)
	}
	for n, won := range winners {
		if len(won) != 1 || owners[store.Key(fmt.Sprintf("name/%d", n))] != fmt.Sprint(won[0]) {
			w.Errorf("name %d: won by %v, owned by %s", n, won, owners[store.Key(fmt.Sprintf("name/%d", n))])
		}
	}
}

func testBarrier(w *world) {
	for i := range 20 {
		rev := w.apply(put(store.Key(fmt.Sprint(i)), "x", 0))
		if barrier, err := w.Barrier(w.Context()); err != nil || barrier < rev {
			w.Errorf("got %d, %v; want at least %d", barrier, err, rev)
		}
	}
	gone := w.apply(put("gone", "x", 0))
	w.apply(remove("gone", gone)) // the last change leaves no record
	barrier, err := w.Barrier(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if err := w.Feed(w.Context(), func(e store.Event) error {
		if e.Rev >= barrier {
			return errEnough
		}
		return nil
	}); !errors.Is(err, errEnough) {
		w.Errorf("the feed did not come to the barrier: %v", err)
	}
}

func testPurge(w *world) {
	w.apply(put("a/1", "x", 0), put("a/2", "x", 0), put("ab", "x", 0), put("b/1", "x", 0))
	if err := w.Purge(w.Context(), "a/"); err != nil {
		w.Fatal(err)
	}
	w.holds("ab=x", "b/1=x")
	w.apply(put("a/1", "y", 0))
}

// testMessages: a message reaches all subscribers of its subject, in order,
// and nobody else.
func testMessages(w *world) {
	const count = 100
	subscribe := func(subject string) <-chan string {
		got, ready := make(chan string, count), make(chan struct{})
		go func() {
			_ = w.Subscribe(w.Context(), subject, func() { close(ready) }, func(m []byte) { got <- string(m) })
		}()
		<-ready
		return got
	}
	first, second, other := subscribe("ONE"), subscribe("ONE"), subscribe("OTHER")
	publish := func(subject, message string) {
		if err := w.Publish(w.Context(), subject, []byte(message)); err != nil {
			w.Fatal(err)
		}
	}
	for i := range count {
		publish("ONE", fmt.Sprint(i))
	}
	publish("OTHER", "last")
	for i := range count {
		for _, got := range []<-chan string{first, second} {
			if m := <-got; m != fmt.Sprint(i) {
				w.Fatalf("got message %s, want %d", m, i)
			}
		}
	}
	if m := <-other; m != "last" {
		w.Errorf("the other subject got %q", m)
	}
	if err := w.Publish(w.Context(), "ONE", make([]byte, store.MaxMessage+1)); !errors.Is(err, lonja.Invalid) {
		w.Errorf("too long a message: got error %v, want %v", err, lonja.Invalid)
	}
}

func testHealth(w *world) {
	if err := w.Health(); err != nil {
		w.Errorf("health: %v", err)
	}
}

func testClosed(w *world) {
	if err := w.Close(); err != nil {
		w.Fatal(err)
	}
	w.refused(lonja.Unavailable, put("a", "1", 0))
	if err := w.Feed(w.Context(), func(store.Event) error { return nil }); !errors.Is(err, lonja.Unavailable) {
		w.Errorf("feed: got error %v, want %v", err, lonja.Unavailable)
	}
}

func testCanceled(w *world) {
	ctx, cancel := context.WithCancel(w.Context())
	cancel()
	if _, err := w.Apply(ctx, []store.Change{put("a", "1", 0)}); err != nil && !errors.Is(err, lonja.Canceled) {
		w.Errorf("apply: got error %v, want %v", err, lonja.Canceled)
	}
	if _, err := w.Barrier(ctx); !errors.Is(err, lonja.Canceled) {
		w.Errorf("barrier: got error %v, want %v", err, lonja.Canceled)
	}
}
