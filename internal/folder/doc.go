// Package folder knows what a folder is that is published as one object: a list
// of the paths in it, with the size and the FileID of each file, whether it may
// be executed, and the directories that are empty. The list is a content like any
// other: its BLAKE3 hash is the id of the folder, and so whoever has the id can
// check the list, and with it each file.
//
// A list has one form only, byte for byte. It begins with Magic, has the entries
// in the order of Compare, and ends with the totals:
//
//	entry   kind (1: file, 2: file that may be executed, 3: empty directory);
//	        how many bytes its path shares with the one before, and its other
//	        bytes, as their number and they themselves; of a file, its size and
//	        its FileID, 32 bytes
//	totals  a byte 0, then how many entries there are, how many of them are
//	        files, and how many bytes these have together
//
// Numbers are varints of encoding/binary in their shortest form. A path shares as
// much as it can, but each BlockEntries-th entry, the first among them, shares
// nothing: from there a list can be read without what comes before.
//
// The package reads and writes lists, an entry at a time, and says under which
// names the files can be had on another machine (Names). It opens no file and
// hashes nothing: share serves folders, node publishes and fetches them.
package folder

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"lonja"
)

// Magic is what each list begins with.
const Magic = "lonja folder v1\n"

// The bounds of a list.
const (
	MaxEntries = 16 << 20
	MaxPath    = 4096    // bytes
	MaxName    = 255     // of each part of a path, in bytes
	MaxDepth   = 128     // parts of a path
	MaxSize    = 1 << 50 // of a file, and of all together, in bytes: what package tree has
	// MaxListSize bounds a list, in bytes, so that who fetches one knows what is
	// too much.
	MaxListSize = 4 << 30
)

// BlockEntries is after how many entries a list can be read anew.
const BlockEntries = 64

// A Kind says what an entry is.
type Kind uint8

// The kinds, as they stand in a list.
const (
	File           Kind = 1
	Executable     Kind = 2 // a file that may be executed
	EmptyDirectory Kind = 3
)

// An Entry is a file of a folder, or a directory that has nothing in it.
type Entry struct {
	Path string // parts with '/' between them; see CheckPath
	Kind Kind
	Size int64 // of a file, in bytes
	ID   lonja.FileID
}

// IsFile reports whether e is a file.
func (e Entry) IsFile() bool { return e.Kind == File || e.Kind == Executable }

// Totals are what the entries of a list add up to.
type Totals struct {
	Entries, Files int64
	Bytes          int64
}

func (t *Totals) add(e Entry) error {
	t.Entries++
	if t.Entries > MaxEntries {
		return fmt.Errorf("more than %d entries", MaxEntries)
	}
	if e.IsFile() {
		t.Files++
		t.Bytes += e.Size // both at most MaxSize
	}
	if t.Bytes > MaxSize {
		return errors.New("all files together are too big")
	}
	return nil
}

// CheckPath returns why a path cannot be one of a folder: it is UTF-8, not too
// long, in parts between '/' of which none is empty, "." or "..", and has no NUL.
// Whether a machine can have such a name is another question: see Names.
func CheckPath(path string) error {
	switch {
	case len(path) > MaxPath:
		return fmt.Errorf("a path of %d bytes, at most %d may be", len(path), MaxPath)
	case !utf8.ValidString(path):
		return fmt.Errorf("path %q is not UTF-8", path)
	case strings.ContainsRune(path, 0):
		return fmt.Errorf("path %q has a NUL in it", path)
	case strings.Count(path, "/") >= MaxDepth:
		return fmt.Errorf("a path of more than %d parts", MaxDepth)
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("path %q has a part %q", path, part)
		}
		if len(part) > MaxName {
			return fmt.Errorf("a name of %d bytes, at most %d may be", len(part), MaxName)
		}
	}
	return nil
}

// Compare orders paths as their directories are walked: by the bytes of their
// parts, one part after the other.
func Compare(a, b string) int {
	shared := sharedLen(a, b)
	switch {
	case len(a) == shared && len(b) == shared:
		return 0
	case len(a) == shared:
		return -1
	case len(b) == shared:
		return 1
	}
	return int(rank(a[shared])) - int(rank(b[shared]))
}

// rank has what separates parts come before all that they can have in them.
func rank(c byte) byte {
	if c == '/' {
		return 0
	}
	return c
}

func sharedLen(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// A checker sees to it that entries are in order and make a folder together.
type checker struct {
	last   string
	totals Totals
}

func (c *checker) check(e Entry) error {
	switch {
	case e.Kind < File || e.Kind > EmptyDirectory:
		return fmt.Errorf("an entry of kind %d", e.Kind)
	case e.IsFile() && (e.Size < 0 || e.Size > MaxSize):
		return fmt.Errorf("no file has %d bytes", e.Size)
	case !e.IsFile() && (e.Size != 0 || !e.ID.IsZero()):
		return errors.New("a directory with a content")
	}
	if err := CheckPath(e.Path); err != nil {
		return err
	}
	switch {
	case c.totals.Entries > 0 && Compare(c.last, e.Path) >= 0:
		return fmt.Errorf("%q comes behind %q", e.Path, c.last)
	case c.totals.Entries > 0 && strings.HasPrefix(e.Path, c.last+"/"):
		return fmt.Errorf("%q cannot be in %q, which is a file, or empty", e.Path, c.last)
	}
	c.last = e.Path
	return c.totals.add(e)
}
