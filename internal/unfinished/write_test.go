package unfinished

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"testing"

	"lonja"
	"lonja/internal/tree"
)

func TestReadAt(t *testing.T) {
	o := Options{ID: idA, Size: 3*tree.PieceSize + 10}
	f := begin(t, filepath.Join(t.TempDir(), "file"), o)
	put(t, f, 1, 3)
	tear(t, f, 0)
	for name, tc := range map[string]struct {
		offset int64
		len    int
		want   int
		err    error
	}{
		"in a piece":      {tree.PieceSize + 5, 100, 100, nil},
		"all of it":       {tree.PieceSize, tree.PieceSize, tree.PieceSize, nil},
		"into a missing":  {tree.PieceSize, tree.PieceSize + 1, 0, lonja.NoSuchFile},
		"from a missing":  {tree.PieceSize - 1, 2, 0, lonja.NoSuchFile},
		"torn":            {0, 1, 0, lonja.NoSuchFile},
		"the last one":    {3 * tree.PieceSize, 10, 10, nil},
		"over the end":    {3*tree.PieceSize + 4, 10, 6, io.EOF},
		"at the end":      {3*tree.PieceSize + 10, 1, 0, io.EOF},
		"nothing":         {3*tree.PieceSize + 4, 0, 0, nil},
		"before the file": {-1, 1, 0, lonja.Internal},
	} {
		b := make([]byte, tc.len)
		n, err := f.ReadAt(b, tc.offset)
		if n != tc.want || !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
			t.Errorf("%s: got %d, %v; want %d, %v", name, n, err, tc.want, tc.err)
		} else if !bytes.Equal(b[:n], contentAt(idA, max(0, tc.offset), int64(n))) {
			t.Errorf("%s: got other bytes", name)
		}
	}
	must(t, f.Close())
	_, err := f.ReadAt(make([]byte, 1), tree.PieceSize)
	wantKind(t, err, lonja.NoSuchFile, fs.ErrClosed, "file")
}

func TestPutRefuses(t *testing.T) {
	f := begin(t, filepath.Join(t.TempDir(), "file"), Options{ID: idA, Size: 2*tree.PieceSize + 10})
	put(t, f, 0)
	one := []byte{1}
	for name, err := range map[string]error{
		"no such piece":   f.Put(3, one),
		"negative piece":  f.Put(-1, one),
		"wrong length":    f.Put(2, one),
		"commit, missing": f.Commit(),
	} {
		if !errors.Is(err, lonja.Internal) {
			t.Errorf("%s: error is %v, want kind %v", name, err, lonja.Internal)
		}
	}
	must(t, f.Put(0, make([]byte, tree.PieceSize))) // writes nothing
	wantGood(t, f, 0)
	must(t, f.Close())
	wantKind(t, f.Put(1, pieceOf(f, 1)), lonja.LocalFile, fs.ErrClosed, "file")
}

// TestPutAtOnce: of several who put the same piece the first is heeded.
func TestPutAtOnce(t *testing.T) {
	const pieces = 8
	f := begin(t, filepath.Join(t.TempDir(), "file"), Options{ID: idA, Size: pieces * tree.PieceSize})
	var all sync.WaitGroup
	for range 3 {
		for p := range int64(pieces) {
			all.Go(func() {
				if err := f.Put(p, pieceOf(f, p)); err != nil {
					t.Error(err)
				}
				if err := f.Put(p, make([]byte, tree.PieceSize)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	checkGood(t, f)
	must(t, f.Commit())
	checkGood(t, f)
}
