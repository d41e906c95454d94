package incoming

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"lonja"
)

// A dirState is what is known of a directory of the target.
type dirState uint8

const (
	dirUnknown dirState = iota
	dirMissing
	dirThere
)

var errInTheWay = errors.New("something that is not a directory is in the way; move it away")

// look looks at a directory, once.
func (t *Target) look(local string) (dirState, error) {
	if state := t.dirs[local]; state != dirUnknown {
		return state, nil
	}
	above, err := t.look(path.Dir(local))
	if err != nil {
		return dirUnknown, err
	}
	state := dirMissing
	if above == dirThere {
		switch info, err := t.root.Lstat(local); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return dirUnknown, err
		case !info.IsDir():
			return dirUnknown, fmt.Errorf("%s: %w", lonja.Printable(local), errInTheWay)
		default:
			state = dirThere
		}
	}
	t.dirs[local] = state
	return state, nil
}

// makeDir makes a directory, and those that it is in.
func (t *Target) makeDir(local string) error {
	state, err := t.look(local)
	if err != nil || state == dirThere {
		return err
	}
	if err := t.makeDir(path.Dir(local)); err != nil {
		return err
	}
	if err := t.root.Mkdir(local, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	delete(t.dirs, local)
	if state, err = t.look(local); err == nil && state != dirThere {
		err = fs.ErrNotExist
	}
	return err
}

// Directory makes a directory if it is not there.
func (t *Target) Directory(local string) error {
	t.settling.Lock()
	defer t.settling.Unlock()
	if err := t.makeDir(local); err != nil {
		return t.failed("make a directory in", err)
	}
	return nil
}

// Look returns what stands where a file is to be, or nil. The error is that there
// cannot be one: a directory has the name, say.
func (t *Target) Look(local string) (fs.FileInfo, error) {
	t.settling.Lock()
	defer t.settling.Unlock()
	state, err := t.look(path.Dir(local))
	if err == nil && state == dirThere && !(t.fresh && path.Dir(local) == ".") {
		info, statErr := t.root.Lstat(local)
		switch {
		case errors.Is(statErr, fs.ErrNotExist):
			return nil, nil
		case statErr != nil:
			err = statErr
		case !info.Mode().IsRegular():
			err = fmt.Errorf("%s: something that is not a file is in the way; move it away", lonja.Printable(local))
		default:
			return info, nil
		}
	}
	if err != nil {
		return nil, t.failed("look at", err)
	}
	return nil, nil
}

// OpenFile opens a file of the target for reading. The caller closes it.
func (t *Target) OpenFile(local string) (*os.File, error) {
	f, err := t.root.OpenFile(local, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, t.failed("open", err)
	}
	return f, nil
}

// SetExecutable has a file be one that may be executed by those who may read it, or
// by nobody.
func (t *Target) SetExecutable(local string, info fs.FileInfo, executable bool) error {
	mode := info.Mode().Perm() &^ 0o111
	if executable {
		mode |= mode & 0o444 >> 2
	}
	if mode == info.Mode().Perm() {
		return nil
	}
	if err := t.root.Chmod(local, mode); err != nil {
		return t.failed("set the mode of a file in", err)
	}
	return nil
}

// Files calls each with the regular files that are in the target, but those that
// have come and have no names yet.
func (t *Target) Files(each func(local string, info fs.FileInfo)) error {
	err := fs.WalkDir(t.root.FS(), ".", func(local string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // it cannot be read: it is of no use
		case local == PartName:
			return fs.SkipDir
		case e.Type().IsRegular():
			if info, err := e.Info(); err == nil {
				each(local, info)
			}
		}
		return nil
	})
	if err != nil {
		return t.failed("look at", err)
	}
	return nil
}

// CheckRoom returns an error if the disk has not so many bytes and files left.
func (t *Target) CheckRoom(bytes, files int64) error {
	free, names, err := room(t.partDir)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil
	case err != nil:
		return t.failed("look at the disk of", err)
	case bytes > free:
		return t.failed("receive", fmt.Errorf("%d bytes are needed on its disk and %d are free (%w)", bytes, free, syscall.ENOSPC))
	case names >= 0 && files > names:
		return t.failed("receive", fmt.Errorf("its disk has room for %d more files, and %d are to come (%w)", names, files, syscall.ENOSPC))
	}
	return nil
}
