package unfinished

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/tree"
)

// recorded returns what the record of f says now on disk.
func recorded(t *testing.T, f *File) *roaring.Bitmap {
	t.Helper()
	file, err := f.place.part.Open(recordName)
	must(t, err)
	defer file.Close()
	r := recorder{file: file, id: f.opts.ID, layout: f.layout}
	if good := r.read(); good != nil {
		return good
	}
	return roaring.New()
}

// TestSyncsByItself: what is good is recorded after a time, or when it is much.
func TestSyncsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, filepath.Join(t.TempDir(), "file"), Options{ID: idA, Size: 2 * syncBytes})
		defer f.Close()
		put(t, f, 0, 1)
		synctest.Wait()
		if got := recorded(t, f); !got.IsEmpty() {
			t.Errorf("at once %v are recorded, want none", got)
		}
		time.Sleep(syncTime)
		synctest.Wait()
		if got := recorded(t, f); !got.Equals(roaring.BitmapOf(0, 1)) {
			t.Errorf("after %v %v are recorded, want 0 and 1", syncTime, got)
		}
		const many = syncBytes / tree.PieceSize
		for p := range int64(many) {
			must(t, f.Put(2+p, pieceOf(f, 2+p)))
			synctest.Wait()
			want := uint64(2)
			if p == many-1 {
				want += many
			}
			if got := recorded(t, f).GetCardinality(); got != want {
				t.Errorf("after %d pieces %d are recorded, want %d", p+1, got, want)
			}
		}
	})
}

// TestFailedSync: of what was written before a sync that failed nothing counts
// but what was recorded, also not what was being written, or is synced again.
func TestFailedSync(t *testing.T) {
	target := filepath.Join(t.TempDir(), "file")
	fails := error(nil)
	o := Options{ID: idA, Size: 8 * tree.PieceSize, testOnlySync: func(data *os.File) error {
		if fails != nil {
			return fails
		}
		return data.Sync()
	}}
	f := begin(t, target, o)
	put(t, f, 0)
	must(t, f.Sync())
	put(t, f, 1)
	for _, p := range []int64{2, 3} {
		_, err := f.ledger.begin(p)
		must(t, err)
	}

	fails = &fs.PathError{Op: "sync", Path: dataName, Err: syscall.EIO}
	wantKind(t, f.Sync(), lonja.LocalFile, syscall.EIO, target)
	wantGood(t, f, 0)
	fails = nil
	must(t, f.Sync())
	wantGood(t, f, 0)
	wantKind(t, f.done(2), lonja.LocalFile, syscall.EIO, "piece 2")
	must(t, f.Put(3, pieceOf(f, 3))) // all of it is new
	put(t, f, 1, 2)
	wantGood(t, f, 0, 1, 2, 3)
	must(t, f.Sync())
	f.abandon()
	wantGood(t, begin(t, target, o), 0, 1, 2, 3)
}

// TestFailedSyncIsTold: an error that nobody waited for is told to the next one
// who writes, once.
func TestFailedSyncIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := filepath.Join(t.TempDir(), "file")
		fails := true
		f := begin(t, target, Options{ID: idA, Size: 2 * tree.PieceSize, testOnlySync: func(*os.File) error {
			if fails {
				return syscall.ENOSPC
			}
			return nil
		}})
		defer f.Close()
		put(t, f, 0)
		time.Sleep(syncTime)
		synctest.Wait()
		fails = false
		wantGood(t, f)
		wantKind(t, f.Put(1, pieceOf(f, 1)), lonja.LocalFile, syscall.ENOSPC, "make some room")
		put(t, f, 0, 1)
		must(t, f.Commit())
		wantContent(t, target, contentAt(idA, 0, 2*tree.PieceSize))
	})
}

// TestFailedRecord: what could not be recorded is good, and recorded later.
func TestFailedRecord(t *testing.T) {
	target := filepath.Join(t.TempDir(), "file")
	o := Options{ID: idA, Size: 3 * tree.PieceSize}
	f := begin(t, target, o)
	put(t, f, 0)
	must(t, f.Sync())
	writable := f.record.file
	readable, err := f.place.part.Open(recordName)
	must(t, err)
	defer readable.Close()
	f.record.file = readable
	put(t, f, 1)
	wantKind(t, f.Sync(), lonja.LocalFile, syscall.EBADF, target)
	wantGood(t, f, 0, 1)
	f.record.file = writable
	must(t, f.Sync())
	f.abandon()
	wantGood(t, begin(t, target, o), 0, 1)
}

// TestFailedSyncIsToldToCommit: it does not take pieces that were lost for pieces
// that were never there.
func TestFailedSyncIsToldToCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := true
		f := begin(t, filepath.Join(t.TempDir(), "file"), Options{ID: idA, Size: 10, testOnlySync: func(*os.File) error {
			if fails {
				return syscall.EIO
			}
			return nil
		}})
		defer f.Close()
		put(t, f, 0)
		time.Sleep(syncTime)
		synctest.Wait()
		fails = false
		wantKind(t, f.Commit(), lonja.LocalFile, syscall.EIO, "sync")
		wantKind(t, f.Commit(), lonja.Internal, nil, "1 pieces are missing")
		put(t, f, 0)
		must(t, f.Commit())
	})
}

// TestSyncWhileItEnds: whoever syncs when the owner ends it gets an answer.
func TestSyncWhileItEnds(t *testing.T) {
	for name, end := range map[string]func(*File) error{"close": (*File).Close, "discard": (*File).Discard, "commit": (*File).Commit} {
		t.Run(name, func(t *testing.T) {
			f := begin(t, filepath.Join(t.TempDir(), "file"), Options{ID: idA, Size: 2 * tree.PieceSize})
			put(t, f, 0, 1)
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					for range 20 {
						if err := f.Sync(); err != nil && !errors.Is(err, fs.ErrClosed) {
							t.Error(err)
						}
					}
				})
			}
			must(t, end(f))
			all.Wait()
		})
	}
}

// TestFailedSyncOfTheName: if the target's name cannot be brought to the disk, the
// target is not there, and Commit can be tried again.
func TestFailedSyncOfTheName(t *testing.T) {
	for _, force := range []bool{false, true} {
		dir := t.TempDir()
		target := filepath.Join(dir, "file")
		fails := true
		o := Options{ID: idA, Size: tree.PieceSize + 5, Force: force, testOnlySyncDir: func(dir *os.Root) error {
			if fails {
				return syscall.EIO
			}
			return syncDir(dir)
		}}
		f := begin(t, target, o)
		put(t, f, 0, 1)
		wantKind(t, f.Commit(), lonja.LocalFile, syscall.EIO, target)
		wantNames(t, dir, hiddenName("file"))
		wantGood(t, f, 0, 1)
		f.abandon()

		f = begin(t, target, o)
		wantGood(t, f, 0, 1)
		wantKind(t, f.Commit(), lonja.LocalFile, syscall.EIO, target)
		fails = false
		must(t, f.Commit())
		wantContent(t, target, contentAt(idA, 0, o.Size))
		wantNames(t, dir, "file")
		must(t, f.Close())
	}
}
