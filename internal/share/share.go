// Package share is the one door through which local files are opened to be
// served to others. What was published can be opened, by exactly the name under
// which it was published or, what is signed, by its content, and nothing else
// can: no name from the network ever reaches the file system.
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

	"lonja"
)

// A Set is what one user has published: names, and the place of each on this
// machine's disk. Its methods may be called by any number of goroutines at
// once.
type Set struct {
	owner lonja.UserName // who may have all of it
	store *store         // nil for a Set that lives in memory only

	waitingMu sync.Mutex  // guards waiting
	waiting   []*addition // that the next write takes along

	changing sync.Mutex // held while publications change, over the disk write
	owed     []edit     // removals that count, but that the disk does not know yet

	mu      sync.RWMutex // guards all below; never held over a disk write
	current publications
	signed  contents // what of it is signed

	treesMu sync.Mutex                   // guards what follows; held while a list is read
	trees   map[lonja.FileID]*folderTree // by the id of the folder, once they were asked for
	broken  map[lonja.FileID]brokenTree  // those that could not be read
}

type publications map[lonja.FileName]item

// An item is what is published under one name.
type item struct {
	place
	content *content // nil for what was published in the classic protocol; not changed
	// withdrawn says that nothing is published under the name, but that the
	// directory may not know it yet. There is no place then, and no content.
	withdrawn bool
}

// An edit is a change of publications: name now stands for item, or is
// removed.
type edit struct {
	name    lonja.FileName
	item    item
	removed bool
}

func (p publications) apply(edits []edit) {
	for _, e := range edits {
		if e.removed {
			delete(p, e.name)
		} else {
			p[e.name] = e.item
		}
	}
}

// New returns an empty Set that lives in memory only.
func New() *Set {
	s := &Set{}
	s.replace(make(publications))
	return s
}

// replace has p be all that is published. The caller holds mu, or has the Set
// alone.
func (s *Set) replace(p publications) {
	s.current, s.signed = p, newContents(p)
}

// apply makes edits count.
func (s *Set) apply(edits []edit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range edits {
		s.signed.remove(e.name, s.current[e.name])
		if !e.removed {
			s.signed.add(e.name, e.item)
		}
		s.current.apply([]edit{e})
	}
}

// Open returns the Set of key, with what earlier runs left under stateDir,
// which is created if need be and may be shared by any number of users and
// processes: what one of them changes counts for the others when they next look.
// Files that are no longer there stay in the Set: their disk may come back.
//
// The errors are of kind LocalFile. One that is ErrDamaged says that the
// record could not be understood, and under which name it was set aside: the
// next Open begins with an empty Set.
func Open(stateDir string, key Key) (*Set, error) {
	s := New()
	s.owner, s.store = key.User, newStore(stateDir, key)
	kept, err := s.store.open()
	if err != nil {
		return nil, lonja.E(lonja.LocalFile, "read publications", err)
	}
	s.replace(kept)
	return s, nil
}

// Add publishes the file at path, which is absolute, under name; a name that
// was there already now stands for path. It must be a regular file that can be
// read, now. Its directory is remembered by its real path, free of symbolic
// links, and the file is later opened inside that directory only: a symbolic
// link may be published if it leads to a file below the same directory.
//
// The error is of kind Invalid, with the system's as its cause, for a file that
// cannot be published, and of kind LocalFile if the Set cannot remember it;
// then it does not count either.
func (s *Set) Add(name lonja.FileName, path string) error {
	where, err := locate(name, path)
	if err != nil {
		if string(name) != path {
			err = fmt.Errorf("%s: %w", lonja.Printable(path), err)
		}
		return &lonja.Error{Kind: lonja.Invalid, Op: "publish", File: name, Err: err}
	}
	return s.add(edit{name: name, item: item{place: where}})
}

// An addition waits for the disk, with others. Its done and err are guarded by changing.
type addition struct {
	edit edit
	done bool
	err  error
}

// add writes an addition, and all that have come meanwhile with it: whoever publishes
// many files at once waits for the disk once for several.
func (s *Set) add(e edit) error {
	mine := &addition{edit: e}
	s.waitingMu.Lock()
	s.waiting = append(s.waiting, mine)
	s.waitingMu.Unlock()
	s.changing.Lock()
	defer s.changing.Unlock()
	if mine.done {
		return mine.err
	}
	s.waitingMu.Lock()
	all := s.waiting
	s.waiting = nil
	s.waitingMu.Unlock()
	edits := slices.Clone(s.owed)
	for _, a := range all {
		edits = append(edits, a.edit)
	}
	// On disk first: what is served never outlives what is remembered.
	err := s.write(edits)
	if err == nil {
		s.apply(edits)
	}
	for _, a := range all {
		a.done, a.err = true, err
	}
	return err
}

// Remove takes name out of the Set; one that is not there does no harm. It is
// served no more also if that fails: an error, of kind LocalFile, says that the
// next run may not know of it.
func (s *Set) Remove(name lonja.FileName) error {
	return s.remove(edit{name: name, removed: true})
}

func (s *Set) remove(removal edit) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.removeNow(removal)
}

// removeNow is remove for a caller that holds changing.
func (s *Set) removeNow(removal edit) error {
	s.apply([]edit{removal})
	edits := append(s.owed, removal)
	err := s.write(edits)
	if err != nil && !slices.Contains(s.owed, removal) {
		s.owed = edits
	}
	return err
}

// Clear empties the Set, and leaves no record of it. Its errors are those of
// Remove.
func (s *Set) Clear() error {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	gone := s.current
	s.replace(make(publications))
	s.mu.Unlock()
	if s.store == nil {
		return nil
	}
	if err := s.store.remove(); err != nil {
		for name := range gone {
			s.owed = append(s.owed, edit{name: name, removed: true})
		}
		return writeFailed(err)
	}
	s.owed = nil
	return nil
}

// write brings edits, which begin with what is owed, to the disk. If another
// process has changed the record, its changes count from now on.
func (s *Set) write(edits []edit) error {
	if s.store == nil {
		return nil
	}
	others, err := s.store.update(s.current, edits)
	if err != nil {
		return writeFailed(err)
	}
	s.owed = nil
	if others != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.replace(others)
	}
	return nil
}

// refresh has count what other processes of the user have changed since: what one
// publishes, another serves. It costs a look at the record's file; a record that
// cannot be read changes nothing.
func (s *Set) refresh() {
	if s.store == nil || !s.store.othersChanged() {
		return
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	others, err := s.store.reload()
	if err != nil || others == nil {
		return
	}
	others.apply(s.owed)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replace(others)
}

func writeFailed(cause error) error { return lonja.E(lonja.LocalFile, "write publications", cause) }

func (s *Set) item(name lonja.FileName) (item, bool) {
	s.refresh()
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok := s.current[name]
	return i, ok && !i.withdrawn
}

// Contains reports whether something is published under name.
func (s *Set) Contains(name lonja.FileName) bool {
	_, ok := s.item(name)
	return ok
}

// Names returns the published names in order.
func (s *Set) Names() []lonja.FileName {
	s.refresh()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.named(false)
}

// named returns the names in order that are published, or those that are
// withdrawn. The caller holds mu.
func (s *Set) named(withdrawn bool) []lonja.FileName {
	var names []lonja.FileName
	for name, i := range s.current {
		if i.withdrawn == withdrawn {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Open opens what is published under exactly this name for reading and returns
// its size too. The caller closes it. Whoever asks is taken for a stranger: what is
// published for some users only is not opened.
//
// The error is of kind NoSuchFile if nothing is published under name, and if
// what was is not there any more: gone, moved behind a symbolic link, or no
// longer a regular file. It is of kind LocalFile if the file is there but
// cannot be opened. Open never waits: not for the writer of a FIFO either.
func (s *Set) Open(name lonja.FileName) (f *os.File, size int64, err error) {
	i, ok := s.item(name)
	if !ok || i.content.restricted() {
		return nil, 0, &lonja.Error{Kind: lonja.NoSuchFile, Op: "open", File: name}
	}
	f, size, err = i.open()
	if err != nil {
		return nil, 0, openFailed(name, err)
	}
	return f, size, nil
}

func openFailed(name lonja.FileName, cause error) error {
	kind := lonja.NoSuchFile
	if isOurTrouble(cause) {
		kind = lonja.LocalFile
	}
	return &lonja.Error{Kind: kind, Op: "open", File: name, Err: cause}
}

func sortedNames(p publications) []lonja.FileName { return slices.Sorted(maps.Keys(p)) }

// climbs reports whether one of the parts of a path is "..".
func climbs(path string) bool {
	return slices.Contains(strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }), "..")
}
