package unfinished

import (
	"bytes"
	"os"
	"path/filepath"
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
