// Package private keeps small files that are for one user's eyes: keys, and what
// this user trusts. It makes them so, refuses to read them when others may have
// read or changed them, writes them so that a power cut or a second process
// leaves the one before or the one after, and lets one process change them at a
// time.
//
// It does not know what is in them. identity, authority and trust use it.
package private

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"lonja"
)

// MaxSize bounds a file, in bytes.
const MaxSize = 16 << 20

// A Dir is a directory that no other process changes until Close.
type Dir struct {
	path string
	lock *os.File
}

// Rights say who else may do what with a directory.
type Rights fs.FileMode

// What is refused to others.
const (
	Hidden Rights = 0o077 // everything
	Fixed  Rights = 0o022 // changing it; they may see which files there are
)

// Lock makes the directory at path if need be, for its owner only, and waits
// until no other process has it, nor another part of this one. The error is of
// kind LocalFile, also if others have rights that are refused.
func Lock(path string, refused Rights) (_ *Dir, err error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, failed("make", err)
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, failed("open", err)
	}
	defer func() {
		if err != nil {
			_ = dir.Close()
		}
	}()
	if err := check(dir, refused); err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX)
		switch {
		case err == nil:
			return &Dir{path, dir}, nil
		case !errors.Is(err, unix.EINTR):
			return nil, failed("lock "+path, err)
		}
	}
}

// Close lets others have the directory.
func (d *Dir) Close() error { return d.lock.Close() }

// Read returns what the file called name holds, as the function Read does.
func (d *Dir) Read(name string) ([]byte, error) { return readFile(filepath.Join(d.path, name)) }

// Write puts content in the place of the file called name, in one step, and
// waits until it is on the disk.
func (d *Dir) Write(name string, content []byte) error {
	path := filepath.Join(d.path, name)
	if len(content) > MaxSize { // nobody could read it again
		return failed("write "+path, fmt.Errorf("%d bytes are too many, at most %d", len(content), MaxSize))
	}
	temp := path + ".new" // what a crash left there is nobody's: we have the lock
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("write", err)
	}
	file, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return failed("write", err)
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
		return failed("write "+path, err)
	}
	return d.sync()
}

// Rename gives a file another name, in the place of what had that.
func (d *Dir) Rename(from, to string) error {
	if err := os.Rename(filepath.Join(d.path, from), filepath.Join(d.path, to)); err != nil {
		return failed("rename", err)
	}
	return d.sync()
}

func (d *Dir) sync() error {
	if err := d.lock.Sync(); err != nil {
		return failed("write to "+d.path, err)
	}
	return nil
}

// Read returns what the file called name in the directory at path holds, without
// waiting for who changes it. The error is fs.ErrNotExist if there is none, and
// of kind LocalFile if it cannot be read or others have rights: to the file any,
// to the directory one of those refused.
func Read(path, name string, refused Rights) ([]byte, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, failed("read", err)
	}
	err = check(dir, refused)
	if err := errors.Join(err, dir.Close()); err != nil {
		return nil, err
	}
	return readFile(filepath.Join(path, name))
}

func readFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, failed("read", err)
	}
	defer file.Close()
	if err := check(file, Hidden); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err == nil && len(content) > MaxSize {
		err = fmt.Errorf("it is longer than %d bytes", MaxSize)
	}
	if err != nil {
		return nil, failed("read "+path, err)
	}
	return content, nil
}

// check returns nil if what is opened is ours and nobody else has one of the
// refused rights. For the superuser the owner is who it works for.
func check(file *os.File, refused Rights) error {
	var is unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &is); err != nil {
		return failed("look at "+file.Name(), err)
	}
	mode, kind := uint32(is.Mode), uint32(is.Mode)&unix.S_IFMT
	rights := "600"
	if kind == unix.S_IFDIR {
		rights = "700"
	}
	me := os.Geteuid()
	switch {
	case kind != unix.S_IFREG && kind != unix.S_IFDIR:
		return failed("open "+file.Name(), errors.New("it is neither a file nor a directory"))
	case me != 0 && int(is.Uid) != me:
		return failed("open "+file.Name(), errors.New("it belongs to another user, who could read and change what is to be private"))
	case mode&uint32(refused) != 0:
		return failed("open "+file.Name(), fmt.Errorf(
			"other users have rights to it (mode %04o), so that what is to be private may not be; if you trust what is there: chmod %s %s",
			mode&0o7777, rights, file.Name()))
	}
	return nil
}

func failed(op string, err error) error { return lonja.E(lonja.LocalFile, op, err) }
