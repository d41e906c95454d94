//go:build interop

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"lonja/internal/downloads"
)

// TestDownloadDiskFull: what finds no room waits for some, and is there once there
// is. It needs root, for a small disk.
func TestDownloadDiskFull(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	ana.console()
	ana.does("publish", ana.large("film.mkv", 8))
	disk := filepath.Join(luis.home, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("lonja-test", disk, "tmpfs", 0, "size=12m"); err != nil {
		t.Fatalf("mount a small tmpfs (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil { // the processes are killed later
			t.Errorf("unmount: %v", err)
		}
	})
	other := luis.file("disk/other", string(make([]byte, 6<<20)))
	luis.fails(1, "make some room", "get", "film.mkv", "-o", "disk/")
	luis.wantDownload("film.mkv", downloads.Failed)
	luis.does("resume", "film.mkv", "--background")
	run := luis.start("downloads", "run", "--json")
	run.waitEvent("that it waits", func(e event) bool { return e.Event == eventWaiting })
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	run.waitEvent("the end", func(e event) bool { return e.Event == eventDone })
	if status := run.wait(); status != 0 {
		t.Errorf("got status %d", status)
	}
	if info, err := os.Stat(filepath.Join(disk, "film.mkv")); err != nil || info.Size() != 8<<20 {
		t.Errorf("got %v, %v", info, err)
	}
}
