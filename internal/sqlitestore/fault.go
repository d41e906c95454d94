package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"lonja"
)

// What happens when the disk fails.
//
// A transaction whose write or sync failed was not acknowledged, and SQLite
// rolls it back: its frames stay in the log file but not in the index of the
// log, and the next transaction writes over them from the first one on. That
// matters, because after a failed sync the kernel takes the pages for clean:
// what is not written again may never reach the disk, and a later sync that
// succeeds says nothing about it; see also forgetCache. So the connection is
// kept through all failures. To open the file anew would be the worse choice:
// recovery would read the frames of the failed transaction from memory and
// take them for committed. Where that cannot be avoided, after a restart,
// affirmLog writes the whole log again first.
//
// Until a probe has succeeded, the frames of the failed transaction may be on
// the disk, and a machine that dies then finds them: its changes are done
// after all, as store.Store allows for what was refused with Unavailable.
//
// A checkpoint that fails loses nothing either: the log is kept until all its
// frames are in the database and that is synced, and the next checkpoint
// copies all of them again.

// The pauses between probes of a disk that fails double from the first to the
// last.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// Health implements store.Store.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

// mayRecover reports whether there is something to probe for. Damage stays
// until the next start, which reads everything.
func (s *Store) mayRecover() bool {
	err := s.Health()
	return err != nil && !errors.Is(err, lonja.Damaged)
}

// fail has all writes refused because of err from now on.
func (s *Store) fail(err error) {
	if isSuspicion(err) {
		s.suspect(err)
		return
	}
	s.refuse(err)
}

// refuse has all writes refused with err. No other fault takes the place of
// damage.
func (s *Store) refuse(err error) {
	s.mu.Lock()
	if errors.Is(s.health, lonja.Damaged) {
		s.mu.Unlock()
		return
	}
	first := s.health == nil
	s.health = err
	if first {
		s.failedAt = time.Now()
	}
	s.mu.Unlock()
	if first || errors.Is(err, lonja.Damaged) {
		s.log.Error("the store refuses to write", slog.Any("error", err))
	}
}

// probe looks whether the disk is well again: it finds out what became of the
// group that failed, and makes a small synced write, a checkpoint, and a file.
// Where damage is suspected, it reads everything first.
func (s *Store) probe(ctx context.Context) {
	if !s.clear(ctx) {
		return
	}
	s.commits.Lock()
	defer s.commits.Unlock()
	err := forgetCache(s.held...)
	if err == nil {
		err = s.settle()
	}
	if err == nil {
		err = s.touch()
	}
	if err == nil {
		err = s.checkpoint()
	}
	if err != nil {
		s.fail(failure("probe the disk", err))
		return
	}
	s.recover()
}

// recover has writes done again, unless damage was found meanwhile.
func (s *Store) recover() {
	s.mu.Lock()
	if errors.Is(s.health, lonja.Damaged) {
		s.mu.Unlock()
		return
	}
	s.health = nil
	outage := time.Since(s.failedAt)
	s.mu.Unlock()
	s.log.Info("the store writes again", slog.Duration("outage", outage))
}

// settle compares the database with the group whose transaction failed. If it
// is there all the same, the feeds are told, so that an index is never other
// than the disk. The caller holds commits.
func (s *Store) settle() error {
	if s.doubt == nil {
		return nil
	}
	found, _, err := readProof(context.Background(), s.writer)
	if err != nil {
		return err
	}
	switch found {
	case s.proven():
	case s.doubt.proof:
		s.advance(*s.doubt)
	default:
		return damaged("apply", fmt.Errorf("the latest revision is %d, neither %d nor %d", found.rev, s.latest(), s.doubt.rev))
	}
	s.doubt = nil
	return nil
}

// touch commits a transaction that changes nothing but is written and synced
// like any other: SQLite leaves out an update to the same value.
func (s *Store) touch() error {
	tx, err := s.writer.Begin()
	if err != nil {
		return err
	}
	for _, update := range []string{"UPDATE latest SET rev = rev + 1", "UPDATE latest SET rev = rev - 1"} {
		if _, err := tx.Exec(update); err != nil {
			_ = tx.Rollback() // the first error is the one to tell
			return err
		}
	}
	return tx.Commit()
}

// The log is checkpointed when it has grown by some 16 MB at the most; how many
// frames a change takes is only guessed. We do it, after the answers, because
// SQLite keeps quiet about a checkpoint that fails, and the log would grow until
// the disk is full.
const (
	framesPerCommit  = 2
	framesPerChange  = 2
	framesCheckpoint = 4000
)

// maxFrames bounds the log, about 1 GiB: a feed that still reads its rows keeps
// it from beginning anew, so beyond that such feeds end. It is that much
// because a backup over a slow line is to come to its end beside many writes.
const maxFrames = 1 << 18

func (s *Store) checkpointIfDue() {
	s.commits.Lock()
	defer s.commits.Unlock()
	if s.unchecked < framesCheckpoint {
		return
	}
	if err := s.checkpoint(); err != nil {
		s.fail(failure("checkpoint", err))
	}
}

// checkpoint copies the log into the database as far as readers allow, ends
// those that have held it up for too long, and notes how far the database is.
// The caller holds commits.
func (s *Store) checkpoint() error {
	var busy, frames, copied int
	if err := s.writer.QueryRow("PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &frames, &copied); err != nil {
		return err
	}
	s.unchecked = 0
	if frames > s.maxFrames {
		for f := range s.feeds {
			f.endRows()
		}
		if s.interrupt != nil {
			s.interrupt()
		}
	}
	return s.noteSeen()
}

// causes are SQLite's errors in the words of who runs the machine.
var causes = map[int]string{
	sqlite3.SQLITE_FULL:             "no space left on the disk",
	sqlite3.SQLITE_READONLY:         "the data directory is read-only",
	sqlite3.SQLITE_IOERR_READ:       "the disk failed to read",
	sqlite3.SQLITE_IOERR_SHORT_READ: "the disk failed to read",
	sqlite3.SQLITE_IOERR_WRITE:      "the disk failed to write",
	sqlite3.SQLITE_IOERR_FSYNC:      "the disk failed to sync",
	sqlite3.SQLITE_IOERR_TRUNCATE:   "the disk failed to truncate a file",
	sqlite3.SQLITE_CANTOPEN:         "a file of the data directory cannot be opened",
	sqlite3.SQLITE_IOERR_SHMOPEN:    "the index of the log cannot be made",
	sqlite3.SQLITE_IOERR_SHMSIZE:    "no space left on the disk for the index of the log",
	sqlite3.SQLITE_IOERR_SHMMAP:     "the index of the log cannot be mapped into memory",
	sqlite3.SQLITE_IOERR_SHMLOCK:    "the index of the log cannot be locked",
}

// failure gives an engine's error its kind.
func failure(op string, err error) error {
	if _, ok := errors.AsType[*lonja.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return damaged(op, err)
		}
		for _, code := range []int{e.Code(), e.Code() & 0xff} {
			if cause, known := causes[code]; known {
				err = fmt.Errorf("%s: %w", cause, err)
				break
			}
		}
	}
	if lonja.KindOfIO(err) == lonja.Canceled {
		return lonja.E(lonja.Canceled, op, err)
	}
	return lonja.E(lonja.Unavailable, op, err)
}

// damaged is the error for what cannot be right, with what to do about it.
func damaged(op string, err error) error {
	return lonja.E(lonja.Damaged, op,
		fmt.Errorf("the data is damaged: %w; restore the last backup into a new data directory", err))
}
