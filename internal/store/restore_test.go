package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/memstore"
	"lonja/internal/store"
)

var errEnough = errors.New("enough")

// A teller is a store that has nothing but a feed.
type teller struct {
	store.Store
	events []store.Event
}

func (s teller) Barrier(context.Context) (store.Rev, error) { return store.Rev(len(s.events)), nil }

func (s teller) Feed(_ context.Context, tell func(store.Event) error) error {
	for _, e := range append(s.events, store.Event{Rev: store.Rev(len(s.events))}) {
		if err := tell(e); err != nil {
			return err
		}
	}
	return nil
}

// TestRestoreOfKeysThatChanged: keys that changed again and again while the
// backup was made, and so are in it several times, end as they did, wherever
// the restoring has its batches.
func TestRestoreOfKeysThatChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[store.Key]string{}
		var from teller
		add := func(key store.Key, value []byte) {
			from.events = append(from.events, store.Event{Key: key, Value: value, Rev: store.Rev(len(from.events) + 1)})
			if delete(want, key); value != nil {
				want[key] = string(value)
			}
		}
		for i, step := range rapid.SliceOfN(rapid.IntRange(0, 9), 0, 30).Draw(t, "steps") {
			key := store.Key(fmt.Sprint("key/", step%2))
			switch {
			case step == 8: // a batch is full
				for j := range store.MaxBatch - 1 {
					add(store.Key(fmt.Sprint("other/", i, "/", j)), []byte{})
				}
			case step > 5:
				add(key, nil)
			default:
				add(key, fmt.Append(nil, i))
			}
		}
		var b bytes.Buffer
		if err := store.Backup(context.Background(), from, &b); err != nil {
			t.Fatal(err)
		}
		to := memstore.New()
		defer to.Close()
		if _, err := store.Restore(context.Background(), to, &b); err != nil {
			t.Fatal(err)
		}
		got := map[store.Key]string{}
		_ = to.Feed(context.Background(), func(e store.Event) error {
			if e.Key == "" {
				return errEnough
			}
			got[e.Key] = string(e.Value)
			return nil
		})
		if !maps.Equal(got, want) {
			t.Errorf("got %d records, want %d; %q and %q, want %q and %q", len(got), len(want), got["key/0"], got["key/1"], want["key/0"], want["key/1"])
		}
	})
}

// A meddler is a store to which somebody else writes a key before each write.
type meddler struct {
	*memstore.Store
	key store.Key
}

func (m meddler) Apply(ctx context.Context, batch []store.Change) (store.Rev, error) {
	_, _ = m.Store.Apply(ctx, []store.Change{{Key: m.key, Value: []byte("theirs")}}) // the first time
	return m.Store.Apply(ctx, batch)
}

// TestRestoreBesideAWriter: what somebody else writes meanwhile is not replaced
// in silence.
func TestRestoreBesideAWriter(t *testing.T) {
	from := memstore.New()
	var backup bytes.Buffer
	for _, key := range []store.Key{"a", "b"} {
		if _, err := from.Apply(t.Context(), []store.Change{{Key: key, Value: []byte("ours")}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Backup(t.Context(), from, &backup); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Restore(t.Context(), meddler{memstore.New(), "b"}, &backup); !errors.Is(err, lonja.Conflict) {
		t.Errorf("got error %v, want %v", err, lonja.Conflict)
	}
}
