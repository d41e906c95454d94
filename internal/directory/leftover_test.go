package directory

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/memstore"
	"lonja/internal/store"
)

// A hoarder is a store that purges nothing: as if its directory had always died
// before.
type hoarder struct{ store.Store }

func (hoarder) Purge(context.Context, store.Key) error {
	return lonja.E(lonja.Unavailable, "purge", errors.New("not now"))
}

// publicationRecords counts the records of publications in s.
func publicationRecords(t *testing.T, s store.Store) (n int) {
	t.Helper()
	done := errors.New("done")
	err := s.Feed(t.Context(), func(e store.Event) error {
		switch {
		case e.Key == "":
			return done
		case strings.HasPrefix(string(e.Key), filePrefix):
			n++
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatal(err)
	}
	return n
}

// TestLeftovers: what a removed account had published means nothing, whoever
// has the name next, and is purged at the next start if it was not before.
func TestLeftovers(t *testing.T) {
	s := memstore.New()
	defer s.Close()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(ctx, Options{Store: hoarder{s}})
	must(err)
	must(d.Register(ctx, "ana"))
	must(d.Connect(ctx, "ana", somewhere))
	must(d.Publish(ctx, "ana", lonja.Listing{Name: "/old"}))
	must(d.Unregister(ctx, "ana"))
	must(d.Register(ctx, "ana"))
	must(d.Close())
	if n := publicationRecords(t, s); n != 1 {
		t.Fatalf("%d publications are left, want 1: this test shows nothing", n)
	}

	d, err = Open(ctx, Options{Store: s})
	must(err)
	defer d.Close()
	must(d.Connect(ctx, "ana", somewhere))
	if listed, err := d.ListContent(ctx, "ana", "ana"); len(listed) != 0 || err != nil {
		t.Errorf("the new account has %v, %v", listed, err)
	}
	for late := time.Now().Add(30 * time.Second); publicationRecords(t, s) > 0; {
		if time.Now().After(late) {
			t.Fatal("the publications of the account that was removed stay")
		}
	}
}
