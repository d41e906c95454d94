// Command lossdisk is a disk that can lose its power.
//
// It mounts, by FUSE, a directory with one file, disk.img, backed by another
// file. What is written to it is seen by readers at once, but reaches the
// backing file only with the next sync. On SIGUSR1 the power goes: of what was
// not synced a random part of the sectors survives, the rest never happened,
// and from then on the disk answers nothing but errors. A loop device and a
// real file system on disk.img make it a machine whose plug can be pulled.
//
//	lossdisk -dir MOUNTPOINT -back IMAGE [-keep 0.5]
//
// It prints "ready" once it is mounted, and "power lost" with what that cost.
//
// A line "fail write FIRST COUNT" or "fail sync FIRST COUNT" on its standard
// input makes calls fail with EIO: the FIRST from then on (1 is the next) and
// those after it, COUNT together, or all if that is 0. What was not synced then
// may still be synced later: what the kernel makes of it is its own affair.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// An unsynced is a write that only readers have seen.
type unsynced struct {
	offset int64
	bytes  []byte
}

// A disk is the file disk.img.
type disk struct {
	fs.Inode

	mu      sync.Mutex // guards what follows
	backing *os.File
	seen    []byte // what a reader sees
	pending []unsynced
	dead    bool
	fault   fault
}

// A fault says which calls fail.
type fault struct {
	call         string // write or sync
	first, count int
	seen         int // calls so far
}

// hits counts a call and reports whether it fails.
func (f *fault) hits(call string) bool {
	if f.call != call {
		return false
	}
	f.seen++
	return f.seen >= f.first && (f.count == 0 || f.seen < f.first+f.count)
}

// obey sets the fault that each line of commands describes.
func (d *disk) obey(commands io.Reader) {
	for lines := bufio.NewScanner(commands); lines.Scan(); {
		var f fault
		if n, err := fmt.Sscanf(lines.Text(), "fail %s %d %d", &f.call, &f.first, &f.count); n < 3 {
			log.Printf("lossdisk: %q: %v", lines.Text(), err)
			continue
		}
		d.mu.Lock()
		d.fault = f
		d.mu.Unlock()
	}
}

var _ interface {
	fs.NodeGetattrer
	fs.NodeSetattrer
	fs.NodeOpener
	fs.NodeReader
	fs.NodeWriter
	fs.NodeFsyncer
} = (*disk)(nil)

func (d *disk) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = 0o600|syscall.S_IFREG, uint64(len(d.seen))
	return fs.OK
}

func (d *disk) Setattr(ctx context.Context, f fs.FileHandle, _ *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return d.Getattr(ctx, f, out)
}

func (d *disk) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, fs.OK
}

func (d *disk) Read(_ context.Context, _ fs.FileHandle, dst []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if offset >= int64(len(d.seen)) {
		return fuse.ReadResultData(nil), fs.OK
	}
	n := copy(dst, d.seen[offset:])
	return fuse.ReadResultData(dst[:n]), fs.OK
}

func (d *disk) Write(_ context.Context, _ fs.FileHandle, b []byte, offset int64) (uint32, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.dead, d.fault.hits("write"):
		return 0, syscall.EIO
	case offset+int64(len(b)) > int64(len(d.seen)):
		return 0, syscall.ENOSPC
	}
	copy(d.seen[offset:], b)
	d.pending = append(d.pending, unsynced{offset, append([]byte(nil), b...)})
	return uint32(len(b)), fs.OK
}

func (d *disk) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead || d.fault.hits("sync") {
		return syscall.EIO
	}
	for _, w := range d.pending {
		if _, err := d.backing.WriteAt(w.bytes, w.offset); err != nil {
			return fs.ToErrno(err)
		}
	}
	d.pending = nil
	return fs.OK
}

// cut takes the power away. Each unsynced sector survives with the chance keep.
func (d *disk) cut(keep float64) (writes, sectors, survived int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	for _, w := range d.pending {
		for i := 0; i < len(w.bytes); i += sector {
			sectors++
			if rand.Float64() >= keep {
				continue
			}
			survived++
			_, e := d.backing.WriteAt(w.bytes[i:min(i+sector, len(w.bytes))], w.offset+int64(i))
			err = errors.Join(err, e)
		}
	}
	writes, d.pending = len(d.pending), nil
	return writes, sectors, survived, err
}

func main() {
	dir, image := flag.String("dir", "", "where to mount"), flag.String("back", "", "the backing file")
	keep := flag.Float64("keep", 0.5, "chance that an unsynced sector survives")
	flag.Parse()
	if err := run(*dir, *image, *keep); err != nil {
		log.Fatal("lossdisk: ", err)
	}
}

func run(dir, image string, keep float64) error {
	backing, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer backing.Close()
	seen, err := os.ReadFile(image)
	if err != nil {
		return err
	}
	d, root := &disk{backing: backing, seen: seen}, &fs.Inode{}
	server, err := fs.Mount(dir, root, &fs.Options{
		MountOptions: fuse.MountOptions{FsName: "lossdisk", MaxWrite: 1 << 20, DirectMount: true},
		OnAdd: func(ctx context.Context) {
			root.AddChild("disk.img", root.NewPersistentInode(ctx, d, fs.StableAttr{Mode: syscall.S_IFREG}), true)
		},
	})
	if err != nil {
		return err
	}
	power := make(chan os.Signal, 1)
	signal.Notify(power, syscall.SIGUSR1)
	go func() {
		<-power
		writes, sectors, survived, err := d.cut(keep)
		fmt.Printf("power lost: %d writes were not synced, %d of their %d sectors survived, %v\n", writes, survived, sectors, err)
	}()
	go d.obey(os.Stdin)
	fmt.Println("ready")
	server.Wait()
	return nil
}
