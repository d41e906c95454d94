// Package datadir claims a directory for the data of one store: the engines
// keep their files there. It makes sure that no other process uses it, and
// that no store touches the data of another kind.
package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The files that each data directory has.
const (
	KindFile = "KIND" // says whose directory it is, so that no other kind of store touches it
	LockFile = "LOCK" // held by the process that uses it
)

// A Dir is a data directory that is ours until Close.
type Dir struct {
	path string
	kind string
	lock *os.File
}

// Claim makes sure that the directory at path, which is made if need be, is
// one of kind and ours alone. Kind is a word or two that say so to people:
// "local", or "cluster:" and its name. A directory without a mark may become
// ours, by Mark, unless it has a file of one of the names in data: those are
// never without.
func Claim(path, kind string, data ...string) (_ *Dir, err error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, LockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("%s is in use by another process", path)
	}
	d := &Dir{path, kind, lock}
	if err := d.check(data); err != nil {
		return nil, err
	}
	return d, nil
}

// check makes sure that the directory is ours or nobody's.
func (d *Dir) check(data []string) error {
	found, err := d.Read(KindFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		for _, name := range data {
			if _, err := os.Stat(d.Path(name)); err == nil {
				return fmt.Errorf("%s is missing beside a %s: this is not a whole data directory", d.Path(KindFile), name)
			}
		}
	case err != nil:
		return err
	case found != d.kind+"\n":
		return fmt.Errorf("%s belongs to a %q store, not to a %q one", d.path, strings.TrimSpace(found), d.kind)
	}
	return nil
}

// Mark says, for all time, of which kind the directory is. A store calls it
// once it knows that it can be opened, and before it writes a file of data.
func (d *Dir) Mark() error {
	if _, err := d.Read(KindFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.Write(KindFile, d.kind+"\n")
}

// Path returns the path of the file called name.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// Read returns what the small file called name holds.
func (d *Dir) Read(name string) (string, error) {
	content, err := os.ReadFile(d.Path(name))
	return string(content), err
}

// Write writes the small file called name, as WriteFile does.
func (d *Dir) Write(name, content string) error { return WriteFile(d.Path(name), content) }

// Close lets other processes have the directory.
func (d *Dir) Close() error { return d.lock.Close() }

// WriteFile writes a small file so that a power cut leaves the new one, or the
// one before it.
func WriteFile(path, content string) error {
	temp := path + ".new"
	file, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return Sync(filepath.Dir(path))
}

// Sync has the names of new files in a directory on disk: before it, nothing
// in them counts.
func Sync(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
