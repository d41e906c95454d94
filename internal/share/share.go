// Package share is the one door through which local files are opened to be
// served to others. What was published can be opened, by exactly the name under
// which it was published, and nothing else can: no name from the network ever
// reaches the file system.
//
// A Set holds the publications of one user at one directory, and remembers
// them between runs when it was opened on a state directory. It does not talk
// to anybody: node keeps it in step with the directory, upload serves from it.
package share

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"lonja"
)

// A Set is what one user has published: names, and the place of each on this
// machine's disk. Its methods may be called by any number of goroutines at
// once.
type Set struct {
	store *store // nil for a Set that lives in memory only

	changing sync.Mutex // held while publications change, over the disk write
	current  atomic.Pointer[publications]
}

// publications is never changed once it is the current one of a Set, so that
// readers need no lock.
type publications map[lonja.FileName]place

// New returns an empty Set that lives in memory only.
func New() *Set {
	s := new(Set)
	s.current.Store(&publications{})
	return s
}

// Open returns the Set of key, with what earlier runs left under stateDir,
// which is created if need be and may be shared by any number of users and
// processes. Files that are no longer there stay in the Set: their disk may
// come back.
//
// The errors are of kind LocalFile. One that is ErrDamaged says that the
// record could not be understood, and under which name it was set aside: the
// next Open begins with an empty Set.
func Open(stateDir string, key Key) (*Set, error) {
	s := New()
	s.store = newStore(stateDir, key)
	kept, err := s.store.open()
	if err != nil {
		return nil, lonja.E(lonja.LocalFile, "read publications", err)
	}
	s.current.Store(&kept)
	return s, nil
}

// Add publishes the file at path, which is absolute, under name; a name that
// was there already now stands for path. It must be a regular file that can be
// read, now. Its directory is remembered by its real path, free of symbolic
// links, and the file is later opened inside that directory only: a symbolic
// link may be published if it leads to a file below the same directory.
//
// The errors are of kind LocalFile, with the system's error as the cause.
func (s *Set) Add(name lonja.FileName, path string) error {
	where, err := locate(name, path)
	if err != nil {
		if string(name) != path {
			err = fmt.Errorf("%s: %w", lonja.Printable(path), err)
		}
		return &lonja.Error{Kind: lonja.LocalFile, Op: "publish", File: name, Err: err}
	}
	return s.change(func(p publications) { p[name] = where })
}

// Remove takes name out of the Set; one that is not there does no harm.
// The errors are of kind LocalFile.
func (s *Set) Remove(name lonja.FileName) error {
	return s.change(func(p publications) { delete(p, name) })
}

// Clear empties the Set. The errors are of kind LocalFile.
func (s *Set) Clear() error {
	return s.change(func(p publications) { clear(p) })
}

// change applies edit to the current publications, on disk first: what is
// served never outlives what is remembered.
func (s *Set) change(edit func(publications)) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	next := maps.Clone(*s.current.Load())
	if s.store == nil {
		edit(next)
	} else {
		var err error
		if next, err = s.store.update(next, edit); err != nil {
			return lonja.E(lonja.LocalFile, "write publications", err)
		}
	}
	s.current.Store(&next)
	return nil
}

// Contains reports whether something is published under name.
func (s *Set) Contains(name lonja.FileName) bool {
	_, ok := (*s.current.Load())[name]
	return ok
}

// Names returns the published names in order.
func (s *Set) Names() []lonja.FileName {
	return sortedNames(*s.current.Load())
}

// Open opens what is published under exactly this name for reading and returns
// its size too. The caller closes it.
//
// The error is of kind NoSuchFile if nothing is published under name, and if
// what was is not there any more: gone, moved behind a symbolic link, or no
// longer a regular file. It is of kind LocalFile if the file is there but
// cannot be opened. Open never waits: not for the writer of a FIFO either.
func (s *Set) Open(name lonja.FileName) (f *os.File, size int64, err error) {
	where, ok := (*s.current.Load())[name]
	if !ok {
		return nil, 0, &lonja.Error{Kind: lonja.NoSuchFile, Op: "open", File: name}
	}
	f, size, err = where.open()
	if err != nil {
		kind := lonja.NoSuchFile
		if isOurTrouble(err) {
			kind = lonja.LocalFile
		}
		return nil, 0, &lonja.Error{Kind: kind, Op: "open", File: name, Err: err}
	}
	return f, size, nil
}

func sortedNames(p publications) []lonja.FileName { return slices.Sorted(maps.Keys(p)) }

// climbs reports whether one of the parts of a path is "..".
func climbs(path string) bool {
	return slices.Contains(strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }), "..")
}
