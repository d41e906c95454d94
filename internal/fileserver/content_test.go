package fileserver

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lonja"
)

// TestUnchanged: what is written into a file while it is served is noticed, also if its
// time is set back afterwards.
func TestUnchanged(t *testing.T) {
	path, when := filepath.Join(t.TempDir(), "file"), time.Unix(1e9, 0)
	write := func(content string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, []byte(content), 0o600), os.Chtimes(path, when, when)); err != nil {
			t.Fatal(err)
		}
	}
	write("content")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWhole(f, 7, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Unchanged(); err != nil {
		t.Errorf("at first: %v", err)
	}
	late := time.Now().Add(20 * time.Second)
	for write("CONTENT"); w.Unchanged() == nil; write("CONTENT") { // the clock of the file system may go in steps
		if time.Now().After(late) {
			t.Fatal("it is not noticed")
		}
	}
	if err := w.Unchanged(); !errors.Is(err, lonja.Limited) {
		t.Errorf("with its old time: %v", err)
	}
	write("more than that")
	if err := w.Unchanged(); !errors.Is(err, lonja.Conflict) {
		t.Errorf("longer: %v", err)
	}
}
