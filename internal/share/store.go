package share

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// A store keeps the record of one Set in a state directory. All processes
// change records under one lock, that of the directory itself: it needs no
// file of its own, and changes are rare and short. It belongs to whoever holds
// the Set's own lock.
type store struct {
	dir string
	key Key

	// What the record was after our last look at it: while it is that still,
	// no other process has changed it, and it need not be read again.
	seen  atomic.Pointer[fs.FileInfo]
	lines int   // entries in it
	end   int64 // where the last whole entry ends
}

func newStore(dir string, key Key) *store { return &store{dir: dir, key: key} }

func (s *store) path() string { return filepath.Join(s.dir, s.key.fileName()) }

// open makes the state directory if need be and reads what it has.
func (s *store) open() (publications, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	dir, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	p, err := s.load()
	if errors.Is(err, fs.ErrNotExist) {
		return make(publications), nil
	}
	return p, err
}

// lock returns the state directory, locked until it is closed.
func (s *store) lock() (*os.File, error) {
	dir, err := os.Open(s.dir)
	if err != nil {
		return nil, err
	}
	if err := lock(dir); err != nil {
		_ = dir.Close()
		return nil, fmt.Errorf("lock %s: %w", s.dir, err)
	}
	return dir, nil
}

// slack is how many entries more than twice what counts a record may have
// before it is written anew.
const slack = 64

// update adds edits to the record and waits until they are on the disk. Where
// there is no record, current stands for it. If another process has changed the
// record it returns what is in it now, edits included.
func (s *store) update(current publications, edits []edit) (others publications, err error) {
	dir, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if !s.unchanged() {
		others, err = s.load()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = s.rewrite(dir, current, edits, true)
	case err != nil:
		return nil, err
	case others != nil:
		err = s.record(dir, others, edits)
	default:
		err = s.record(dir, current, edits)
	}
	if err != nil {
		s.seen.Store(nil)
		return nil, err
	}
	if others != nil {
		others.apply(edits)
	}
	return others, nil
}

// record puts edits behind the entries of the record, whose effect is base, or
// writes the record anew when most of its entries do not count any more.
func (s *store) record(dir *os.File, base publications, edits []edit) error {
	if s.lines+len(edits) > 2*(len(base)+len(edits))+slack {
		return s.rewrite(dir, base, edits, false)
	}
	return s.append(edits)
}

// rewrite makes a record of base with edits. Nothing is recorded for one that
// would be the first and hold nothing.
func (s *store) rewrite(dir *os.File, base publications, edits []edit, first bool) error {
	next := maps.Clone(base)
	next.apply(edits)
	if first && len(next) == 0 {
		return nil
	}
	return s.save(dir, next)
}

// unchanged reports whether the record is what was seen last.
func (s *store) unchanged() bool {
	now, err := os.Stat(s.path())
	return err == nil && s.isSeen(now)
}

func (s *store) isSeen(now fs.FileInfo) bool {
	seen := s.seen.Load()
	return seen != nil && os.SameFile(now, *seen) && now.Size() == (*seen).Size() && now.ModTime().Equal((*seen).ModTime())
}

// othersChanged reports whether there is a record that is not what was seen last:
// another process has changed it, or this one is about to. Anybody may ask.
func (s *store) othersChanged() bool {
	now, err := os.Stat(s.path())
	return err == nil && !s.isSeen(now)
}

// reload reads the record if another process has changed it, or returns nil.
func (s *store) reload() (publications, error) {
	dir, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if !s.othersChanged() {
		return nil, nil
	}
	return s.load()
}

// load reads the record, and remembers what it saw. A damaged one is set aside
// first, so that the next write does not destroy what could still be saved by
// hand.
func (s *store) load() (publications, error) {
	b, err := os.ReadFile(s.path())
	if err != nil {
		return nil, err
	}
	r, err := decode(s.key, b)
	if err == nil {
		s.lines, s.end = r.lines, r.end
		return r.files, s.look()
	}
	err = fmt.Errorf("%s: %w", s.path(), err)
	if errors.Is(err, ErrDamaged) {
		aside := s.path() + time.Now().UTC().Format(".damaged-20060102T150405.000000000Z")
		if renameErr := os.Rename(s.path(), aside); renameErr != nil {
			return nil, errors.Join(err, renameErr)
		}
		err = fmt.Errorf("%w (set aside as %s)", err, aside)
	}
	return nil, err
}

// look remembers what the record is now.
func (s *store) look() error {
	now, err := os.Stat(s.path())
	if err != nil {
		s.seen.Store(nil)
		return err
	}
	s.seen.Store(&now)
	return nil
}

// append writes edits behind the last whole entry; what a crash left of a
// further one goes. If it fails it takes back what it can: an entry that was
// not acknowledged is not to count later.
func (s *store) append(edits []edit) error {
	b, err := appendEdits(nil, edits)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.path(), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err = f.Truncate(s.end); err == nil {
		_, err = f.WriteAt(b, s.end)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Truncate(s.end))
	}
	s.lines += len(edits)
	s.end += int64(len(b))
	return s.look()
}

// save replaces the record in one step and waits until it is on the disk. The
// lock makes one temporary name enough: nobody else is writing, and what a
// crash left under it is overwritten.
func (s *store) save(dir *os.File, p publications) error {
	b, err := encode(s.key, p)
	if err != nil {
		return err
	}
	temp := s.path() + ".tmp"
	if err := writeSynced(temp, b); err != nil {
		_ = os.Remove(temp)
		return err
	}
	if err := os.Rename(temp, s.path()); err != nil {
		_ = os.Remove(temp)
		return err
	}
	s.lines, s.end = len(p), int64(len(b))
	return errors.Join(dir.Sync(), s.look())
}

// remove takes the record away, if there is one.
func (s *store) remove() error {
	dir, err := s.lock()
	if err != nil {
		return err
	}
	defer dir.Close()
	s.seen.Store(nil)
	if err := os.Remove(s.path()); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return dir.Sync()
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
