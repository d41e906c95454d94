package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"lonja"
	"lonja/internal/store"
)

// An apply is one call of Apply, or of Purge, on its way through the committer.
type apply struct {
	batch []store.Change
	purge store.Key // if batch is empty
	rev   store.Rev
	err   error
	done  chan struct{}
}

// maxGroup bounds the changes that share one transaction.
const maxGroup = 1000

// Apply implements store.Store.
func (s *Store) Apply(ctx context.Context, batch []store.Change) (store.Rev, error) {
	if err := store.Check(batch); err != nil {
		return 0, err
	}
	return s.hand(ctx, &apply{batch: batch})
}

// Purge implements store.Store.
func (s *Store) Purge(ctx context.Context, prefix store.Key) error {
	_, err := s.hand(ctx, &apply{purge: prefix})
	return err
}

// hand gives a to the committer and waits for what comes of it.
func (s *Store) hand(ctx context.Context, a *apply) (store.Rev, error) {
	a.done = make(chan struct{})
	select {
	case s.applies <- a:
	case <-ctx.Done():
		return 0, lonja.E(lonja.Canceled, "apply", ctx.Err())
	case <-s.done:
		return 0, errClosed
	}
	<-a.done // it is on its way and cannot be called back
	return a.rev, a.err
}

var errClosed = lonja.E(lonja.Unavailable, "store", errors.New("it is closed"))

// commit is the committer. It ends with ctx, after what it has taken over.
func (s *Store) commit(ctx context.Context) {
	defer close(s.done)
	for {
		select {
		case first := <-s.applies:
			s.commitGroup(s.gather(first))
		case <-ctx.Done():
			s.endFeeds()
			return
		}
	}
}

// gather returns first and what waits behind it, up to a group's size.
func (s *Store) gather(first *apply) []*apply {
	group, changes := []*apply{first}, len(first.batch)
	for changes < maxGroup {
		select {
		case a := <-s.applies:
			group = append(group, a)
			changes += len(a.batch)
		default:
			return group
		}
	}
	return group
}

// commitGroup does a group in one transaction, tells the feeds, and then
// answers.
func (s *Store) commitGroup(group []*apply) {
	s.mu.Lock()
	rev := s.rev
	events, err := s.write(group, &rev)
	if err == nil {
		s.rev = rev
		s.tellFeeds(events)
	}
	s.health = err
	s.mu.Unlock()
	for _, a := range group {
		if err != nil {
			a.err = err
		}
		close(a.done)
	}
}

// write does a group in one transaction. Its error is that of the whole
// group; what only one of the group is to be told is in that one.
func (s *Store) write(group []*apply, rev *store.Rev) (events []store.Event, err error) {
	tx, err := s.writer.Begin()
	if err != nil {
		return nil, failure("apply", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the first error is the one to tell
			err = failure("apply", err)
		}
	}()
	for _, a := range group {
		done, err := applyBatch(tx, a, rev)
		if err != nil {
			return nil, err
		}
		events = append(events, done...)
	}
	if _, err := tx.Exec("UPDATE latest SET rev = ?", int64(*rev)); err != nil {
		return nil, err
	}
	return events, tx.Commit()
}

// applyBatch does one batch, or nothing of it. A conflict is in a; the error
// is one that ends the transaction.
func applyBatch(tx *sql.Tx, a *apply, rev *store.Rev) ([]store.Event, error) {
	if len(a.batch) == 0 {
		// The keys' alphabet ends with 'z', and '{' comes after it.
		_, err := tx.Exec("DELETE FROM records WHERE key >= ? AND key < ?", string(a.purge), string(a.purge)+"{")
		return nil, err
	}
	several := len(a.batch) > 1
	if several {
		if _, err := tx.Exec("SAVEPOINT batch"); err != nil {
			return nil, err
		}
	}
	before := *rev
	events := make([]store.Event, 0, len(a.batch))
	for _, c := range a.batch {
		held, err := change(tx, c, *rev+1)
		if err != nil {
			return nil, err
		}
		if !held {
			a.err = &lonja.Error{Kind: lonja.Conflict, Op: "apply", Err: fmt.Errorf("key %s", c.Key)}
			*rev = before
			if several {
				_, err = tx.Exec("ROLLBACK TO batch")
			}
			return nil, err
		}
		*rev++
		events = append(events, store.Event{Key: c.Key, Value: c.Value, Rev: *rev})
	}
	a.rev = *rev
	if several {
		_, err := tx.Exec("RELEASE batch")
		return events, err
	}
	return events, nil
}

// change does one change and reports whether its expectation held.
func change(tx *sql.Tx, c store.Change, rev store.Rev) (bool, error) {
	var result sql.Result
	var err error
	switch {
	case c.Value == nil:
		result, err = tx.Exec("DELETE FROM records WHERE key = ? AND rev = ?", string(c.Key), int64(c.Expect))
	case c.Expect == 0:
		result, err = tx.Exec("INSERT INTO records (rev, key, value) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING",
			int64(rev), string(c.Key), store.Seal(nil, c.Key, c.Value))
	default:
		result, err = tx.Exec("UPDATE records SET rev = ?, value = ? WHERE key = ? AND rev = ?",
			int64(rev), store.Seal(nil, c.Key, c.Value), string(c.Key), int64(c.Expect))
	}
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// failure gives an engine's error its kind.
func failure(op string, err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return lonja.E(lonja.Damaged, op, err)
		}
	}
	if _, ok := errors.AsType[*lonja.Error](err); ok {
		return err
	}
	if lonja.KindOfIO(err) == lonja.Canceled {
		return lonja.E(lonja.Canceled, op, err)
	}
	return lonja.E(lonja.Unavailable, op, err)
}
