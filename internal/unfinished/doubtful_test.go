package unfinished

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"lonja"
	"lonja/internal/tree"
)

// TestRecover: pieces that were good but are not recorded, as after a kill, are
// looked at by the next run, which believes those that are right and no others.
func TestRecover(t *testing.T) {
	target := filepath.Join(t.TempDir(), "file")
	o := Options{ID: lonja.FileID{1}, Size: 6*tree.PieceSize + 5}
	content := func(piece int64) []byte {
		return bytes.Repeat([]byte{byte(piece + 1)}, min(tree.PieceSize, int(o.Size-piece*tree.PieceSize)))
	}
	f, err := Open(target, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []int64{0, 3, 6} {
		if err := f.Put(piece, content(piece)); err != nil {
			t.Fatal(err)
		}
	}
	// As if it was killed: what the kernel has is there, and nothing more is done.
	kept := filepath.Join(t.TempDir(), "kept")
	hidden := filepath.Join(filepath.Dir(target), hiddenName("file"))
	if err := os.CopyFS(kept, os.DirFS(hidden)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(hidden); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(kept, hidden); err != nil {
		t.Fatal(err)
	}
	if err := overwriteAt(filepath.Join(hidden, dataName), 3*tree.PieceSize, "lost"); err != nil {
		t.Fatal(err)
	}

	f, err = Open(target, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !f.Good().IsEmpty() || f.Doubtful() != 3 {
		t.Fatalf("good are %v, and %d are doubtful", f.Good(), f.Doubtful())
	}
	looked := 0
	err = f.Recover(func(piece int64, got []byte) error {
		looked++
		if !bytes.Equal(got, content(piece)) {
			return lonja.E(lonja.Untrusted, "check", nil)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if good := f.Good().ToArray(); looked != 3 || len(good) != 2 || good[0] != 0 || good[1] != 6 {
		t.Errorf("looked at %d, good are %v, want 0 and 6", looked, good)
	}
}

func overwriteAt(path string, offset int64, text string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt([]byte(text), offset)
	return err
}

// TestRecoverAfterFailedSync: what a failed sync has lost is written again by the next
// run. The kernel still has the right bytes, and takes them for written; here the
// disk forgets them in the moment in which they are looked at.
func TestRecoverAfterFailedSync(t *testing.T) {
	target := filepath.Join(t.TempDir(), "file")
	fails := true
	o := Options{ID: idA, Size: 2*tree.PieceSize + 5, testOnlySync: func(data *os.File) error {
		if fails {
			return syscall.ENOSPC
		}
		return data.Sync()
	}}
	f := begin(t, target, o)
	put(t, f, 0, 1, 2)
	wantKind(t, f.Sync(), lonja.LocalFile, syscall.ENOSPC, target)
	wantGood(t, f)
	must(t, f.Close())
	fails = false

	f = begin(t, target, o)
	if f.Doubtful() != 3 {
		t.Fatalf("%d pieces are doubtful, want 3", f.Doubtful())
	}
	data := filepath.Join(filepath.Dir(target), hiddenName("file"), dataName)
	must(t, f.Recover(func(piece int64, content []byte) error {
		if !bytes.Equal(content, pieceOf(f, piece)) {
			t.Errorf("piece %d is another before it was lost", piece)
		}
		return overwriteAt(data, piece*tree.PieceSize, string(make([]byte, len(content))))
	}))
	wantGood(t, f, 0, 1, 2)
	must(t, f.Commit())
	wantContent(t, target, contentAt(idA, 0, o.Size))
}
