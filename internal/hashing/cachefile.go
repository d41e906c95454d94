package hashing

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// A cacheFile is the file of a Cache. It is read and written under a lock on
// itself (flock(2)); who has waited for the lock of a file that was meanwhile
// replaced by another begins with that one. It belongs to whoever holds the
// Cache's own lock.
type cacheFile struct {
	path    string
	file    *os.File // nil while none is open
	end     int64    // up to where it was read
	records int      // up to there
}

var errClosed = errors.New("it is closed")

// locked calls do while no other process reads or writes the file, after each
// record that others have appended was handed to take. The file may be a new
// one; then all of it was.
func (c *cacheFile) locked(take func(record), do func() error) error {
	for range 100 {
		if err := c.open(); err != nil {
			return err
		}
		file := c.file
		if err := flock(file, unix.LOCK_EX); err != nil {
			return err
		}
		if !c.current() {
			_ = file.Close() // its lock, too
			c.file = nil
			continue
		}
		err := c.catchUp(take)
		if err == nil {
			err = do()
		}
		if c.file == file {
			err = errors.Join(err, flock(file, unix.LOCK_UN))
		}
		return err
	}
	return errors.New("others replace it all the time")
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err != unix.EINTR {
			return err
		}
	}
}

func (c *cacheFile) open() (err error) {
	if c.path == "" {
		return errClosed
	}
	if c.file != nil {
		return nil
	}
	c.end, c.records = 0, 0
	c.file, err = os.OpenFile(c.path, os.O_RDWR|os.O_CREATE|unix.O_NONBLOCK, 0o600)
	return err
}

// current reports whether the open file is the one that has the name.
func (c *cacheFile) current() bool {
	opened, err := c.file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(c.path)
	return err == nil && os.SameFile(opened, named)
}

// catchUp reads what others have appended. A file that does not begin as it
// should is begun anew, and so is one that has lost what was read already.
func (c *cacheFile) catchUp(take func(record)) error {
	info, err := c.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "open", Path: c.path, Err: errNotRegular}
	}
	if c.end == 0 || info.Size() < c.end {
		if err := c.begin(); err != nil {
			return err
		}
	}
	n, err := readRecords(io.NewSectionReader(c.file, c.end, max(0, info.Size()-c.end)), take)
	c.records += n
	c.end += int64(n) * recordLen
	return err
}

// begin reads the header, or makes one.
func (c *cacheFile) begin() error {
	c.end, c.records = headerLen, 0
	want, got := appendHeader(nil), make([]byte, headerLen)
	if _, err := c.file.ReadAt(got, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if bytes.Equal(got, want) {
		return nil
	}
	if err := c.file.Truncate(0); err != nil {
		return err
	}
	_, err := c.file.WriteAt(want, 0)
	return err
}

// append writes a record behind the last whole one, in the place of what a
// crash has left of another.
func (c *cacheFile) append(r record) error {
	if _, err := c.file.WriteAt(appendRecord(nil, r), c.end); err != nil {
		return err
	}
	c.end += recordLen
	c.records++
	return nil
}

// rewrite replaces the file by one of these records, the oldest first. The lock
// is enough for there to be one temporary name.
func (c *cacheFile) rewrite(files map[fileKey]entry) error {
	b := appendHeader(make([]byte, 0, headerLen+len(files)*recordLen))
	for _, key := range sortedKeys(files, func(a, b entry) int { return int(a.turn) - int(b.turn) }) {
		e := files[key]
		b = appendRecord(b, record{Stamp{key.device, key.inode, e.size, e.modTime, e.changed}, e.id})
	}
	temp := c.path + ".tmp"
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(temp, c.path)
	}
	if err != nil {
		_ = os.Remove(temp)
		return errors.Join(err, f.Close())
	}
	_ = c.file.Close() // its lock, too
	c.file, c.end, c.records = f, int64(len(b)), len(files)
	return nil
}

func (c *cacheFile) close() error {
	c.path = ""
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	return err
}

func sortedKeys(files map[fileKey]entry, compare func(a, b entry) int) []fileKey {
	return slices.SortedFunc(maps.Keys(files), func(a, b fileKey) int { return compare(files[a], files[b]) })
}
