package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
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
	begin store.Rev     // everything up to it is in the rows
	grew  chan struct{} // has a value when there is something to take

	mu      sync.Mutex // guards what follows; never held while calling out
	waiting []store.Event
	bytes   int   // of waiting
	ended   error // why nothing more comes after what waits
}

// add hands events to the feed.
func (f *feed) add(events []store.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		f.bytes += eventSize + len(e.Key) + len(e.Value)
	}
	if f.bytes > feedBacklog {
		f.waiting, f.ended = nil, errTooSlow
	}
	if f.ended == nil {
		f.waiting = append(f.waiting, events...)
	}
	f.wake()
}

// end says that nothing more comes, and why.
func (f *feed) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = err
	f.wake()
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

var errTooSlow = lonja.E(lonja.Unavailable, "feed", fmt.Errorf("too slow: more than %d MiB of changes came meanwhile", feedBacklog>>20))

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
// are damaged. A disk that fails later does not end it: nothing is told then
// until the disk is well again.
func (s *Store) Feed(ctx context.Context, tell func(store.Event) error) error {
	rows, f, err := s.beginFeed(ctx)
	if err != nil {
		return failure("feed", err)
	}
	defer s.endFeed(f)
	if err := tellRows(rows, tell); err != nil {
		return failure("feed", err)
	}
	if err := s.wholeKnown(ctx); err != nil {
		return failure("feed", err)
	}
	if err := tell(store.Event{Rev: f.begin}); err != nil {
		return err
	}
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

// beginFeed opens a view of all records as they are now, and has all changes
// after it told to the feed. No commit comes in between.
func (s *Store) beginFeed(ctx context.Context) (*sql.Rows, *feed, error) {
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
	rows, err := s.reader.QueryContext(ctx, "SELECT rev, key, value FROM records ORDER BY rev")
	if err != nil {
		return nil, nil, err
	}
	f := &feed{begin: s.latest(), grew: make(chan struct{}, 1)}
	s.feeds[f] = struct{}{}
	return rows, f, nil
}

func (s *Store) endFeed(f *feed) {
	s.commits.Lock()
	defer s.commits.Unlock()
	delete(s.feeds, f)
}

func tellRows(rows *sql.Rows, tell func(store.Event) error) error {
	defer rows.Close()
	for rows.Next() {
		var e store.Event
		var sealed []byte
		if err := rows.Scan(&e.Rev, &e.Key, &sealed); err != nil {
			return err
		}
		var err error
		if e.Value, err = store.Unseal(e.Key, sealed); err != nil {
			return damaged("feed", err)
		}
		if err := tell(e); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Barrier implements store.Store.
func (s *Store) Barrier(ctx context.Context) (store.Rev, error) {
	if err := ctx.Err(); err != nil {
		return 0, lonja.E(lonja.Canceled, "barrier", err)
	}
	return s.latest(), nil
}
