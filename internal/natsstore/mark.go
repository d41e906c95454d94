package natsstore

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"lonja"
	"lonja/internal/store"
)

// A mark is a message that says nothing. That it was acknowledged shows that
// the cluster can write; its sequence is after all that was acknowledged
// before, whichever node or replica one asks; and a feed tells it, so there is
// always something for it to come to. Each mark takes the place of the one
// before.

// mark writes one and returns its sequence. It tries until ctx ends. A
// sequence that has been before means that the stream was cut.
func (s *Store) mark(ctx context.Context) (uint64, error) {
	before := s.highest.Load()
	wait := backoff{}
	for {
		rev, result, err := s.request(ctx, nats.NewMsg(s.name+markSubject))
		switch {
		case result == done && rev <= before:
			return 0, s.damaged(s.lost(fmt.Sprintf("stream %s goes on at %d, after this node had seen %d", s.name, rev, before)))
		case result == done:
			s.raise(rev)
			return rev, nil
		case result == failed:
			return 0, err
		}
		if !wait.next(ctx) {
			return 0, fmt.Errorf("no mark could be written: %w", err)
		}
	}
}

// Barrier implements store.Store.
func (s *Store) Barrier(ctx context.Context) (store.Rev, error) {
	if err := s.usable(ctx, "barrier"); err != nil {
		return 0, err
	}
	limited, end := s.under(ctx, patience)
	defer end()
	rev, err := s.mark(limited)
	if err != nil {
		return 0, s.failure(ctx, "barrier", err)
	}
	return store.Rev(rev), nil
}

// What the keeper does, and how often.
const (
	markEvery  = 5 * time.Second
	checkEvery = 6 // marks
)

// keep is the keeper: until the Store is closed it writes marks, so that
// Health knows of a cluster that cannot write although nobody wants to; it
// keeps seenFile up to date; and it asks the nodes again whether they sync,
// since those that were away have come back.
func (s *Store) keep() {
	ticker := time.NewTicker(markEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return
		}
		s.keepMark()
		if n%checkEvery == 0 {
			s.keepSafe()
		}
	}
}

func (s *Store) keepMark() {
	ctx, cancel := context.WithTimeout(s.ctx, markEvery)
	defer cancel()
	if _, err := s.mark(ctx); err != nil {
		if s.ctx.Err() == nil {
			s.tried(s.failure(s.ctx, "write", err))
		}
		return
	}
	s.tried(nil)
	if err := s.saveSeen(); err != nil {
		s.tried(lonja.E(lonja.LocalFile, "data directory", err))
	}
}

func (s *Store) keepSafe() {
	ctx, cancel := context.WithTimeout(s.ctx, markEvery)
	defer cancel()
	reason, err := s.unsafeReason(ctx)
	if err != nil {
		return // it cannot answer: the marks tell
	}
	s.mu.Lock()
	news := reason != nil && s.unsafe == nil && !s.allowUnsafe
	if !s.allowUnsafe {
		s.unsafe = reason
	}
	s.mu.Unlock()
	if news {
		s.log.Error("the cluster may lose what it acknowledges", "reason", reason)
	}
}
