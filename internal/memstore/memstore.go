// Package memstore is a store.Store that keeps everything in memory and
// forgets it at the end: for `--data :memory:` and for tests.
package memstore

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"lonja"
	"lonja/internal/store"
	"lonja/internal/store/hub"
)

// A Store is a store.Store in memory.
type Store struct {
	hub.Hub // the messages

	mu      sync.Mutex // guards all below; never held while calling out
	records map[store.Key]store.Event
	log     []store.Event // every change since the feeds that are open began
	dropped int           // events that were before log's first
	feeds   map[*feed]struct{}
	rev     store.Rev
	grew    chan struct{} // closed, and made anew, when log grows
	closed  bool
}

// A feed is how far one Feed has come, in events ever logged.
type feed struct{ next int }

var _ store.Store = (*Store)(nil)

// New returns an empty Store.
func New() *Store {
	return &Store{
		records: make(map[store.Key]store.Event),
		feeds:   make(map[*feed]struct{}),
		grew:    make(chan struct{}),
	}
}

// Apply implements store.Store.
func (s *Store) Apply(ctx context.Context, batch []store.Change) (store.Rev, error) {
	if err := store.Check(batch); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	for _, c := range batch {
		if s.records[c.Key].Rev != c.Expect {
			return 0, lonja.E(lonja.Conflict, "apply", nil)
		}
	}
	for _, c := range batch {
		s.rev++
		event := store.Event{Key: c.Key, Value: slices.Clone(c.Value), Rev: s.rev}
		if c.Value == nil {
			delete(s.records, c.Key)
		} else {
			s.records[c.Key] = event
		}
		s.log = append(s.log, event)
	}
	s.trim()
	close(s.grew)
	s.grew = make(chan struct{})
	return s.rev, nil
}

// usable reports why nothing can be done. The caller holds mu.
func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return lonja.E(lonja.Unavailable, "store", io.ErrClosedPipe)
	}
	if ctx.Err() != nil {
		return lonja.E(lonja.Canceled, "store", ctx.Err())
	}
	return nil
}

// trim forgets the events that every feed has told. The caller holds mu.
func (s *Store) trim() {
	oldest := s.dropped + len(s.log)
	for f := range s.feeds {
		oldest = min(oldest, f.next)
	}
	if done := oldest - s.dropped; done > len(s.log)/2 {
		s.log = slices.Clone(s.log[done:])
		s.dropped = oldest
	}
}

// Feed implements store.Store.
func (s *Store) Feed(ctx context.Context, tell func(store.Event) error) error {
	s.mu.Lock()
	f := &feed{next: s.dropped + len(s.log)}
	s.feeds[f] = struct{}{}
	events := append(s.sorted(), store.Event{Rev: s.rev})
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.feeds, f)
	}()
	for {
		for _, e := range events {
			if err := ctx.Err(); err != nil {
				return lonja.E(lonja.Canceled, "feed", err)
			}
			e.Value = slices.Clone(e.Value)
			if err := tell(e); err != nil {
				return err
			}
		}
		var err error
		if events, err = s.more(ctx, f); err != nil {
			return err
		}
	}
}

// sorted returns the records in the order of revisions. The caller holds mu.
func (s *Store) sorted() []store.Event {
	return slices.SortedFunc(maps.Values(s.records), func(a, b store.Event) int { return cmp.Compare(a.Rev, b.Rev) })
}

// more waits for events that f has not told.
func (s *Store) more(ctx context.Context, f *feed) ([]store.Event, error) {
	for {
		s.mu.Lock()
		err, grew := s.usable(ctx), s.grew
		events := slices.Clone(s.log[f.next-s.dropped:])
		f.next += len(events)
		s.mu.Unlock()
		if err != nil || len(events) > 0 {
			return events, err
		}
		select {
		case <-grew:
		case <-ctx.Done():
		}
	}
}

// Barrier implements store.Store.
func (s *Store) Barrier(ctx context.Context) (store.Rev, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rev, s.usable(ctx)
}

// Purge implements store.Store.
func (s *Store) Purge(ctx context.Context, prefix store.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.records {
		if strings.HasPrefix(string(key), string(prefix)) {
			delete(s.records, key)
		}
	}
	return s.usable(ctx)
}

// Health implements store.Store.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usable(context.Background())
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.grew)
		s.grew = make(chan struct{})
		s.Hub.Close()
	}
	return nil
}
