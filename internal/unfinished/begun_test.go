package unfinished

import (
	"os"
	"path/filepath"
	"testing"

	"lonja"
	"lonja/internal/tree"
)

// TestBegunFor: what is here of a content is known by its id, with the size that it was
// said to have, and that is proven by the last piece only.
func TestBegunFor(t *testing.T) {
	const size = 3*tree.PieceSize - 7
	id := lonja.FileID{1}
	for name, tc := range map[string]struct {
		pieces []int64
		want   Begun
		ok     bool
		change func(target string) error
	}{
		"no piece":          {nil, Begun{Size: size}, true, nil},
		"the first pieces":  {[]int64{0, 1}, Begun{Size: size, Received: 2 * tree.PieceSize}, true, nil},
		"the last piece":    {[]int64{2}, Begun{Size: size, Proven: true, Received: tree.PieceSize - 7}, true, nil},
		"a damaged record":  {[]int64{2}, Begun{}, false, func(p string) error { return os.Truncate(filepath.Join(p, recordName), 50) }},
		"data of no length": {[]int64{2}, Begun{}, false, func(p string) error { return os.Truncate(filepath.Join(p, dataName), 0) }},
		"no data":           {[]int64{2}, Begun{}, false, func(p string) error { return os.Remove(filepath.Join(p, dataName)) }},
	} {
		t.Run(name, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "film")
			f, err := Open(target, Options{ID: id, Size: size})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range tc.pieces {
				if err := f.Put(p, make([]byte, f.layout.PieceLen(p))); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if tc.change != nil {
				if err := tc.change(filepath.Join(filepath.Dir(target), hiddenName("film"))); err != nil {
					t.Fatal(err)
				}
			}
			if got, ok := BegunFor(target, id); got != tc.want || ok != tc.ok {
				t.Errorf("got %+v, %v, want %+v, %v", got, ok, tc.want, tc.ok)
			}
			if got, ok := BegunFor(target, lonja.FileID{2}); ok {
				t.Errorf("of another content there is %+v", got)
			}
		})
	}
	if got, ok := BegunFor(filepath.Join(t.TempDir(), "nothing"), id); ok {
		t.Errorf("of nothing there is %+v", got)
	}
}
