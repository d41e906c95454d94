// Package partial is the one door through which received files come to disk.
//
// A File grows beside its target and is invisible there until Commit puts it
// in the target's place in one step; until then, and after Abort or a failure
// of any kind, whatever stood under the target's name is untouched. On Linux
// the growing file has no name at all, so that even a process that is killed
// leaves nothing behind. Where the file system has no unnamed files, it is a
// hidden one, .NAME.lonja-XXXXXXXX.
//
// The package knows no network and does not judge what is written: download
// decides whether a file is whole.
package partial

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lonja"
)

// Options say how a file is received. The zero Options are usable.
type Options struct {
	// Sync makes Commit wait until data and name are on the disk. Without it
	// a power cut soon after Commit may cost the data; it is off by default
	// because writing all of a big file out takes longer than receiving it.
	Sync bool

	testOnlyHidden bool // behave as where there are no unnamed files
}

// A File is being received. Handle and Scratch may be called by any number of
// goroutines at once; Truncate, Commit and Abort by the owner, when no handle
// is in use any more.
//
// All errors are *lonja.Error of kind LocalFile and name the target.
type File struct {
	target string // as the caller gave it, for messages
	opts   Options

	dir  *os.Root // the target's directory, held: renaming it does no harm
	base string   // the target's name in dir

	replaces bool        // there is a regular file under the target's name
	mode     fs.FileMode // its permissions

	data *os.File
	temp string // the name of data in dir, empty while it has none

	closed bool // set by Commit and Abort
}

// Create begins a file that is to appear as target. The directory of target
// must exist and be writable; target itself may exist if it is a regular file,
// whose permissions the new one then takes over, or a symbolic link to one or
// to nothing: it is the link that Commit replaces, not what it points to.
// Anything else is refused, so that nobody replaces a device by a file.
//
// The caller calls Commit or Abort in the end.
func Create(target string, opts Options) (*File, error) {
	f := &File{target: target, opts: opts}
	if err := f.open(); err != nil {
		f.release()
		return nil, f.failed("create", err)
	}
	return f, nil
}

func (f *File) open() (err error) {
	dir, base := filepath.Split(f.target)
	if base == "" || base == "." || base == ".." {
		return errors.New("it names a directory")
	}
	if dir == "" {
		dir = "."
	}
	f.base = base
	// The final "." makes this fail at once where a FIFO took the place of
	// the directory; without it, opening would wait for a writer.
	if f.dir, err = os.OpenRoot(dir + string(filepath.Separator) + "."); err != nil {
		return err
	}
	if err := f.inspect(); err != nil {
		return err
	}
	perm := fs.FileMode(0o666)
	if f.replaces {
		perm = f.mode | 0o600 // ours to write while it grows, and no wider for others
	}
	f.data, f.temp, err = f.create(perm)
	return err
}

// inspect looks at what stands under the target's name now.
func (f *File) inspect() error {
	info, err := f.dir.Lstat(f.base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().IsRegular():
		f.replaces, f.mode = true, info.Mode().Perm()
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		if info, err = os.Stat(f.target); err != nil || info.Mode().IsRegular() {
			return nil
		}
	}
	if info.IsDir() {
		return errors.New("it is a directory")
	}
	return errors.New("it is not a regular file")
}

// create makes a file without a name in the target's directory or, where that
// cannot be, a hidden one, whose name it returns.
func (f *File) create(perm fs.FileMode) (data *os.File, temp string, err error) {
	if !f.opts.testOnlyHidden {
		data, err = createUnnamed(f.dir, perm)
		if !errors.Is(err, errors.ErrUnsupported) {
			return data, "", err
		}
	}
	return createHidden(f.dir, f.base, perm)
}

func createHidden(dir *os.Root, base string, perm fs.FileMode) (*os.File, string, error) {
	for {
		temp := hiddenName(base)
		data, err := dir.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
		if !errors.Is(err, fs.ErrExist) {
			return data, temp, err
		}
	}
}

// maxHiddenBase keeps a hidden name within the 255 bytes that file systems
// take, however long the target's own name is.
const maxHiddenBase = 200

func hiddenName(base string) string {
	return "." + base[:min(len(base), maxHiddenBase)] + ".lonja-" + rand.Text()[:8]
}

// Handle returns a further handle on the file, positioned at offset, for one
// goroutine to read or write through. Each has a position of its own, so that
// the kernel can move data from a connection straight to its place. The
// caller closes it.
func (f *File) Handle(offset int64) (*os.File, error) {
	h, err := f.reopen()
	if err != nil {
		return nil, f.failed("open", err)
	}
	if _, err := h.Seek(offset, 0); err != nil {
		_ = h.Close()
		return nil, f.failed("seek", err)
	}
	return h, nil
}

func (f *File) reopen() (*os.File, error) {
	if f.temp == "" {
		return reopenUnnamed(f.data)
	}
	return f.dir.OpenFile(f.temp, os.O_RDWR, 0)
}

// Scratch returns an empty file on the same file system, for data whose place
// is not known yet. It has no name and is gone when the caller closes it.
func (f *File) Scratch() (*os.File, error) {
	data, temp, err := f.create(0o600)
	if err == nil && temp != "" {
		err = f.dir.Remove(temp)
	}
	if err != nil {
		if data != nil {
			_ = data.Close()
		}
		return nil, f.failed("create a file beside", err)
	}
	return data, nil
}

// Truncate makes the file size bytes long.
func (f *File) Truncate(size int64) error {
	if err := f.data.Truncate(size); err != nil {
		return f.failed("write", err)
	}
	return nil
}

// Commit puts the file in the target's place, in one step for whoever looks.
// On an error the target is as it was and the file is gone, as after Abort.
func (f *File) Commit() error {
	if f.closed {
		return f.failed("finish", fs.ErrClosed)
	}
	if err := f.commit(); err != nil {
		f.Abort()
		return f.failed("finish", err)
	}
	f.release()
	return nil
}

func (f *File) commit() error {
	if f.replaces {
		if err := f.data.Chmod(f.mode); err != nil {
			return err
		}
	}
	if f.opts.Sync {
		if err := f.data.Sync(); err != nil {
			return err
		}
	}
	if err := f.appear(); err != nil {
		return err
	}
	if f.opts.Sync {
		return syncDir(f.dir)
	}
	return nil
}

// appear gives the data the target's name. A name that nothing has yet can be
// given directly; otherwise a hidden name comes first and replaces what has
// it. To be killed just between those two steps leaves the whole file under
// the hidden name: the one moment in which an unnamed file can stay behind.
func (f *File) appear() error {
	if f.temp == "" {
		err := linkUnnamed(f.data, f.dir, f.base)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		temp := hiddenName(f.base)
		if err := linkUnnamed(f.data, f.dir, temp); err != nil {
			return err
		}
		f.temp = temp
	}
	// Some file systems tell only now that data could not be written.
	if err := f.data.Close(); err != nil {
		return err
	}
	if err := f.dir.Rename(f.temp, f.base); err != nil {
		return err
	}
	f.temp = ""
	return nil
}

// Abort drops the file and leaves the target as it was. After Commit, and
// when called again, it does nothing, so that it can be deferred.
func (f *File) Abort() {
	if f.closed {
		return
	}
	if f.temp != "" {
		_ = f.dir.Remove(f.temp)
	}
	f.release()
}

func (f *File) release() {
	f.closed = true
	if f.data != nil {
		_ = f.data.Close()
	}
	if f.dir != nil {
		_ = f.dir.Close()
	}
}

func syncDir(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// failed tells err of the target: the names inside it, relative to a held
// directory or of unnamed files, say nothing to a person.
func (f *File) failed(op string, err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	} else if linkErr, ok := errors.AsType[*os.LinkError](err); ok {
		err = linkErr.Err
	}
	return lonja.E(lonja.LocalFile, op, fmt.Errorf("%s: %w", lonja.Printable(f.target), err))
}
