package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"lonja"
)

// isSuspicion reports whether err may be damage or a disk that fails to read:
// SQLite words both alike (SQLITE_IOERR_CORRUPTFS becomes SQLITE_CORRUPT), and
// disks get well.
func isSuspicion(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && slices.Contains([]int{sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}, e.Code()&0xff)
}

// suspect has all writes refused until clear has come to a result.
func (s *Store) suspect(err error) {
	cause, _ := errors.AsType[*sqlite.Error](err) // what is around it may be of kind Damaged
	s.mu.Lock()
	s.suspected = true
	s.mu.Unlock()
	s.refuse(lonja.E(lonja.Unavailable, "", fmt.Errorf(
		"the disk fails to read, or the data is damaged; all of it is read again before anything is written: %w", cause)))
	select {
	case s.suspicions <- struct{}{}:
	default: // the committer has one to look at
	}
}

// clear reads the whole database if there is a suspicion, and reports whether
// there is none any more. Damage, if that is what it was, is known then for
// certain; otherwise it is the disk, and the next probe looks again.
func (s *Store) clear(ctx context.Context) bool {
	s.mu.Lock()
	suspected := s.suspected
	s.mu.Unlock()
	if !suspected {
		return true
	}
	err := s.inspectOnce(ctx)
	if err != nil {
		s.refuse(err)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspected = false
	return true
}
