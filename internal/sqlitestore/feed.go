package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"lonja"
	"lonja/internal/store"
)

// feedBacklog bounds, in bytes, the events that wait for one feed: one that
// still reads its rows, or is a backup on its way to a slow disk, holds up
// nobody, and one that falls behind by more than this ends.
const feedBacklog = 256 << 20

// eventSize is about what an event takes beside its key and value.
const eventSize = 64

// A feed is one call of Feed, while it goes on.
type feed struct {
	begin proof         // of the rows, which have everything up to its revision
	grew  chan struct{} // has a value when there is something to take

	// stopRows lets go of the rows, whatever their reader is at: it may hang in
	// tell, and as long as there is a view of the past, the log must keep it.
	stopRows context.CancelFunc

	mu      sync.Mutex // guards what follows; never held while calling out
	reading bool       // the rows
	waiting []store.Event
	bytes   int   // of waiting
	ended   error // why nothing more comes after what waits
}

func newFeed(begin proof, stopRows context.CancelFunc) *feed {
	return &feed{begin: begin, grew: make(chan struct{}, 1), stopRows: stopRows, reading: true}
}

// add hands events to the feed.
func (f *feed) add(events []store.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		f.bytes += eventSize + len(e.Key) + len(e.Value)
	}
	if f.bytes > feedBacklog {
		f.giveUp()
	}
	if f.ended == nil {
		f.waiting = append(f.waiting, events...)
	}
	f.wake()
}

// endRows ends a feed that still reads its rows.
func (f *feed) endRows() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reading {
		f.giveUp()
		f.wake()
	}
}

// giveUp ends a feed that is too slow. The caller holds mu.
func (f *feed) giveUp() {
	f.waiting, f.ended = nil, errTooSlow
	f.stopRows()
}

// end says that nothing more comes, and why.
func (f *feed) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = err
	f.stopRows()
	f.wake()
}

// rowsRead notes that all rows are told, and returns why nothing comes after
// them, if so.
func (f *feed) rowsRead() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reading = false
	return f.ended
}

func (f *feed) wake() {
	select {
	case f.grew <- struct{}{}:
	default:
	}
}

// take returns what waits, or why nothing comes any more.
func (f *feed) take() ([]store.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	events := f.waiting
	f.waiting, f.bytes = nil, 0
	if len(events) == 0 {
		return nil, f.ended
	}
	return events, nil
}

var errTooSlow = lonja.E(lonja.Unavailable, "feed", errors.New("too slow: more was changed meanwhile than can be kept for it"))

// tellFeeds hands committed events to all feeds. The caller holds commits.
func (s *Store) tellFeeds(events []store.Event) {
	for f := range s.feeds {
		f.add(events)
	}
}

func (s *Store) endFeeds() {
	s.commits.Lock()
	defer s.commits.Unlock()
	for f := range s.feeds {
		f.end(errClosed)
		delete(s.feeds, f)
	}
}

// Feed implements store.Store. It reads every record, so it finds those that
// are damaged: then the store is too, and refuses to write. A disk that fails
// later does not end it: nothing is told then until the disk is well again.
func (s *Store) Feed(ctx context.Context, tell func(store.Event) error) error {
	rows, f, err := s.beginFeed(ctx)
	if err != nil {
		return s.feedFailure(err)
	}
	defer s.endFeed(f)
	if err := s.tellRows(rows, f, tell); err != nil {
		return err
	}
	if err := tell(store.Event{Rev: f.begin.rev}); err != nil {
		return err
	}
	s.fedOnce.Do(func() { close(s.fed) })
	for {
		select {
		case <-f.grew:
			events, err := f.take()
			if err != nil {
				return err
			}
			for _, e := range events {
				if err := tell(e); err != nil {
					return err
				}
			}
			if len(events) > 0 {
				f.wake() // there may be more by now, or an end
			}
		case <-ctx.Done():
			return lonja.E(lonja.Canceled, "feed", ctx.Err())
		}
	}
}

// feedFailure gives an error of a feed its kind. Who reads all records is who
// finds out that the disk has lost some: no write is to build on that.
func (s *Store) feedFailure(err error) error {
	err = failure("feed", err)
	if errors.Is(err, lonja.Damaged) {
		s.fail(err)
	}
	return err
}

// beginFeed opens a view of all records as they are now, and has all changes
// after it told to the feed. No commit comes in between.
func (s *Store) beginFeed(ctx context.Context) (_ *sql.Rows, _ *feed, err error) {
	s.commits.Lock()
	defer s.commits.Unlock()
	if s.doubt != nil {
		// The rows may already hold what the feeds have not been told.
		return nil, nil, s.Health()
	}
	select {
	case <-s.done:
		return nil, nil, errClosed
	default:
	}
	ctx, cancel := context.WithCancel(ctx)
	rows, err := s.reader.QueryContext(ctx, "SELECT rev, key, value FROM records ORDER BY rev")
	if err != nil {
		cancel()
		return nil, nil, err
	}
	f := newFeed(s.proven(), cancel)
	s.feeds[f] = struct{}{}
	return rows, f, nil
}

func (s *Store) endFeed(f *feed) {
	f.stopRows()
	s.commits.Lock()
	defer s.commits.Unlock()
	delete(s.feeds, f)
}

// tellRows tells the rows of a feed, and makes sure that they were all there.
// An error of tell is returned as it is.
func (s *Store) tellRows(rows *sql.Rows, f *feed, tell func(store.Event) error) error {
	defer rows.Close()
	var told proof
	for rows.Next() {
		e, err := scan(rows)
		if err != nil {
			return s.rowsFailure(f, err)
		}
		told.add(e.Rev, e.Key)
		if err := tell(e); err != nil {
			return err
		}
	}
	if err := s.rowsFailure(f, rows.Err()); err != nil {
		return err
	}
	if err := told.compare(f.begin); err != nil {
		return s.feedFailure(err)
	}
	return nil
}

// rowsFailure says what the rows of f ended with: err, which may be nil, but
// for a feed whose rows we have stopped ourselves.
func (s *Store) rowsFailure(f *feed, err error) error {
	if ended := f.rowsRead(); ended != nil {
		return ended
	}
	if err != nil {
		return s.feedFailure(err)
	}
	return nil
}

// scan reads one record, and compares it with its checksum.
func scan(rows *sql.Rows) (e store.Event, err error) {
	var sealed []byte
	if err := rows.Scan(&e.Rev, &e.Key, &sealed); err != nil {
		return e, err
	}
	if e.Value, err = store.Unseal(e.Key, sealed); err != nil {
		return e, damaged("feed", err)
	}
	return e, nil
}

// Barrier implements store.Store.
func (s *Store) Barrier(ctx context.Context) (store.Rev, error) {
	if err := ctx.Err(); err != nil {
		return 0, lonja.E(lonja.Canceled, "barrier", err)
	}
	return s.latest(), nil
}
