package unfinished

import (
	"os"
	"path/filepath"
	"testing"

	"lonja"
	"lonja/internal/tree"
)

// TestRecorded: what was synced is told also while somebody has the File, to the byte,
// and nothing of another content or of what is no record.
func TestRecorded(t *testing.T) {
	target := filepath.Join(t.TempDir(), "film")
	id, size := lonja.FileID{7}, int64(2*tree.PieceSize+100)
	if got := Recorded(target, id, size); got != 0 {
		t.Errorf("nothing was begun: got %d", got)
	}
	f := begin(t, target, Options{ID: id, Size: size})
	want := int64(0)
	for _, piece := range []int64{2, 0} {
		if err := f.Put(piece, pieceOf(f, piece)); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		want += int64(f.layout.PieceLen(piece))
		if got := Recorded(target, id, size); got != want {
			t.Errorf("piece %d: got %d, want %d", piece, got, want)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]int64{
		"another id":   Recorded(target, lonja.FileID{8}, size),
		"another size": Recorded(target, id, size+1),
		"no id":        Recorded(target, lonja.FileID{}, size),
		"no size":      Recorded(target, id, -1),
		"a vast size":  Recorded(target, id, 1<<62),
	} {
		if got != 0 {
			t.Errorf("%s: got %d", what, got)
		}
	}
	if got := Recorded(target, id, size); got != want {
		t.Errorf("closed: got %d, want %d", got, want)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(target), hiddenName("film"), recordName), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Recorded(target, id, size); got != 0 {
		t.Errorf("damaged: got %d", got)
	}
}
