package unfinished

import (
	"os"
	"path/filepath"
	"testing"

	"lonja"
	"lonja/internal/tree"
)

// TestRemove: what was begun goes, whatever it is; not while somebody has it, and
// nothing else.
func TestRemove(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "file")
	must(t, Remove(target))
	must(t, Remove(filepath.Join(dir, "away", "file")))
	f := begin(t, target, Options{ID: idA, Size: 3 * tree.PieceSize})
	put(t, f, 1)
	wantKind(t, Remove(target), lonja.LocalFile, ErrInUse, "file")
	must(t, f.Close())
	if !Exists(target) {
		t.Fatal("nothing was kept")
	}
	must(t, os.WriteFile(target, []byte("other"), 0o600))
	must(t, Remove(target))
	wantNames(t, dir, "file")
	must(t, os.Mkdir(filepath.Join(dir, hiddenName("new")), 0o700)) // killed before the lock was made
	must(t, Remove(filepath.Join(dir, "new")))
	wantNames(t, dir, "file")
}
