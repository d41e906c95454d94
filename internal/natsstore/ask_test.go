package natsstore

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"lonja/internal/store"
)

// TestAskedAndRead: the leader, asked for one message after the other, tells
// what a reader does, and is asked where that is sooner done.
func TestAskedAndRead(t *testing.T) {
	s := mustOpen(t, nil, Options{})
	for i := range 2 * fewMessages {
		rev := put(t, s, store.Key(fmt.Sprint("k/", i)), "x", 0)
		switch i % 4 {
		case 1:
			put(t, s, store.Key(fmt.Sprint("k/", i)), "y", rev)
		case 2:
			if _, err := s.Apply(t.Context(), []store.Change{{Key: store.Key(fmt.Sprint("k/", i)), Expect: rev}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	mark, err := s.mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// read returns the last message of each key: what a replica that lags
	// tells besides has been replaced. It leaves out the mark, since the keeper
	// may write the next one between two calls. A source that breaks, as the
	// server's heartbeat may be late, is begun anew, as a feed does.
	read := func(begin func() (source, error)) (all []string) {
		r, err := begin()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { r.close() }()
		last := map[string]int{}
		for breaks := 0; ; {
			m, err := r.next(t.Context())
			if breaks < 5 && err != nil && t.Context().Err() == nil {
				breaks++
				r.close()
				if r, err = begin(); err != nil {
					t.Fatal(err)
				}
				all, last = nil, map[string]int{}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if before, again := last[m.subject]; again {
				all[before] = ""
			}
			last[m.subject] = len(all)
			all = append(all, fmt.Sprintf("%d %s %x", m.seq, m.subject, m.data))
			if m.seq >= mark {
				all[last[s.name+markSubject]] = "" // nothing else comes after the last write
				return slices.DeleteFunc(all, func(s string) bool { return s == "" })
			}
		}
	}
	for _, last := range []uint64{1, mark / 2, mark - 3} {
		f := &feed{store: s, last: last}
		want := read(func() (source, error) { return f.newReader(t.Context()) })
		if got := read(func() (source, error) { return &asker{s, last + 1}, nil }); !slices.Equal(got, want) {
			t.Errorf("after %d: asked %q, read %q", last, got, want)
		}
	}
	for last, asks := range map[uint64]bool{mark - 3: true, 1: false} {
		r, err := (&feed{store: s, last: last}).newSource(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.close()
		if _, asked := r.(*asker); asked != asks {
			t.Errorf("after %d: asks %v, want %v", last, asked, asks)
		}
	}
	if r, err := (&feed{store: s, beginning: true}).newSource(t.Context()); err != nil {
		t.Error(err)
	} else if r.close(); reflect.TypeOf(r) != reflect.TypeFor[*reader]() {
		t.Error("the beginning is asked for")
	}
}
