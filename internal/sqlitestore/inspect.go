package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"lonja"
)

// inspectAgain is the pause after a check of the trees that came to no result.
const inspectAgain = time.Minute

// cacheSize is how much of a database SQLite keeps in memory for a connection,
// in bytes, unless told otherwise.
const cacheSize = 2_000_000

// inspectFirst checks the trees of a database that is opened if that takes a
// moment only, or if it has no proof, and then makes one.
//
// The writer checks a small database, and has it in memory from then on: a
// disk that fails to read later does not trouble it.
func (s *Store) inspectFirst(ctx context.Context, proven bool) error {
	size := int64(0)
	for _, file := range s.held {
		info, err := file.Stat()
		if err != nil {
			return err
		}
		size += info.Size()
	}
	if !proven && s.proof.rev > 0 {
		s.log.Info("the data is of an older version: all of it is checked, this once")
	}
	if !proven || size <= cacheSize {
		if err := checkWhole(ctx, s.writer); err != nil {
			return err
		}
	}
	if !proven {
		return s.prove(ctx)
	}
	return nil
}

// inspect checks the trees of the database, once a feed has told what is in
// it, beside all else, and ends when it knows the result or with ctx. What
// feeds tell does not wait for it: the proof tells whether the records are
// all, and they whether they are whole. It is about what feeds do not read:
// the index of the keys, and the pages that count as free.
//
// It takes one core for some seconds with a million records. To give its
// thread a low priority would make the garbage collector wait for that
// thread, and with it everybody.
func (s *Store) inspect(ctx context.Context) {
	select {
	case <-s.fed:
	case <-ctx.Done():
		return
	}
	for {
		began := time.Now()
		err := s.inspectOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			s.log.Debug("the database is whole", slog.Duration("after", time.Since(began).Round(time.Millisecond)))
			return
		case errors.Is(err, lonja.Damaged):
			s.refuse(err)
			return
		}
		s.log.Warn("the database could not be checked; it will be again", slog.Any("error", err), slog.Duration("in", s.inspectAgain))
		select {
		case <-time.After(s.inspectAgain):
		case <-ctx.Done():
			return
		}
	}
}

// inspectOnce checks the trees. Its error is of kind Damaged only if they are
// damaged for certain: SQLite words a page that the disk fails to read like
// one that makes no sense, and disks get well. So damage must be found twice,
// and all of the file be read in between.
func (s *Store) inspectOnce(ctx context.Context) error {
	s.checks.Lock()
	defer s.checks.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.commits.Lock()
	s.interrupt = func() { cancel(errLogTooLong) }
	s.commits.Unlock()
	check := func() error {
		err := checkWhole(ctx, s.reader)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return failure("check the database", s.named(err))
		}
		return nil
	}
	err := check()
	if !errors.Is(err, lonja.Damaged) {
		return err
	}
	for _, file := range s.held {
		info, err := file.Stat()
		if err == nil {
			_, err = io.Copy(io.Discard, io.NewSectionReader(file, 0, info.Size()))
		}
		if err != nil {
			return failure("read the database", err)
		}
	}
	return check()
}

var errLogTooLong = lonja.E(lonja.Unavailable, "check the database", errors.New("more was changed meanwhile than the log can keep"))

// checkWhole reads the whole database and compares its table with its index.
// What the records hold is up to their checksums, and whether they are all to
// the proof.
func checkWhole(ctx context.Context, db *sql.DB) error {
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return damaged("check the database", errors.New(oneLine(found)))
	}
	return nil
}

// oneLine is a text of SQLite's, which may have several lines and pieces of
// what is in the file, as a terminal and a log can have it.
func oneLine(text string) string {
	return lonja.Printable(strings.Join(strings.Fields(text), " "))
}
