package natsstore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"lonja"
	"lonja/internal/store"
)

var errEnough = errors.New("enough")

// records returns the keys of what a feed of s begins with, in its order.
func records(t *testing.T, s *Store) (keys []store.Key) {
	t.Helper()
	err := s.Feed(t.Context(), func(e store.Event) error {
		if e.Key == "" {
			return errEnough
		}
		keys = append(keys, e.Key)
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	return keys
}

func put(t *testing.T, s *Store, key store.Key, value string, expect store.Rev) store.Rev {
	t.Helper()
	rev, err := s.Apply(t.Context(), []store.Change{{Key: key, Value: []byte(value), Expect: expect}})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// TestJudge: what the last message of a key says about a write that was refused.
func TestJudge(t *testing.T) {
	mine, other := nonce{1}, nonce{2}
	for name, c := range map[string]struct {
		expect store.Rev
		base   uint64
		lost   bool
		seq    uint64
		last   record
		want   verdict
		then   uint64 // the base that the next attempt has
	}{
		"ours, its answer was lost":            {5, 5, true, 9, record{changed, mine, 5, nil}, ours, 5},
		"another's, at once":                   {5, 5, false, 9, record{changed, other, 5, nil}, others, 5},
		"another's, after one we never saw":    {5, 5, false, 9, record{changed, other, 7, nil}, others, 5},
		"as it was":                            {5, 5, false, 5, record{changed, other, 3, nil}, tryAgain, 5},
		"as it was, an answer was lost":        {5, 5, true, 5, record{changed, other, 3, nil}, tryAgain, 5},
		"another's in the place of ours":       {5, 5, true, 9, record{changed, other, 5, nil}, others, 5},
		"another's, perhaps after ours":        {5, 5, true, 9, record{changed, other, 7, nil}, unclear, 5},
		"a name that is taken":                 {0, 0, false, 9, record{created, other, 0, nil}, others, 0},
		"a tombstone where nothing should be":  {0, 0, false, 9, record{deleted, other, 7, nil}, tryAgain, 9},
		"a newer tombstone":                    {0, 9, false, 12, record{deleted, other, 10, nil}, tryAgain, 12},
		"a name that was taken instead":        {0, 9, true, 12, record{created, other, 9, nil}, others, 9},
		"a tombstone, perhaps of ours":         {0, 0, true, 9, record{deleted, other, 7, nil}, unclear, 0},
		"a tombstone from before ours":         {0, 0, true, 8, record{deleted, other, 7, nil}, tryAgain, 8},
		"a tombstone where a value should be":  {5, 5, false, 9, record{deleted, other, 5, nil}, others, 5},
		"our own deletion":                     {5, 5, true, 9, record{deleted, mine, 5, nil}, ours, 5},
		"taken, deleted and taken, after ours": {0, 0, true, 15, record{created, other, 12, nil}, unclear, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := &write{batch: []store.Change{{Key: "k", Expect: c.expect}}, nonce: mine, bases: []uint64{c.base}, began: 8, lost: c.lost}
			if got := w.judge(0, c.seq, c.last); got != c.want || w.bases[0] != c.then {
				t.Errorf("got %d, base %d; want %d, base %d", got, w.bases[0], c.want, c.then)
			}
		})
	}
	for name, c := range map[string]struct {
		expect store.Rev
		lost   bool
		want   verdict
	}{
		"nothing, as expected":             {0, false, tryAgain},
		"nothing, where a value should be": {5, false, others},
		"nothing, perhaps after ours":      {5, true, unclear},
	} {
		t.Run(name, func(t *testing.T) {
			w := &write{batch: []store.Change{{Key: "k", Expect: c.expect}}, bases: []uint64{7}, lost: c.lost}
			if got := w.judgeNothing(0); got != c.want || c.expect == 0 && w.bases[0] != 0 {
				t.Errorf("got %d, base %d; want %d", got, w.bases[0], c.want)
			}
		})
	}
}

// TestLostAnswers: attempts that were kept, but whose answers did not come, are
// found again, single ones and batches, values and tombstones.
func TestLostAnswers(t *testing.T) {
	s := mustOpen(t, nil, Options{})
	put(t, s, "old", "x", 0)
	old := put(t, s, "gone", "x", 0)
	for name, batch := range map[string][]store.Change{
		"a value":     {{Key: "a", Value: []byte("1")}},
		"a tombstone": {{Key: "gone", Expect: old}},
		"a batch":     {{Key: "b/1", Value: []byte("1")}, {Key: "b/2", Value: []byte("1")}, {Key: "b/3", Value: []byte("1")}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			w := s.newWrite(batch)
			first, result, err := s.send(ctx, w)
			if result != done {
				t.Fatal(err)
			}
			w.lost = true // as if nothing had come
			if rev, err := s.carryOut(ctx, w); rev != first || err != nil {
				t.Errorf("got %d, %v; want %d", rev, err, first)
			}
		})
	}
}

// TestTombstones: a name can be taken again over its tombstone, by itself and in a batch, and
// a tombstone has its end.
func TestTombstones(t *testing.T) {
	s := mustOpen(t, nil, Options{})
	for range 3 {
		a, b := put(t, s, "a", "1", 0), put(t, s, "b", "1", 0)
		if _, err := s.Apply(t.Context(), []store.Change{{Key: "a", Expect: a}, {Key: "b", Expect: b}}); err != nil {
			t.Fatal(err)
		}
		m, found, err := s.last(t.Context(), s.subject("a"))
		if r, bad := unseal("a", m.data); !found || err != nil || bad != nil || r.kind != deleted {
			t.Fatalf("no tombstone: %v, %v, %v", found, err, bad)
		}
		stream, err := s.js.Stream(t.Context(), s.name)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := stream.GetMsg(t.Context(), m.seq)
		if err != nil {
			t.Fatal(err)
		}
		if got := msg.Header.Get(lifeHeader); got != tombstoneLife.String() {
			t.Errorf("got %s: %q, want %s", lifeHeader, got, tombstoneLife)
		}
		rev, err := s.Apply(t.Context(), []store.Change{{Key: "a", Value: []byte("2")}, {Key: "b", Value: []byte("2")}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(t.Context(), []store.Change{{Key: "a", Expect: rev - 1}, {Key: "b", Expect: rev}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestManyBatches: more batches at once than the cluster takes of a stream.
func TestManyBatches(t *testing.T) {
	name := newName()
	nodes := []*Store{
		mustOpen(t, nil, Options{Name: name}), mustOpen(t, nil, Options{Name: name}), mustOpen(t, nil, Options{Name: name}),
		mustOpen(t, nil, Options{Name: name}), mustOpen(t, nil, Options{Name: name}), mustOpen(t, nil, Options{Name: name}),
	}
	results := make(chan error)
	const each = 40
	for i, s := range nodes {
		for j := range each {
			go func() {
				batch := make([]store.Change, 50)
				for k := range batch {
					batch[k] = store.Change{Key: store.Key(fmt.Sprintf("%d/%d/%d", i, j, k)), Value: []byte("x")}
				}
				_, err := s.Apply(context.Background(), batch)
				results <- err
			}()
		}
	}
	for range each * len(nodes) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if got, want := len(records(t, nodes[0])), each*len(nodes)*50; got != want {
		t.Errorf("got %d records, want %d", got, want)
	}
}

// TestTheCallerGivesUp: a write whose context ends says so.
func TestTheCallerGivesUp(t *testing.T) {
	s := mustOpen(t, nil, Options{})
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := s.Apply(ctx, []store.Change{{Key: "a", Value: []byte("x")}}); !errors.Is(err, lonja.Canceled) {
		t.Errorf("got error %v, want kind %v", err, lonja.Canceled)
	}
	if err := s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
}
