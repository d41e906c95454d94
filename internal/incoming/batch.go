package incoming

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"lonja"
)

// How much is gathered before it is synced and gets its names: what a power cut
// costs.
const (
	batchFiles = 16 << 10
	batchBytes = 64 << 20
	batchTime  = 5 * time.Second
)

// A batch is files that have come, and have no names yet.
type batch struct {
	files  []named
	bytes  int64
	began  time.Time
	number int // of the last file
}

// A named is a file in the hidden directory, and the path that it is to have.
type named struct {
	part, local string
	number      int32
}

// An Item is a file of the folder, which is to appear as Local: a path with '/' in
// between, which leads nowhere else.
type Item struct {
	ID         lonja.FileID
	Local      string
	Executable bool
	Number     int32 // the caller's, for OnNamed
}

func (i Item) mode() fs.FileMode {
	if i.Executable {
		return 0o777
	}
	return 0o666
}

// Put takes the content of a file, which was checked. It appears under its name
// with the others of its batch.
func (t *Target) Put(i Item, content []byte) error {
	number, err := t.nextNumber()
	if err != nil {
		return err
	}
	part := partOf(i.ID, number)
	f, err := t.part.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, i.mode())
	if err == nil {
		_, err = f.Write(content)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		_ = t.part.Remove(part)
		return t.failed("write", err)
	}
	return t.gather(named{part, i.Local, i.Number}, int64(len(content)))
}

// Copy takes what src has, which check looks at afterwards, as File. The blocks are
// shared with src where the file system can (FICLONE). What check does not like is
// not taken: its error is returned.
func (t *Target) Copy(i Item, src *os.File, check func(*os.File) error) error {
	number, err := t.nextNumber()
	if err != nil {
		return err
	}
	part := copyOf(number)
	f, err := t.part.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, i.mode())
	if err != nil {
		return t.failed("write", err)
	}
	defer f.Close()
	if err = clone(f, src); err != nil {
		_, err = io.Copy(f, io.NewSectionReader(src, 0, 1<<62))
	}
	var size int64
	if err == nil {
		if err = check(f); err == nil {
			size, err = f.Seek(0, io.SeekEnd)
		}
	}
	if err != nil {
		_ = t.part.Remove(part)
		return t.failed("copy", err)
	}
	return t.gather(named{part, i.Local, i.Number}, size)
}

func (t *Target) nextNumber() (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.batch.number++
	return t.batch.number, t.lost
}

// gather puts a file in the batch, and settles that if it is full. Others go on with
// the next one meanwhile; who fills that too waits.
func (t *Target) gather(n named, bytes int64) error {
	t.mu.Lock()
	b := &t.batch
	if len(b.files) == 0 {
		b.began = time.Now()
	}
	b.files = append(b.files, n)
	b.bytes += bytes
	full := len(b.files) >= batchFiles || b.bytes >= batchBytes || time.Since(b.began) >= batchTime
	t.mu.Unlock()
	if full {
		return t.Flush()
	}
	return nil
}

// Flush has all that came appear under its name, once it is on the disk.
func (t *Target) Flush() error {
	t.settling.Lock()
	defer t.settling.Unlock()
	t.mu.Lock()
	files, lost := t.batch.files, t.lost
	t.batch.files, t.batch.bytes = nil, 0
	t.mu.Unlock()
	if lost != nil || len(files) == 0 {
		return lost
	}
	slices.SortFunc(files, func(a, b named) int { return strings.Compare(a.local, b.local) })
	done, err := t.settle(files)
	if err != nil {
		t.mu.Lock()
		t.batch.files = append(t.batch.files, files[done:]...)
		t.mu.Unlock()
		return t.failed("finish", err)
	}
	return nil
}

// sync waits until all that was written is on the disk. The kernel tells once of what
// it could not write; then it takes that for written (fsync(2), NOTES), whatever it
// was. So after an error nothing that has no name yet gets one: it is lost.
func (t *Target) sync() error {
	err := t.syncAll(t.partDir)
	if err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.lost = t.failed("sync", err)
		return t.lost
	}
	return nil
}

// settle syncs files and gives them their names, and returns how many have them.
func (t *Target) settle(files []named) (done int, err error) {
	if err := t.sync(); err != nil {
		return 0, err
	}
	for i, n := range files {
		if err := t.appear(n); err != nil {
			return i, fmt.Errorf("%s: %w", lonja.Printable(n.local), plainCause(err))
		}
		if t.named != nil {
			t.named(n.number)
		}
	}
	return len(files), nil
}

func (t *Target) appear(n named) error {
	dir, base := path.Split(n.local)
	dir = path.Clean(dir)
	to := t.open[dir]
	if to == nil {
		if err := t.makeDir(dir); err != nil {
			return err
		}
		for other, f := range t.open { // one is enough: they come in order
			_ = f.Close()
			delete(t.open, other)
		}
		opened, err := t.root.Open(dir)
		if err != nil {
			return err
		}
		t.open[dir], to = opened, opened
	}
	err := rename(t.partDir, n.part, to, base, t.force)
	if errors.Is(err, errors.ErrUnsupported) {
		if _, statErr := t.root.Lstat(n.local); statErr == nil && !t.force {
			return errThere
		}
		return t.root.Rename(PartName+"/"+n.part, n.local)
	}
	if errors.Is(err, fs.ErrExist) {
		return errThere
	}
	return err
}

var errThere = errors.New("something else has come there meanwhile; move it away, or use --force to replace it")

// plainCause drops the path from a system's error.
func plainCause(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	}
	return err
}
