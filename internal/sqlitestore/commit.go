package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

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
	if err := s.Health(); err != nil {
		return 0, err // the committer may be busy with finding out what is wrong
	}
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
	var retry <-chan time.Time // set while the disk fails
	pause := firstPause
	for {
		select {
		case first := <-s.applies:
			s.commitGroup(s.gather(first))
		case <-retry:
			retry = nil
			s.probe(ctx)
		case <-s.suspicions: // of somebody who read
		case <-ctx.Done():
			s.endFeeds()
			return
		}
		switch {
		case !s.mayRecover():
			pause = firstPause
		case retry == nil:
			retry = time.After(pause)
			pause = min(2*pause, lastPause)
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
// answers. While the disk fails it only answers: what is not tried again and
// again cannot hang, and the probe knows when it makes sense.
func (s *Store) commitGroup(group []*apply) {
	err := s.Health()
	if err == nil {
		err = s.attempt(group)
	}
	for _, a := range group {
		if err != nil {
			a.err = err
		}
		close(a.done)
	}
	s.checkpointIfDue()
}

// attempt does a group in one transaction and tells the feeds.
func (s *Store) attempt(group []*apply) error {
	s.commits.Lock()
	defer s.commits.Unlock()
	next := outcome{proof: s.proven()}
	if err := s.write(group, &next); err != nil {
		s.doubt = &next
		s.fail(err)
		_ = s.settle() // or the probe does
		return s.Health()
	}
	s.advance(next)
	return nil
}

// An outcome is what a transaction brings about, if it does.
type outcome struct {
	proof
	events []store.Event
}

// advance makes known what is on disk. The caller holds commits.
func (s *Store) advance(o outcome) {
	s.mu.Lock()
	s.proof = o.proof
	s.mu.Unlock()
	s.unchecked += framesPerCommit + framesPerChange*len(o.events)
	s.tellFeeds(o.events)
}

func (s *Store) latest() store.Rev {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proof.rev
}

func (s *Store) proven() proof {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proof
}

// write does a group in one transaction. Its error is that of the whole
// group; what only one of the group is to be told is in that one. next says
// what was to come about, also beside an error.
func (s *Store) write(group []*apply, next *outcome) (err error) {
	tx, err := s.writer.Begin()
	if err != nil {
		return failure("apply", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the first error is the one to tell
			err = failure("apply", err)
		}
	}()
	run := s.statements.in(tx)
	for _, a := range group {
		done, err := applyBatch(tx, run, a, &next.proof)
		if err != nil {
			return err
		}
		next.events = append(next.events, done...)
	}
	if _, err := run.latest.Exec(int64(next.rev), next.seal()); err != nil {
		return err
	}
	return tx.Commit()
}

// applyBatch does one batch, or nothing of it. A conflict is in a; the error
// is one that ends the transaction.
func applyBatch(tx *sql.Tx, run statements, a *apply, p *proof) ([]store.Event, error) {
	if len(a.batch) == 0 {
		return nil, purge(tx, a.purge, p)
	}
	several := len(a.batch) > 1
	if several {
		if _, err := tx.Exec("SAVEPOINT batch"); err != nil {
			return nil, err
		}
	}
	before := *p
	events := make([]store.Event, 0, len(a.batch))
	for _, c := range a.batch {
		held, err := run.change(c, p)
		if err != nil {
			return nil, err
		}
		if !held {
			a.err = &lonja.Error{Kind: lonja.Conflict, Op: "apply", Err: fmt.Errorf("key %s", c.Key)}
			*p = before
			if several {
				_, err = tx.Exec("ROLLBACK TO batch")
			}
			return nil, err
		}
		events = append(events, store.Event{Key: c.Key, Value: c.Value, Rev: p.rev})
	}
	a.rev = p.rev
	if several {
		_, err := tx.Exec("RELEASE batch")
		return events, err
	}
	return events, nil
}

// purge deletes the records whose keys begin with prefix.
func purge(tx *sql.Tx, prefix store.Key, p *proof) error {
	// The keys' alphabet ends with 'z', and '{' comes after it.
	gone, err := tx.Query("DELETE FROM records WHERE key >= ? AND key < ? RETURNING rev, key", string(prefix), string(prefix)+"{")
	if err != nil {
		return err
	}
	return addRows(gone, p.remove)
}

// Statements are prepared once, for the writer's only connection.
type statements struct {
	insert, update, remove, latest *sql.Stmt
}

func prepare(ctx context.Context, writer *sql.DB) (st statements, err error) {
	for _, p := range []struct {
		into **sql.Stmt
		text string
	}{
		{&st.insert, "INSERT INTO records (rev, key, value) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING"},
		{&st.update, "UPDATE records SET rev = ?, value = ? WHERE key = ? AND rev = ?"},
		{&st.remove, "DELETE FROM records WHERE key = ? AND rev = ?"},
		{&st.latest, "UPDATE latest SET rev = ?, proof = ?"},
	} {
		if *p.into, err = writer.PrepareContext(ctx, p.text); err != nil {
			return st, err
		}
	}
	return st, nil
}

// in returns the statements for a transaction, which closes them.
func (st statements) in(tx *sql.Tx) statements {
	return statements{tx.Stmt(st.insert), tx.Stmt(st.update), tx.Stmt(st.remove), tx.Stmt(st.latest)}
}

// change does one change, as the one after p, and reports whether its
// expectation held.
func (st statements) change(c store.Change, p *proof) (bool, error) {
	rev := p.rev + 1
	var result sql.Result
	var err error
	switch {
	case c.Value == nil:
		result, err = st.remove.Exec(string(c.Key), int64(c.Expect))
	case c.Expect == 0:
		result, err = st.insert.Exec(int64(rev), string(c.Key), store.Seal(nil, c.Key, c.Value))
	default:
		result, err = st.update.Exec(int64(rev), store.Seal(nil, c.Key, c.Value), string(c.Key), int64(c.Expect))
	}
	if err != nil {
		return false, err
	}
	if n, err := result.RowsAffected(); n != 1 || err != nil {
		return false, err
	}
	p.rev = rev
	if c.Expect != 0 {
		p.remove(c.Expect, c.Key)
	}
	if c.Value != nil {
		p.add(rev, c.Key)
	}
	return true, nil
}
