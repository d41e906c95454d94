package downloads

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/folder"
	"lonja/internal/incoming"
	"lonja/internal/tree"
	"lonja/internal/unfinished"
)

// begunFolder makes what an interrupted folder leaves: its list, a part of a big file,
// and a file that is whole.
func begunFolder(t *testing.T, target string) {
	t.Helper()
	var list bytes.Buffer
	w := folder.NewWriter(&list)
	big := folder.Entry{Path: "deep/film", Kind: folder.File, Size: 3 * tree.PieceSize, ID: lonja.FileID{1}}
	for _, e := range []folder.Entry{big, {Path: "note", Kind: folder.File, Size: 5, ID: tree.Sum([]byte("whole"))}} {
		if err := w.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	in, err := incoming.Open(target, false)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		os.WriteFile(in.ListPath(), list.Bytes(), 0o600),
		in.Put(incoming.Item{ID: tree.Sum([]byte("whole")), Local: "note"}, []byte("whole")),
		in.Directory("deep"), in.Close())
	if err != nil {
		t.Fatal(err)
	}
	film, err := unfinished.Open(filepath.Join(target, "deep/film"), unfinished.Options{ID: big.ID, Size: big.Size})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(film.Put(0, make([]byte, tree.PieceSize)), film.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestFolder: the list remembers that a download is a folder, and what of it is wanted.
// While something of it has come, another content does not take its place; given up, it
// leaves what is whole, and of what others do in the same directory all.
func TestFolder(t *testing.T) {
	l, target := New(filepath.Join(t.TempDir(), "downloads")), filepath.Join(t.TempDir(), "things")
	wanted := Download{
		File: lonja.FileID{7}, Name: "things", Size: 10, Directory: "market:4444", Site: "market:4444", User: "ana",
		Target: target, Folder: true, Include: []string{"*.jpg", "a/**"},
	}
	d, err := l.Add(wanted)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := l.Find(d.ID); err != nil || !got.Folder || !slices.Equal(got.Include, wanted.Include) {
		t.Errorf("got %+v, %v", got, err)
	}
	begunFolder(t, target)
	other := filepath.Join(target, ".other.lonja-part")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	active, err := l.Claim(t.Context(), d.ID, Queued)
	if err != nil {
		t.Fatal(err)
	}
	active.Tell(func() Status { return Status{Received: 3, Size: 8} })
	if _, err := active.End(Outcome{State: Failed, Err: errors.New("no"), Received: 3}); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Find(d.ID); err != nil || got.Size != 8 || got.State != Failed {
		t.Errorf("got %+v, %v", got, err)
	}
	wanted.File = lonja.FileID{8}
	if _, err := l.Add(wanted); !errors.Is(err, lonja.Conflict) {
		t.Errorf("another folder in its place: got %v", err)
	}
	if err := l.Cancel(d.ID); err != nil {
		t.Fatal(err)
	}
	var left []string
	err = filepath.WalkDir(target, func(path string, _ os.DirEntry, err error) error {
		left = append(left, strings.TrimPrefix(strings.TrimPrefix(path, target), "/"))
		return err
	})
	if want := []string{"", ".other.lonja-part", "deep", "note"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("left are %q, %v; want %q", left, err, want)
	}
	if _, err := l.Add(wanted); err != nil {
		t.Errorf("another folder afterwards: %v", err)
	}
}
