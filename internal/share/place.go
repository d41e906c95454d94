package share

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"lonja"
)

// A place is where a published file is: the real path of its directory, in
// which no part is a symbolic link, and its name there.
type place struct{ dir, base string }

// The reasons for which something is not served, besides those of the system.
var (
	errNotAbsolute = errors.New("path is not absolute")
	errClimbs      = errors.New(`".." is not allowed in a path`)
	errNotRegular  = errors.New("not a regular file")
	errMoved       = errors.New("its directory is not where it was")
)

// locate finds the place of the file at path and opens it once, to see that it
// can be served.
func locate(name lonja.FileName, path string) (place, error) {
	if climbs(string(name)) || climbs(path) {
		return place{}, errClimbs
	}
	if !filepath.IsAbs(path) {
		return place{}, errNotAbsolute
	}
	where, err := splitReal(path)
	if err != nil {
		return place{}, err
	}
	f, _, err := where.open()
	if err != nil {
		return place{}, err
	}
	return where, f.Close()
}

// splitReal returns the place that an absolute path leads to.
func splitReal(path string) (place, error) {
	dir, base := filepath.Split(path)
	if base == "" || base == "." {
		return place{}, errNotRegular
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return place{}, plainCause(err)
	}
	return place{dir: dir, base: base}, nil
}

func (p place) path() string { return filepath.Join(p.dir, p.base) }

// valid reports whether p could have come from locate.
func (p place) valid() bool {
	return filepath.IsAbs(p.dir) && filepath.Clean(p.dir) == p.dir &&
		p.base != "." && filepath.IsLocal(p.base) && filepath.Base(p.base) == p.base
}

// openFlags never wait for the writer of a FIFO, and make no terminal ours.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK | syscall.O_NOCTTY

// open opens the file for reading if it is a regular one inside its directory.
// It looks before it opens, because opening some devices has effects, and
// again afterwards, because the file may have been exchanged in between.
func (p place) open() (*os.File, int64, error) {
	dir, err := p.openDir()
	if err != nil {
		return nil, 0, plainCause(err)
	}
	defer dir.Close()
	info, err := dir.Stat(p.base)
	if err != nil {
		return nil, 0, plainCause(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errNotRegular
	}
	f, err := dir.OpenFile(p.base, openFlags, 0)
	if err != nil {
		return nil, 0, plainCause(err)
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, plainCause(err)
	}
	return f, info.Size(), nil
}

// openDir opens the directory if it is still reached without a symbolic link.
// os.OpenRoot follows links on the way to the directory, so what it opened is
// compared with what stands at the end of the straight path. (To open each
// part of the path in turn would ask for the right to read all of them, which
// is not needed to have a file there.)
func (p place) openDir() (*os.Root, error) {
	// The final "." makes this fail at once where a FIFO took the place of
	// the directory; without it, opening would wait for a writer.
	dir, err := os.OpenRoot(p.dir + string(filepath.Separator) + ".")
	if err != nil {
		return nil, err
	}
	opened, err := dir.Stat(".")
	if err == nil {
		var straight fs.FileInfo
		straight, err = statStraight(p.dir)
		if err == nil && !os.SameFile(opened, straight) {
			err = errMoved
		}
	}
	if err != nil {
		_ = dir.Close()
		return nil, err
	}
	return dir, nil
}

// statStepwise is statStraight without the help of the system: somebody who
// can exchange a part of the path between the two steps can deceive it.
func statStepwise(dir string) (fs.FileInfo, error) {
	if real, err := filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	} else if real != dir {
		return nil, errMoved
	}
	return os.Lstat(dir)
}

// isOurTrouble tells a file that cannot be opened from one that is not there.
func isOurTrouble(err error) bool {
	for _, trouble := range []error{fs.ErrPermission, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EIO} {
		if errors.Is(err, trouble) {
			return true
		}
	}
	return false
}

// plainCause drops the path from a system's error: whoever shows it names the
// file already.
func plainCause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
