//go:build interop

package partial

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// A disk that fills up is an error on write, and leaves the old file whole.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("lonja-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount a small tmpfs (this test needs root): %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	}()
	eachWay(t, func(t *testing.T, opts Options) {
		target := filepath.Join(dir, "file")
		write(t, target, "old", 0o600)
		f := begin(t, target, "", opts)
		h, err := f.Handle(0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = h.Write(make([]byte, 2<<20)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("write: %v, want %v", err, syscall.ENOSPC)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		f.Abort()
		wantDir(t, dir, "file", "old")
	})
}
