// Command faultfs is a file system whose disk fails when it is told to.
//
// It mounts, by FUSE, one flat directory of files that it keeps in memory. What
// is written is seen by readers at once, but is on the disk only after the next
// sync that succeeds. A sync that fails loses what it should have written, as
// the kernel does: readers go on to see it, and no later sync writes it, unless
// it is written again. When the power is cut, each sector that was not synced
// survives or does not; names come and go without a sync.
//
//	faultfs -dir MOUNTPOINT
//
// It prints "ready" once it is mounted, then takes commands, a line each, and
// answers each with a line:
//
//	fail CALL FIRST COUNT HOW   of the next calls of that sort, write, sync or
//	                            read, from the FIRST on (1 is the next), COUNT
//	                            fail: EIO, ENOSPC, EROFS, or for a write short,
//	                            which is done by half. A COUNT of 0 is no end.
//	well                        nothing fails any more; answers how many did
//	cut                         the power goes and comes back; nothing may be open
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

func main() {
	dir := flag.String("dir", "", "where to mount")
	flag.Parse()
	if err := run(*dir, os.Stdin, os.Stdout); err != nil {
		log.Fatal("faultfs: ", err)
	}
}

func run(dir string, commands io.Reader, answers io.Writer) error {
	d := &disk{}
	_, err := fs.Mount(dir, &directory{disk: d}, &fs.Options{
		MountOptions: fuse.MountOptions{FsName: "faultfs", MaxWrite: 1 << 20, DirectMount: true},
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(answers, "ready")
	for lines := bufio.NewScanner(commands); lines.Scan(); {
		fmt.Fprintln(answers, d.command(lines.Text()))
	}
	return syscall.Unmount(dir, syscall.MNT_DETACH)
}

// command does what line says.
func (d *disk) command(line string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var f fault
	switch n, _ := fmt.Sscanf(line, "fail %s %d %d %s", &f.call, &f.first, &f.count, &f.how); {
	case n == 4 && (errnos[f.how] != 0 || f.how == short):
		d.fault = f
		return "ok"
	case line == "well":
		failed := d.fault.failed
		d.fault = fault{}
		return fmt.Sprint(failed)
	case line == "cut":
		for _, f := range d.files {
			f.cut()
		}
		return "ok"
	}
	return "unknown command"
}

// A directory is the root, which has all files.
type directory struct {
	fs.Inode
	disk *disk
}

var _ interface {
	fs.NodeCreater
	fs.NodeUnlinker
	fs.NodeRenamer
	fs.NodeFsyncer
} = (*directory)(nil)

// Create implements fs.NodeCreater.
func (r *directory) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	f := r.disk.newFile(name, mode)
	inode := r.NewPersistentInode(ctx, f, fs.StableAttr{Mode: syscall.S_IFREG})
	f.attributes(&out.Attr)
	return inode, nil, f.flags(), fs.OK
}

// Unlink implements fs.NodeUnlinker.
func (r *directory) Unlink(_ context.Context, name string) syscall.Errno {
	if child := r.GetChild(name); child != nil {
		r.disk.forget(child.Operations().(*file))
	}
	return fs.OK
}

// Rename implements fs.NodeRenamer.
func (r *directory) Rename(ctx context.Context, _ string, _ fs.InodeEmbedder, newName string, _ uint32) syscall.Errno {
	return r.Unlink(ctx, newName)
}

// Fsync implements fs.NodeFsyncer.
func (r *directory) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno { return fs.OK }
