package share

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"

	"lonja"
	"lonja/internal/inode"
)

// A seen is what a file was when its content was looked at.
type seen struct {
	modified int64  // nanoseconds since 1970
	mark     uint64 // as package inode has it; 0: it is not known
}

func seenOf(info fs.FileInfo) seen { return seen{info.ModTime().UnixNano(), inode.Mark(info)} }

// seenLen is how many bytes a seen takes on disk.
const seenLen = 16

func (s seen) append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, uint64(s.modified)), s.mark)
}

// A likeness is what size, time and mark of a file tell of its content.
type likeness int

const (
	another likeness = iota // than the one that was looked at
	touched                 // only its hash can tell: another file has its place, say, or it has other permissions
	same
)

// compare compares what a file is now with what it was, and with that size.
func (s seen) compare(info fs.FileInfo, size int64) likeness {
	now := seenOf(info)
	switch {
	case info.Size() != size || now.modified != s.modified:
		return another
	case now.mark != s.mark && now.mark != 0: // otherwise this system does not tell
		return touched
	default:
		return same
	}
}

// ErrTouched is the cause of the error for a file that may be another than the one
// that was published, though it has its size and its time. Recheck finds out.
var ErrTouched = errors.New("the file was touched since it was published, and is looked at again")

// changedError is the error for a file that is not same as what has that name.
func (l likeness) err(name lonja.FileName) error {
	if l == touched {
		return &lonja.Error{Kind: lonja.Limited, Op: "open", File: name, Err: ErrTouched}
	}
	return &lonja.Error{Kind: lonja.Conflict, Op: "open", File: name, Err: errChanged}
}

// A Hash finds out the content of an open file; not known if it cannot, or if it has
// no reason to: touched says that its size and its time are what they were, but that
// it may be another.
type Hash func(f *os.File, touched bool) (id lonja.FileID, known bool)

// A finding is what is known of a file in the end.
type finding struct {
	changed bool
	now     seen // if it is the one that was published, though it was touched
}

// judge finds out whether an open file is what was seen, and has that size and content.
func (s seen) judge(f *os.File, size int64, id lonja.FileID, hash Hash) finding {
	info, err := f.Stat()
	if err != nil {
		return finding{}
	}
	like := s.compare(info, size)
	if like == another || hash == nil {
		return finding{changed: like == another}
	}
	switch got, known := hash(f, like == touched); {
	case known && got != id:
		return finding{changed: true}
	case known && like == touched:
		return finding{now: seenOf(info)}
	default:
		return finding{}
	}
}
