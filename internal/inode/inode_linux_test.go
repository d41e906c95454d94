package inode_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"lonja/internal/inode"
)

// TestMark: another file has another one, and so has a file whose content was changed
// though its size and its time were not; to read it changes nothing.
func TestMark(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
	when := time.Unix(1e9, 0)
	write := func(path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	mark := func(path string) uint64 {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return inode.Mark(info)
	}
	write(path, "content")
	write(other, "content")
	first := mark(path)
	if _, err := os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	if first == 0 || mark(path) != first {
		t.Errorf("the mark is %x, and %x once it was read", first, mark(path))
	}
	if mark(other) == first {
		t.Error("a copy has the same mark")
	}
	// The clock that the file system takes may go in steps.
	late := time.Now().Add(20 * time.Second)
	for write(path, "CONTENT"); mark(path) == first; write(path, "CONTENT") {
		if time.Now().After(late) {
			t.Fatal("another content has the same mark")
		}
	}
}
