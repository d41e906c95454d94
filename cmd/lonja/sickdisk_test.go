//go:build interop && linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lonja"
)

// newVolume mounts an ext4 of so many MiB and returns where. It needs root.
func newVolume(t *testing.T, size int64) string {
	t.Helper()
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, size<<20)); err != nil {
		t.Fatal(err)
	}
	command(t, "mkfs.ext4", "-q", "-F", image)
	mount(t, dir, "-o", "loop", image)
	return dir
}

// mount mounts at dir what the arguments say, until the test ends.
func mount(t *testing.T, dir string, args ...string) {
	t.Helper()
	command(t, "mount", append(args, dir)...)
	t.Cleanup(func() { _ = exec.Command("umount", "--lazy", dir).Run() })
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// fillUp takes the space of a volume with a file, and returns its path.
func fillUp(t *testing.T, volume string) (ballast string) {
	t.Helper()
	ballast = filepath.Join(volume, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 16<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	return ballast
}

// A bookkeeper is a connected user who knows what it publishes.
type bookkeeper struct {
	*testing.T
	dir  lonja.Directory
	next int
}

func newBookkeeper(t *testing.T, dir lonja.Directory) *bookkeeper {
	t.Helper()
	if err := errors.Join(dir.Register(t.Context(), "ana"), dir.Connect(t.Context(), "ana", somewhere)); err != nil {
		t.Fatal(err)
	}
	return &bookkeeper{T: t, dir: dir}
}

var longText = lonja.Description(strings.Repeat("x", 200))

// publish publishes one more file.
func (p *bookkeeper) publish() error {
	err := p.dir.Publish(p.Context(), "ana", lonja.Listing{Name: lonja.FileName(fmt.Sprint("/", p.next)), Description: longText})
	if err == nil {
		p.next++
	}
	return err
}

// publishUntilRefused fills what is there; what was published stays listed.
func (p *bookkeeper) publishUntilRefused() {
	p.Helper()
	for range 20_000 {
		switch err := p.publish(); {
		case errors.Is(err, lonja.Refused):
			return
		case err != nil:
			p.Fatal(err)
		}
	}
	p.Fatal("nothing was refused")
}

// listed checks that everything is.
func (p *bookkeeper) listed(dir lonja.Directory) {
	p.Helper()
	listings, err := dir.ListContent(p.Context(), "ana", "ana")
	if err != nil || len(listings) != p.next {
		p.Errorf("%d publications are listed, %v; want %d", len(listings), err, p.next)
	}
}

// TestFullDisk: a directory on a full disk answers, refuses to write, says
// why, and writes again once there is space.
func TestFullDisk(t *testing.T) {
	volume := newVolume(t, 8)
	data := filepath.Join(volume, "data")
	server, dir := startDurable(t, data)
	ana := newBookkeeper(t, dir)
	ballast := fillUp(t, volume)
	ana.publishUntilRefused()
	server.waitStderr("no space left")
	ana.listed(dir)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	writesAgain(t, dir)
	server.waitStderr("the store writes again")
	if err := ana.publish(); err != nil {
		t.Errorf("with space again: %v", err)
	}
	_ = server.cmd.Process.Signal(syscall.SIGKILL)
	server.wait()
	_, dir = startDurable(t, data)
	if err := dir.Connect(t.Context(), "ana", somewhere); err != nil {
		t.Fatal(err)
	}
	ana.listed(dir)
}

// TestFullDiskDoesNotStart, and says what is full. It is one in memory, which
// counts to the page: ext4 gives space back when it comes to it.
func TestFullDiskDoesNotStart(t *testing.T) {
	volume := t.TempDir()
	mount(t, volume, "-t", "tmpfs", "-o", "size=8m", "none")
	data := filepath.Join(volume, "data")
	server, _ := startDurable(t, data)
	_ = server.cmd.Process.Signal(syscall.SIGTERM) // the index of the log goes, and has to be made anew
	server.wait()
	fillUp(t, volume)
	refusesToStart(t, data, "no space left")
	refusesToStart(t, data, data)
}

// TestReadOnlyDisk: a file system that became read-only, as one does after an
// error, is not written to, and a directory does not start on one.
func TestReadOnlyDisk(t *testing.T) {
	volume := newVolume(t, 8)
	data := filepath.Join(volume, "data")
	server, dir := startDurable(t, data)
	ana := newBookkeeper(t, dir)
	if err := ana.publish(); err != nil {
		t.Fatal(err)
	}
	command(t, "mount", "-o", "remount,abort", volume)
	ana.publishUntilRefused()
	server.waitStderr("the store refuses to write")
	ana.listed(dir)
	_ = server.cmd.Process.Signal(syscall.SIGKILL)
	server.wait()
	refusesToStart(t, data, "read-only file system")
}

// refusesToStart starts a directory that must not, and must say why.
func refusesToStart(t *testing.T, data, why string) {
	t.Helper()
	server := start(t, nil, "server", "--host", "127.0.0.1", "-p", "0", "--data", data)
	if status := server.wait(); status == 0 || !strings.Contains(server.stderr.String(), why) {
		t.Errorf("status %d, want one that is not 0, and %q in\n%s", status, why, server.stderr.String())
	}
}

// TestDamagedDisk: blocks of the database turn to noise while the directory
// runs. It answers from its index and refuses to write; it does not start
// again on what is left.
func TestDamagedDisk(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	server, dir := startDurable(t, data)
	ana := newBookkeeper(t, dir)
	var publishing sync.WaitGroup
	const each, rivals = 1250, 16 // together more than SQLite remembers of the file
	for i := range rivals {
		publishing.Go(func() {
			for j := range each {
				name := lonja.FileName(fmt.Sprintf("/%d/%d", i, j))
				if err := dir.Publish(t.Context(), "ana", lonja.Listing{Name: name, Description: longText}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	publishing.Wait()
	_ = server.cmd.Process.Signal(syscall.SIGTERM) // all is in the database then
	server.wait()
	server, dir = startDurable(t, data)
	if err := dir.Connect(t.Context(), "ana", somewhere); err != nil {
		t.Fatal(err)
	}
	damage(t, filepath.Join(data, "directory.db"))
	refused := false
	for n := 0; n < each*rivals && !refused; n++ {
		name := lonja.FileName(fmt.Sprintf("/%d/%d", rand.IntN(rivals), rand.IntN(each)))
		switch err := dir.Delete(t.Context(), "ana", name); {
		case err == nil:
			ana.next--
		case errors.Is(err, lonja.Refused):
			refused = true
		case !errors.Is(err, lonja.NotPublished):
			t.Fatal(err)
		}
	}
	if !refused {
		t.Error("nothing was refused")
	}
	server.waitStderr("restore the last backup")
	ana.next += each * rivals
	ana.listed(dir)
	_ = server.cmd.Process.Signal(syscall.SIGKILL)
	server.wait()
	refusesToStart(t, data, "restore the last backup")
}

// damage overwrites all but the first pages of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	noise := bytes.Repeat([]byte{0xA5}, page)
	for offset := int64(8 * page); offset < info.Size(); offset += page {
		if _, err := file.WriteAt(noise, offset); err != nil {
			t.Fatal(err)
		}
	}
}
