package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"lonja"
	"lonja/internal/memstore"
	"lonja/internal/sqlitestore"
	"lonja/internal/store"
)

func newStore(t testing.TB) store.Store {
	s := memstore.New()
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func put(t testing.TB, s store.Store, key store.Key, value string) {
	t.Helper()
	if _, err := s.Apply(t.Context(), []store.Change{{Key: key, Value: []byte(value)}}); err != nil {
		t.Fatal(err)
	}
}

func backup(t testing.TB, s store.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := store.Backup(t.Context(), s, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// small returns a backup of a few records.
func small(t testing.TB) []byte {
	s := newStore(t)
	put(t, s, "a", "1")
	put(t, s, "b/empty", "")
	put(t, s, "c", strings.Repeat("long ", 20))
	return backup(t, s)
}

// TestBackupGoesFromEngineToEngine and back.
func TestBackupGoesFromEngineToEngine(t *testing.T) {
	open := func() store.Store {
		s, err := sqlitestore.Open(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	first := open()
	const records = 2*store.MaxBatch + 7
	for batch := range slices.Chunk(make([]store.Change, records), store.MaxBatch) {
		rev, err := first.Barrier(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch {
			batch[i] = store.Change{Key: store.Key(fmt.Sprintf("key/%d/%d", rev, i)), Value: []byte{byte(i)}}
		}
		if _, err := first.Apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	want := backup(t, first)
	for i, next := range []store.Store{newStore(t), open(), newStore(t)} {
		if n, err := store.Restore(t.Context(), next, bytes.NewReader(want)); n != records || err != nil {
			t.Fatalf("step %d: restored %d, %v; want %d", i, n, err, records)
		}
		if got := backup(t, next); !bytes.Equal(got, want) {
			t.Errorf("step %d: the backup is another one", i)
		}
	}
}

// TestRestoreNoticesDamage: each byte that is missing, each bit that is another.
func TestRestoreNoticesDamage(t *testing.T) {
	whole := small(t)
	restore := func(b []byte) error {
		n, err := store.Restore(t.Context(), newStore(t), bytes.NewReader(b))
		if n > 3 {
			t.Errorf("restored %d of 3", n)
		}
		return err
	}
	if err := restore(whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := restore(whole[:n]); !errors.Is(err, lonja.Damaged) {
			t.Errorf("cut to %d bytes: got error %v, want %v", n, err, lonja.Damaged)
		}
	}
	for n := range 8 * len(whole) {
		flipped := bytes.Clone(whole)
		flipped[n/8] ^= 1 << (n % 8)
		if err := restore(flipped); !errors.Is(err, lonja.Damaged) && !errors.Is(err, lonja.Invalid) {
			t.Errorf("bit %d flipped: got error %v, want %v", n, err, lonja.Damaged)
		}
	}
	if err := restore(append(bytes.Clone(whole), 0)); !errors.Is(err, lonja.Damaged) {
		t.Errorf("one byte more: got error %v, want %v", err, lonja.Damaged)
	}
	if err := restore([]byte(`{"account":"an export is not a backup"}`)); !errors.Is(err, lonja.Invalid) {
		t.Errorf("not a backup: got error %v, want %v", err, lonja.Invalid)
	}
	// Whole records in another order, or one of them twice, have good sums.
	header := len("lonja backup 1\n")
	twice := slices.Concat(whole[:header], whole[header:header+13], whole[header:])
	if err := restore(twice); !errors.Is(err, lonja.Damaged) {
		t.Errorf("a record twice: got error %v, want %v", err, lonja.Damaged)
	}
}

// TestReaderAndWriterErrors are told as they are.
func TestReaderAndWriterErrors(t *testing.T) {
	whole := small(t)
	failing := io.MultiReader(bytes.NewReader(whole[:40]), iotest.ErrReader(io.ErrClosedPipe))
	if _, err := store.Restore(t.Context(), newStore(t), failing); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got error %v, want the reader's", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Backup(ctx, newStore(t), io.Discard); !errors.Is(err, lonja.Canceled) {
		t.Errorf("got error %v, want %v", err, lonja.Canceled)
	}
}

// A busyStore tells what a feed tells while others write. No engine does it
// on request.
type busyStore struct {
	store.Store
	events []store.Event
}

func (s busyStore) Barrier(context.Context) (store.Rev, error) { return 100, nil }

func (s busyStore) Feed(_ context.Context, tell func(store.Event) error) error {
	for _, e := range s.events {
		if err := tell(e); err != nil {
			return err
		}
	}
	return errors.New("told everything")
}

// TestBackupOfWhatChanges: keys that are told again, gone, or back again while
// the backup is made end as the feed says last.
func TestBackupOfWhatChanges(t *testing.T) {
	var events []store.Event
	tell := func(rev store.Rev, key store.Key, value []byte) {
		events = append(events, store.Event{Rev: rev, Key: key, Value: value})
	}
	for i := range store.Rev(50) { // so that a batch has some before the first conflict
		tell(i, store.Key(fmt.Sprintf("pad/%02d", i)), []byte("x"))
	}
	tell(60, "changed", []byte("old"))
	tell(61, "gone", []byte("old"))
	tell(62, "back", []byte("old"))
	for i := range store.Rev(store.MaxBatch) { // the batch before is applied
		tell(63, store.Key(fmt.Sprintf("more/%d", i)), []byte("x"))
	}
	tell(0, "", nil) // not the end: the barrier is further
	tell(64, "changed", []byte("new"))
	tell(65, "gone", nil)
	tell(66, "back", nil)
	tell(67, "back", []byte{})
	tell(68, "short", []byte("lived"))
	tell(69, "short", nil)
	tell(70, "never", nil)
	tell(100, "", nil)
	tell(101, "after", []byte("the barrier"))
	whole := backup(t, busyStore{events: events})

	s := newStore(t)
	if _, err := store.Restore(t.Context(), s, bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	got := map[store.Key]string{}
	_ = s.Feed(t.Context(), func(e store.Event) error {
		if e.Key == "" {
			return io.EOF
		}
		got[e.Key] = string(e.Value)
		return nil
	})
	if len(got) != 50+store.MaxBatch+2 || got["changed"] != "new" {
		t.Errorf("got %d records, and %q", len(got), got["changed"])
	}
	for key, want := range map[store.Key]bool{"back": true, "gone": false, "short": false, "never": false, "after": false} {
		if _, there := got[key]; there != want {
			t.Errorf("%s is there: %t, want %t", key, there, want)
		}
	}
}

// FuzzRestore: whatever is read, Restore ends, and what it takes for whole
// makes the same backup again.
func FuzzRestore(f *testing.F) {
	f.Add(small(f))
	f.Add([]byte("lonja backup 1\n"))
	f.Add([]byte("lonja backup 1\nR\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newStore(t)
		if _, err := store.Restore(t.Context(), s, bytes.NewReader(b)); err != nil {
			return
		}
		again := newStore(t)
		if _, err := store.Restore(t.Context(), again, bytes.NewReader(backup(t, s))); err != nil {
			t.Errorf("its own backup: %v", err)
		}
		if !bytes.Equal(backup(t, s), backup(t, again)) {
			t.Error("the backup of what was restored is another one")
		}
	})
}
