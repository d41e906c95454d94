package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"lonja"
	"lonja/internal/store"
)

// goldenBackup is what every engine writes for what testBackup does: three
// records, one of which is empty.
const goldenBackup = "lonja backup 1\n" +
	"R\x00\x03\x00\x00\x00\x00" + "b/2" + "\x3b\x07\x6c\x4e" +
	"R\x00\x03\x00\x00\x00\x03" + "b/1one" + "\x59\xfe\xe5\x31" +
	"R\x00\x01\x00\x00\x00\x03" + "ttwo" + "\xcf\x94\xac\x70" +
	"E\x00\x00\x00\x00\x00\x00\x00\x03" + "\x16\xd2\xaf\x69"

// testBackup: whatever the engine, the same records make the same backup, and
// a backup makes the same records.
func testBackup(w *world) {
	first := w.apply(put("b/1", "zero", 0))
	gone := w.apply(put("gone", "x", 0))
	w.apply(put("b/2", "", 0))
	w.apply(put("b/1", "one", first), remove("gone", gone))
	w.apply(put("t", "two", 0))
	if got := w.backup(); got != goldenBackup {
		w.Errorf("got backup %q, want %q", got, goldenBackup)
	}
	other := w.another()
	if n, err := store.Restore(w.Context(), other, strings.NewReader(goldenBackup)); n != 3 || err != nil {
		w.Fatalf("restored %d, %v", n, err)
	}
	other.holds("b/2=", "b/1=one", "t=two")
	if n, err := store.Restore(w.Context(), other, strings.NewReader(goldenBackup)); n != 0 || !errors.Is(err, lonja.Conflict) {
		w.Errorf("into a store that is not empty: restored %d, %v; want kind %v", n, err, lonja.Conflict)
	}
	r, failing := io.Pipe()
	_ = r.Close()
	if err := store.Backup(w.Context(), w, failing); !errors.Is(err, io.ErrClosedPipe) {
		w.Errorf("a writer that fails: got error %v, want its own", err)
	}
}

func (w *world) backup() string {
	w.Helper()
	var b bytes.Buffer
	if err := store.Backup(w.Context(), w, &b); err != nil {
		w.Fatal(err)
	}
	return b.String()
}

// another opens another store of the same engine.
func (w *world) another() *world {
	s := w.open(w.T)
	w.Cleanup(func() { _ = s.Close() })
	return &world{w.T, s, w.open}
}

// testBackupUnderLoad: while pairs of keys change together, a backup has both
// of a pair or neither, and all that was acknowledged before it began.
func testBackupUnderLoad(w *world) {
	const pairs, padding = 8, 3 * store.MaxBatch
	for i := 0; i < padding; i += store.MaxBatch {
		batch := make([]store.Change, store.MaxBatch)
		for j := range batch {
			batch[j] = put(store.Key(fmt.Sprintf("padding/%d", i+j)), "x", 0)
		}
		w.apply(batch...)
	}
	w.apply(put("before", "x", 0))
	ctx, cancel := context.WithCancel(w.Context())
	var writing sync.WaitGroup
	for i := range pairs {
		writing.Go(func() { w.changePair(ctx, i) })
	}
	other := w.another()
	n, err := store.Restore(w.Context(), other, strings.NewReader(w.backup()))
	cancel()
	writing.Wait()
	if n < padding || err != nil {
		w.Fatalf("restored %d, %v", n, err)
	}
	values := map[store.Key]string{}
	for _, e := range other.records() {
		values[e.Key] = string(e.Value)
	}
	if values["before"] == "" {
		w.Error("what was acknowledged before the backup is not in it")
	}
	for i := range pairs {
		left, right := values[pairKey("left", i)], values[pairKey("right", i)]
		if left != right {
			w.Errorf("pair %d: %q and %q are not of one moment", i, left, right)
		}
	}
}

func pairKey(side string, i int) store.Key { return store.Key(fmt.Sprintf("%s/%d", side, i)) }

// changePair makes, changes and removes both of a pair at once, until ctx ends.
func (w *world) changePair(ctx context.Context, i int) {
	var rev store.Rev // of the right one; the left one's is that before it
	for n := 0; ctx.Err() == nil; n++ {
		var batch []store.Change
		for _, key := range []store.Key{pairKey("left", i), pairKey("right", i)} {
			c := put(key, fmt.Sprint(n), 0)
			if n%5 == 4 {
				c.Value = nil
			}
			if rev != 0 {
				c.Expect = rev - store.Rev(1-len(batch))
			}
			batch = append(batch, c)
		}
		var err error
		if rev, err = w.Apply(context.Background(), batch); err != nil {
			w.Errorf("apply: %v", err)
			return
		}
		if n%5 == 4 {
			rev = 0
		}
	}
}
