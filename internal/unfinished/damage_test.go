package unfinished

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"lonja/internal/tree"
)

// TestDamage: of a record or data that is not what it was nothing is believed, or
// what held before; and it goes on.
func TestDamage(t *testing.T) {
	o := Options{ID: idA, Size: 5 * tree.PieceSize}
	layout, err := tree.LayoutOf(o.Size)
	must(t, err)
	second := slotLen(layout) // generations 1 and 3 are there, generation 2 before it
	for name, tc := range map[string]struct {
		damage func(t *testing.T, part string)
		want   []uint32
	}{
		"none":           {func(*testing.T, string) {}, []uint32{1, 2}},
		"newest torn":    {overwrite(recordName, second+40, "torn"), []uint32{1}},
		"newest bit":     {overwrite(recordName, second+slotHeader, "\xff"), []uint32{1}},
		"older torn":     {overwrite(recordName, 5, "torn"), []uint32{1, 2}},
		"cut":            {truncate(recordName, second+10), []uint32{1}},
		"cut to nothing": {truncate(recordName, 0), nil},
		"cut in header":  {truncate(recordName, 30), nil},
		"both torn":      {both(overwrite(recordName, 40, "torn"), overwrite(recordName, second+40, "torn")), nil},
		"no record":      {remove(recordName), nil},
		"no data":        {remove(dataName), nil},
		"data cut":       {truncate(dataName, 2*tree.PieceSize), nil},
		"data cut a bit": {truncate(dataName, o.Size-1), nil},
		"data too long":  {truncate(dataName, o.Size+1), nil},
		"only the lock":  {both(remove(dataName), remove(recordName)), nil},
		"no lock":        {remove(lockName), []uint32{1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			target := filepath.Join(dir, "file")
			f := begin(t, target, o)
			put(t, f, 1)
			must(t, f.Sync())
			put(t, f, 2)
			must(t, f.Close())
			tc.damage(t, filepath.Join(dir, hiddenName("file")))
			f = begin(t, target, o)
			wantGood(t, f, tc.want...)
			for p := range f.layout.Pieces() {
				must(t, f.Put(p, pieceOf(f, p)))
			}
			must(t, f.Commit())
			wantContent(t, target, contentAt(idA, 0, o.Size))
			wantNames(t, dir, "file")
		})
	}
}

func overwrite(name string, at int64, with string) func(*testing.T, string) {
	return func(t *testing.T, part string) {
		file, err := os.OpenFile(filepath.Join(part, name), os.O_WRONLY, 0)
		must(t, err)
		_, err = file.WriteAt([]byte(with), at)
		must(t, errors.Join(err, file.Close()))
	}
}

func truncate(name string, size int64) func(*testing.T, string) {
	return func(t *testing.T, part string) { must(t, os.Truncate(filepath.Join(part, name), size)) }
}

func remove(name string) func(*testing.T, string) {
	return func(t *testing.T, part string) { must(t, os.Remove(filepath.Join(part, name))) }
}

func both(first, then func(*testing.T, string)) func(*testing.T, string) {
	return func(t *testing.T, part string) { first(t, part); then(t, part) }
}
