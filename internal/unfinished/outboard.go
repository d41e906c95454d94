package unfinished

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"lonja"
	"lonja/internal/tree"
)

// An Outboard is where the tree of a content is kept, as package tree lays it
// out: its Outboard reads from here and checks what it reads, and whoever fetches
// pages writes them here, each at its Offset. Pages that were not written are
// not those of the file id, so that they are fetched; that includes pages that a
// crash has cost, since nothing here is synced. The size, which comes first, is
// always that of the content. Its methods may be called by any number of
// goroutines at once.
type Outboard struct {
	part   *os.Root
	layout tree.Layout
	fail   func(op string, err error) error

	mu     sync.Mutex
	file   *os.File // nil until there is one
	closed bool
}

// openOutboard opens what is there of the tree. What cannot be opened is fetched
// again.
func openOutboard(f *File) *Outboard {
	o := &Outboard{part: f.place.part, layout: f.layout, fail: f.failed}
	o.file, _ = o.part.OpenFile(treeName, os.O_RDWR, 0)
	return o
}

// ReadAt reads as io.ReaderAt says.
func (o *Outboard) ReadAt(b []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, o.outside(b, offset)
	}
	if size := tree.AppendSize(nil, o.layout); offset < int64(len(size)) {
		n = copy(b, size[offset:])
	}
	if n == len(b) {
		return n, nil
	}
	o.mu.Lock()
	file := o.file
	o.mu.Unlock()
	if file == nil {
		return n, io.EOF
	}
	m, err := file.ReadAt(b[n:], offset+int64(n))
	if err != nil && err != io.EOF {
		err = o.fail("read", err)
	}
	return n + m, err
}

// WriteAt writes as io.WriterAt says. The errors are of kind LocalFile, or
// Internal for what is not in an outboard of this content.
func (o *Outboard) WriteAt(b []byte, offset int64) (int, error) {
	if offset < 0 || offset+int64(len(b)) > o.layout.OutboardSize() {
		return 0, o.outside(b, offset)
	}
	file, err := o.make()
	if err != nil {
		return 0, o.fail("write", err)
	}
	n, err := file.WriteAt(b, offset)
	if err != nil {
		err = o.fail("write", err)
	}
	return n, err
}

// make returns the file, which it makes for the first page.
func (o *Outboard) make() (*os.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, fs.ErrClosed
	}
	if o.file != nil {
		return o.file, nil
	}
	file, err := o.part.OpenFile(treeName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	o.file = file
	return file, nil
}

// begun reports whether there is anything.
func (o *Outboard) begun() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.file != nil
}

func (o *Outboard) outside(b []byte, offset int64) error {
	return o.fail("use", lonja.E(lonja.Internal, "", fmt.Errorf("%d bytes at %d are not in its tree", len(b), offset)))
}

func (o *Outboard) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.file != nil {
		_ = o.file.Close()
	}
}
