package main

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// A fault says which calls fail.
type fault struct {
	call         string
	first, count int
	how          string
	seen, failed int // calls so far
}

// short is a write that is done by half.
const short = "short"

var errnos = map[string]syscall.Errno{"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC, "EROFS": syscall.EROFS}

// A disk holds the files.
type disk struct {
	mu    sync.Mutex // guards what follows, and the files
	files []*file
	fault fault
}

// failing counts a call and reports how it fails, or "". The caller holds mu.
func (d *disk) failing(call string) string {
	f := &d.fault
	if f.call != call {
		return ""
	}
	f.seen++
	if f.seen < f.first || f.count > 0 && f.seen >= f.first+f.count {
		return ""
	}
	f.failed++
	return f.how
}

func (d *disk) newFile(name string, mode uint32) *file {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &file{disk: d, mode: mode & 0o777, mapped: strings.HasSuffix(name, "-shm")}
	d.files = append(d.files, f)
	return f
}

func (d *disk) forget(gone *file) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, f := range d.files {
		if f == gone {
			d.files = append(d.files[:i], d.files[i+1:]...)
			return
		}
	}
}

// A change is a write, or a change of size, that was not synced.
type change struct {
	offset int
	bytes  []byte
	size   int // of the file from then on
}

// A file is seen as it is in memory, and has another state on the disk.
type file struct {
	fs.Inode
	disk   *disk
	mode   uint32
	mapped bool // into the memory of processes, which share it by the kernel's cache

	seen, kept []byte
	pending    []change // what turns kept into seen, but for what was lost
}

var _ interface {
	fs.NodeGetattrer
	fs.NodeSetattrer
	fs.NodeOpener
	fs.NodeReader
	fs.NodeWriter
	fs.NodeFsyncer
} = (*file)(nil)

func (f *file) flags() uint32 {
	if f.mapped {
		return 0
	}
	return fuse.FOPEN_DIRECT_IO
}

// attributes fills in out. The caller holds the disk's mu, or is alone.
func (f *file) attributes(out *fuse.Attr) {
	out.Mode, out.Size = f.mode|syscall.S_IFREG, uint64(len(f.seen))
}

// Getattr implements fs.NodeGetattrer.
func (f *file) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.attributes(&out.Attr)
	return fs.OK
}

// Setattr implements fs.NodeSetattrer: the mode and the size.
func (f *file) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if mode, ok := in.GetMode(); ok {
		f.mode = mode & 0o777
	}
	if size, ok := in.GetSize(); ok {
		if how := f.disk.failing("write"); how != "" && how != short {
			return errnos[how]
		}
		f.do(change{size: int(size)})
	}
	f.attributes(&out.Attr)
	return fs.OK
}

// Open implements fs.NodeOpener.
func (f *file) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, f.flags(), fs.OK
}

// Read implements fs.NodeReader.
func (f *file) Read(_ context.Context, _ fs.FileHandle, dst []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if how := f.disk.failing("read"); !f.mapped && how != "" {
		return nil, errnos[how]
	}
	n := 0
	if offset < int64(len(f.seen)) {
		n = copy(dst, f.seen[offset:])
	}
	return fuse.ReadResultData(dst[:n]), fs.OK
}

// Write implements fs.NodeWriter.
func (f *file) Write(_ context.Context, _ fs.FileHandle, b []byte, offset int64) (uint32, syscall.Errno) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if !f.mapped {
		switch how := f.disk.failing("write"); how {
		case "":
		case short:
			b = b[:len(b)/2]
		default:
			return 0, errnos[how]
		}
	}
	end := int(offset) + len(b)
	f.do(change{offset: int(offset), bytes: append([]byte(nil), b...), size: max(len(f.seen), end)})
	return uint32(len(b)), fs.OK
}

// do makes a change that readers see. The caller holds the disk's mu.
func (f *file) do(c change) {
	f.seen = c.apply(f.seen)
	if !f.mapped {
		f.pending = append(f.pending, c)
	}
}

func (c change) apply(to []byte) []byte {
	to = resized(to, c.size)
	copy(to[min(c.offset, len(to)):], c.bytes)
	return to
}

func resized(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size]
	}
	return append(b, make([]byte, size-len(b))...)
}

// Fsync implements fs.NodeFsyncer.
func (f *file) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if how := f.disk.failing("sync"); how != "" {
		f.lose()
		return errnos[how]
	}
	for _, c := range f.pending {
		f.kept = c.apply(f.kept)
	}
	f.pending = nil
	return fs.OK
}

// lose brings a random part of what is pending to the disk and forgets the
// rest. The caller holds the disk's mu.
func (f *file) lose() {
	for _, c := range f.pending {
		if rand.IntN(2) == 0 {
			f.kept = resized(f.kept, c.size)
		}
		for i := 0; i < len(c.bytes); i += sector {
			part := c.bytes[i:min(i+sector, len(c.bytes))]
			if rand.IntN(2) == 0 && c.offset+i+len(part) <= len(f.kept) {
				copy(f.kept[c.offset+i:], part)
			}
		}
	}
	f.pending = nil
}

// cut leaves what is on the disk. The caller holds the disk's mu.
func (f *file) cut() {
	f.lose()
	f.seen = append([]byte(nil), f.kept...)
}
