package share

import (
	"bytes"
	"encoding/binary"
	"testing"

	"lonja/internal/folder"
	"lonja/internal/tree"
)

// FuzzReadTree: whatever the file of times and marks holds, an index has one of both
// for each entry, or there is none.
func FuzzReadTree(f *testing.F) {
	var list bytes.Buffer
	w := folder.NewWriter(&list)
	for _, path := range []string{"a", "b"} {
		if err := w.Add(folder.Entry{Path: path, Kind: folder.File, Size: 1, ID: tree.Sum([]byte(path))}); err != nil {
			f.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		f.Fatal(err)
	}
	marked := seen{3, 4}.append(seen{1, 2}.append([]byte(seenMagic)))
	f.Add(marked)
	f.Add(marked[:len(marked)-1])
	f.Add(marked[len(seenMagic):])
	f.Add(marked[len(seenMagic) : len(seenMagic)+15])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, known []byte) {
		got, err := readTree(bytes.NewReader(list.Bytes()), bytes.NewReader(known))
		if err != nil {
			if got != nil {
				t.Error("an error, and an index")
			}
			return
		}
		if len(got.times) != 2 || len(got.marks) != 2 || len(got.ids) != 2 {
			t.Fatalf("times of %d entries, and marks of %d", len(got.times), len(got.marks))
		}
		at, step := 0, 8
		if got.marked {
			at, step = len(seenMagic), seenLen
		}
		for i := range got.times {
			if want := binary.BigEndian.Uint64(known[at+i*step:]); uint64(got.times[i]) != want {
				t.Errorf("entry %d: time %d, want %d", i, got.times[i], want)
			}
			if !got.marked && got.marks[i] != 0 {
				t.Errorf("entry %d has a mark that nobody wrote", i)
			}
		}
	})
}
