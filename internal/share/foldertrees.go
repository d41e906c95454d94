package share

import (
	"encoding/binary"
	"io"
	"os"
	"sync/atomic"
	"time"

	"lonja"
)

// brokenPause is how long a folder is left alone whose list cannot be read: every
// request for any content would have it read anew, all of it.
const brokenPause = 10 * time.Second

// A brokenTree is why the index of a folder could not be made.
type brokenTree struct {
	err error
	at  time.Time
}

// tree returns the index of a folder, which is made the first time.
func (s *Set) tree(c *content) (*folderTree, error) {
	id := c.listing.Proof.File
	s.treesMu.Lock()
	defer s.treesMu.Unlock()
	if t := s.trees[id]; t != nil {
		return t, nil
	}
	if b, broken := s.broken[id]; broken && time.Since(b.at) < brokenPause {
		return nil, b.err
	}
	s.dropTrees()
	t, err := s.readTree(c)
	if err != nil {
		s.broken[id] = brokenTree{err, time.Now()}
		return nil, err
	}
	delete(s.broken, id)
	s.trees[id] = t
	return t, nil
}

func (s *Set) readTree(c *content) (*folderTree, error) {
	list, size, err := s.openList(c)
	if err != nil {
		return nil, err
	}
	defer list.Close()
	known, err := os.Open(s.store.folderPath(c.listing.Proof.File, seenEnding))
	if err != nil {
		return nil, plainCause(err)
	}
	defer known.Close()
	t, err := readTree(io.NewSectionReader(list, 0, size), known)
	if err == nil {
		t.file, err = known.Stat()
	}
	return t, err
}

// dropTrees forgets the indexes of folders that are published no more; treesMu is
// held.
func (s *Set) dropTrees() {
	if s.trees == nil {
		s.trees, s.broken = make(map[lonja.FileID]*folderTree), make(map[lonja.FileID]brokenTree)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id := range s.trees {
		if len(s.signed.names[id]) == 0 {
			delete(s.trees, id)
		}
	}
	for id := range s.broken {
		if len(s.signed.names[id]) == 0 {
			delete(s.broken, id)
		}
	}
}

// forgetTree has the index of a folder made anew, which was published anew.
func (s *Set) forgetTree(id lonja.FileID) {
	s.treesMu.Lock()
	defer s.treesMu.Unlock()
	delete(s.trees, id)
	delete(s.broken, id)
}

// dropOutdated forgets the index of a folder if the same folder was published anew
// since, by another process: its files were something else then. It reports whether
// that is so.
func (s *Set) dropOutdated(c *content) bool {
	if s.store == nil {
		return false
	}
	id := c.listing.Proof.File
	now, err := os.Stat(s.store.folderPath(id, seenEnding))
	s.treesMu.Lock()
	defer s.treesMu.Unlock()
	t := s.trees[id]
	if err != nil || t == nil || os.SameFile(now, t.file) {
		return false
	}
	delete(s.trees, id)
	return true
}

// keepMark remembers the mark that an entry of a folder has now. It need not be on the
// disk at once: without it the file is looked at again.
func (s *Set) keepMark(c *content, number int64, mark uint64) error {
	t, err := s.tree(c)
	if err != nil || number >= int64(len(t.marks)) {
		return err
	}
	atomic.StoreUint64(&t.marks[number], mark)
	if !t.marked {
		return nil // an older program wrote it: there is no room
	}
	f, err := os.OpenFile(s.store.folderPath(c.listing.Proof.File, seenEnding), os.O_WRONLY, 0)
	if err != nil {
		return writeFailed(err)
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || !os.SameFile(now, t.file) {
		return nil // it was published anew
	}
	if _, err = f.WriteAt(binary.BigEndian.AppendUint64(nil, mark), int64(len(seenMagic))+number*seenLen+8); err != nil {
		return writeFailed(err)
	}
	return nil
}
