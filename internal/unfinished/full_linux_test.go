//go:build interop

package unfinished

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"lonja"
	"lonja/internal/tree"
)

// smallDisk returns a directory on a disk of so many MiB. It needs root.
func smallDisk(t *testing.T, mib int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("lonja-test", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Fatalf("mount a small tmpfs (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill writes a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	for size := 1 << 20; size > 0; {
		switch _, err := file.Write(make([]byte, size)); {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			t.Fatal(err)
		}
	}
}

// TestNoRoom: what cannot be received whole is not begun, and what was begun is
// kept when there is no room to go on.
func TestNoRoom(t *testing.T) {
	dir := smallDisk(t, 8)
	target := filepath.Join(dir, "file")
	o := Options{ID: idA, Size: 20 * tree.PieceSize}
	_, err := Open(target, o)
	wantKind(t, err, lonja.LocalFile, syscall.ENOSPC, target+": 20.0 MiB are needed on its disk and 8.0 MiB are free")
	wantNames(t, dir)

	o.Size = 6 * tree.PieceSize
	o.testOnlySparse = true
	f := begin(t, target, o)
	put(t, f, 0, 1)
	must(t, f.Close())
	fill(t, filepath.Join(dir, "other"))
	_, err = Open(target, o)
	wantKind(t, err, lonja.LocalFile, syscall.ENOSPC, "4.0 MiB are needed on its disk")
	must(t, os.Remove(filepath.Join(dir, "other")))
	f = begin(t, target, o)
	wantGood(t, f, 0, 1)
	must(t, f.Close())
}

// TestDiskFillsUp: with its space reserved a download does not notice; without,
// it fails, and goes on as it is once there is room.
func TestDiskFillsUp(t *testing.T) {
	t.Run("reserved", func(t *testing.T) {
		dir := smallDisk(t, 8)
		target := filepath.Join(dir, "file")
		f := begin(t, target, Options{ID: idA, Size: 5 * tree.PieceSize})
		fill(t, filepath.Join(dir, "other"))
		put(t, f, 0, 1, 2)
		must(t, f.Sync())
		put(t, f, 3, 4)
		must(t, f.Commit())
		wantContent(t, target, contentAt(idA, 0, 5*tree.PieceSize))
		must(t, f.Close())
	})
	t.Run("sparse", func(t *testing.T) {
		dir := smallDisk(t, 8)
		target := filepath.Join(dir, "file")
		o := Options{ID: idA, Size: 5 * tree.PieceSize, testOnlySparse: true}
		f := begin(t, target, o)
		put(t, f, 0)
		must(t, f.Sync())
		put(t, f, 1)
		fill(t, filepath.Join(dir, "other"))
		wantKind(t, f.Put(2, pieceOf(f, 2)), lonja.LocalFile, syscall.ENOSPC, target+": no space left on device; make some room")
		wantKind(t, f.Put(3, pieceOf(f, 3)), lonja.LocalFile, syscall.ENOSPC, target)
		wantGood(t, f, 0, 1)
		_ = f.Sync() // which may work or not
		f.abandon()
		must(t, os.Remove(filepath.Join(dir, "other")))

		f = begin(t, target, o)
		if good := f.Good(); !good.Contains(0) || good.GetCardinality() > 2 {
			t.Errorf("good are %v, want 0 and perhaps 1", good)
		}
		checkGood(t, f)
		put(t, f, 2)
		fill(t, filepath.Join(dir, "other"))
		wantKind(t, f.Put(3, pieceOf(f, 3)), lonja.LocalFile, syscall.ENOSPC, target)
		must(t, os.Remove(filepath.Join(dir, "other")))
		for p := range f.layout.Pieces() { // the same File
			must(t, f.Put(p, pieceOf(f, p)))
		}
		must(t, f.Commit())
		wantContent(t, target, contentAt(idA, 0, o.Size))
		must(t, f.Close())
		wantNames(t, dir, "file")
	})
}

// TestForeignPlace: who makes the hidden directory before its owner does cannot
// say what is good.
func TestForeignPlace(t *testing.T) {
	dir := t.TempDir()
	place := filepath.Join(dir, hiddenName("file"))
	must(t, os.Mkdir(place, 0o777))
	must(t, os.Chown(place, 12345, 12345))
	_, err := Open(filepath.Join(dir, "file"), Options{ID: idA, Size: 1})
	wantKind(t, err, lonja.LocalFile, nil, "belongs to another user")
	wantNames(t, place)

	must(t, os.Chown(dir, 12345, 12345)) // who could do anything here
	must(t, begin(t, filepath.Join(dir, "file"), Options{ID: idA, Size: 1}).Discard())
	wantNames(t, dir)
}
