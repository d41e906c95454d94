package hashing

import (
	"errors"
	"os"
	"syscall"
	"time"

	"lonja"
	"lonja/internal/inode"
)

// A Stamp is what tells that a file is still the one that was hashed: which one
// it is, its size, when its content was changed last, and when anything of it was.
// Programs that copy files or unpack them set the former, but nobody can set the
// latter.
type Stamp struct {
	Device, Inode uint64
	Size          int64 // bytes
	ModTime       int64 // nanoseconds since 1970
	Changed       int64 // nanoseconds since 1970, or 0 if the system does not tell
}

var errNotRegular = errors.New("not a regular file")

// StampOf returns the Stamp of an open file. The error is of kind LocalFile, also
// for what is not a regular file.
func StampOf(f *os.File) (Stamp, error) {
	s, _, err := look(f)
	return s, err
}

func look(f *os.File) (Stamp, os.FileInfo, error) {
	info, err := f.Stat()
	if err != nil {
		return Stamp{}, nil, lonja.E(lonja.LocalFile, "look at", err)
	}
	s, ok := StampFrom(info)
	if !ok {
		return Stamp{}, nil, lonja.E(lonja.LocalFile, "look at "+lonja.Printable(f.Name()), errNotRegular)
	}
	return s, info, nil
}

// StampFrom returns the Stamp of the file that the system gave info about; not ok
// for what is not a regular file.
func StampFrom(info os.FileInfo) (s Stamp, ok bool) {
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() {
		return s, false
	}
	_, changed := inode.Of(info)
	return Stamp{uint64(sys.Dev), uint64(sys.Ino), info.Size(), info.ModTime().UnixNano(), changed}, true
}

// settling is how long a file must have been left alone before it is hashed for
// its Stamp to tell of any later change. Clocks of file systems are coarse, up
// to two seconds: what is written in the same tick changes no time.
const settling = 2 * time.Second

// settled reports whether the file had been left alone at now.
func (s Stamp) settled(now time.Time) bool {
	return now.Sub(time.Unix(0, s.ModTime)) > settling
}
