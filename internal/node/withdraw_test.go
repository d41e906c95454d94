package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/share"
)

// A refuser is a directory that deletes what it is asked to only after it has
// refused so many times.
type refuser struct {
	SecureDirectory

	mu       sync.Mutex // guards below
	refusals int
	asked    []lonja.FileName
}

// take returns what it was asked to delete since it was called last.
func (r *refuser) take() []lonja.FileName {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.asked
	r.asked = nil
	return asked
}

func (r *refuser) Delete(_ context.Context, user lonja.UserName, name lonja.FileName) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, name)
	if r.refusals == 0 {
		return nil
	}
	r.refusals--
	return &lonja.Error{Kind: lonja.Forbidden, Op: "delete", User: user, File: name}
}

// TestKeepsDelisting: a directory that refuses is told again while the session
// goes on, of all that was withdrawn, until it does as it is told.
func TestKeepsDelisting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := &refuser{refusals: 3}
		m := &membership{
			secureDialect: &secureDialect{
				Node:          &Node{opts: Options{Log: slog.New(slog.DiscardHandler)}},
				SecureOptions: SecureOptions{Directory: dir},
			},
			user: "ana", files: share.New(),
		}
		if err := errors.Join(m.files.Withdraw("a"), m.files.Withdraw("b")); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.keepDelisting(ctx) }()
		for i, want := range [][]lonja.FileName{{"a", "b"}, {"a", "b"}, {"a"}, nil} {
			time.Sleep(delistAgain)
			synctest.Wait()
			if got := dir.take(); !slices.Equal(got, want) {
				t.Errorf("after %d minutes it was asked to delete %q, want %q", i+1, got, want)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
