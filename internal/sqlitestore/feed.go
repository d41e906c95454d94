package sqlitestore

import (
	"context"
	"database/sql"

	"lonja"
	"lonja/internal/store"
)

// feedBacklog bounds the groups that wait for a feed. A committer that finds
// it full waits: writes are told to the feed before they are acknowledged
// anyway, and a feed is as fast as memory.
const feedBacklog = 64

// A feed is one call of Feed, while it goes on.
type feed struct {
	begin  store.Rev          // everything up to it is in the rows
	groups chan []store.Event // closed when the store is
	gone   chan struct{}      // closed when the feed has ended
}

// tellFeeds hands committed events to all feeds. The caller holds mu.
func (s *Store) tellFeeds(events []store.Event) {
	for f := range s.feeds {
		select {
		case f.groups <- events:
		case <-f.gone:
		}
	}
}

func (s *Store) endFeeds() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.feeds {
		close(f.groups)
		delete(s.feeds, f)
	}
}

// Feed implements store.Store. It reads every record, so it finds those that
// are damaged.
func (s *Store) Feed(ctx context.Context, tell func(store.Event) error) error {
	rows, f, err := s.beginFeed(ctx)
	if err != nil {
		return failure("feed", err)
	}
	defer s.endFeed(f)
	if err := tellRows(rows, tell); err != nil {
		return failure("feed", err)
	}
	if err := tell(store.Event{Rev: f.begin}); err != nil {
		return err
	}
	for {
		select {
		case events, open := <-f.groups:
			if !open {
				return errClosed
			}
			for _, e := range events {
				if err := tell(e); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return lonja.E(lonja.Canceled, "feed", ctx.Err())
		}
	}
}

// beginFeed opens a view of all records as they are now, and has all changes
// after it told to the feed. No commit comes in between.
func (s *Store) beginFeed(ctx context.Context) (*sql.Rows, *feed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return nil, nil, errClosed
	default:
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT rev, key, value FROM records ORDER BY rev")
	if err != nil {
		return nil, nil, err
	}
	f := &feed{begin: s.rev, groups: make(chan []store.Event, feedBacklog), gone: make(chan struct{})}
	s.feeds[f] = struct{}{}
	return rows, f, nil
}

func (s *Store) endFeed(f *feed) {
	close(f.gone) // before mu: a committer that waits for us holds it
	s.mu.Lock()
	defer s.mu.Unlock()
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
			return err
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
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rev, nil
}

// Health implements store.Store.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}
