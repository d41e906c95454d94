package natsstore

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"lonja"
	"lonja/internal/store"
)

// tale is what a feed tells of messages, in short.
func tale(t *testing.T, f *feed, messages ...told) (got []string) {
	t.Helper()
	f.tell = func(e store.Event) error {
		switch {
		case e.Key == "":
			got = append(got, fmt.Sprintf("%d", e.Rev))
		case e.Value == nil:
			got = append(got, fmt.Sprintf("%d %s gone", e.Rev, e.Key))
		default:
			got = append(got, fmt.Sprintf("%d %s=%s", e.Rev, e.Key, e.Value))
		}
		return nil
	}
	for _, m := range messages {
		if err := f.event(m); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func aMessage(seq uint64, key store.Key, kind byte, replaces uint64) told {
	s := &Store{name: "d"}
	if key == "" {
		return told{"d" + markSubject, nil, seq}
	}
	var value []byte
	if kind != deleted {
		value = fmt.Append(nil, seq)
	}
	return told{s.subject(key), record{kind: kind, replaces: replaces, value: value}.seal(key), seq}
}

// TestFeedCatchesUp: what a feed tells when it comes too late for some messages.
func TestFeedCatchesUp(t *testing.T) {
	m := aMessage
	for name, c := range map[string]struct {
		beginning bool
		last      uint64
		messages  []told
		want      []string
	}{
		"the beginning has no tombstones": {
			true, 0,
			[]told{m(3, "a", created, 0), m(4, "b", deleted, 2), m(9, "", 0, 0)},
			[]string{"3 a=3", "9"},
		},
		"but one of a key that it has told": {
			true, 0,
			[]told{m(3, "a", created, 0), m(4, "a", deleted, 3), m(9, "", 0, 0)},
			[]string{"3 a=3", "4 a gone", "9"},
		},
		"deleted and made anew meanwhile": {
			true, 0,
			[]told{m(3, "a", created, 0), m(6, "a", created, 5), m(9, "", 0, 0)},
			[]string{"3 a=3", "3 a gone", "6 a=6", "9"},
		},
		"marks in the beginning": {
			true, 0,
			[]told{m(3, "", 0, 0), m(4, "a", created, 0), m(10, "", 0, 0)},
			[]string{"4 a=4", "10"},
		},
		"behind, deleted and made anew": {
			false, 3,
			[]told{m(6, "a", created, 5), m(7, "b", created, 0), m(9, "", 0, 0)},
			[]string{"3 a gone", "6 a=6", "7 b=7", "9"},
		},
		"behind, changed": {
			false, 3,
			[]told{m(6, "a", changed, 5), m(9, "", 0, 0)},
			[]string{"6 a=6", "9"},
		},
		"behind, deleted": {
			false, 3,
			[]told{m(6, "a", deleted, 5), m(9, "", 0, 0)},
			[]string{"6 a gone", "9"},
		},
		"a replica that lags": {
			false, 3,
			[]told{m(2, "a", created, 0), m(3, "b", created, 0), m(4, "c", created, 0), m(9, "", 0, 0)},
			[]string{"4 c=4", "9"},
		},
		"caught up": {
			false, 3,
			[]told{m(4, "", 0, 0), m(9, "", 0, 0), m(10, "a", created, 0), m(11, "", 0, 0), m(12, "a", deleted, 10), m(13, "a", created, 12)},
			[]string{"9", "10 a=10", "11", "12 a gone", "13 a=13"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := &feed{store: &Store{name: "d"}, last: c.last, beginning: c.beginning, catching: true, until: 9, keysMet: newKeySet(0)}
			if got := tale(t, f, c.messages...); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestOutOfTouch: a feed goes on only if no deletion can have been forgotten
// while it was away.
func TestOutOfTouch(t *testing.T) {
	if maxAbsence >= tombstoneLife {
		t.Errorf("tombstones last %v, and a feed may be away for %v", tombstoneLife, maxAbsence)
	}
	now := time.Now()
	for away, ends := range map[time.Duration]bool{0: false, maxAbsence: false, maxAbsence + time.Second: true, tombstoneLife: true} {
		f := &feed{heard: now.Add(-away)}
		if err := f.outOfTouch(now, errEnough); errors.Is(err, lonja.Unavailable) != ends {
			t.Errorf("away for %v: got error %v", away, err)
		}
	}
}

// TestDamagedRecords: a message that is not what was written ends the feed.
func TestDamagedRecords(t *testing.T) {
	s := mustOpen(t, nil, Options{})
	put(t, s, "a", "x", 0)
	if _, err := s.js.Publish(t.Context(), s.subject("b"), []byte("not a record of ours")); err != nil {
		t.Fatal(err)
	}
	err := s.Feed(t.Context(), func(store.Event) error { return nil })
	if !errors.Is(err, lonja.Damaged) {
		t.Errorf("got error %v, want kind %v", err, lonja.Damaged)
	}
}

// TestShortReplica: a reader that leaves records out is found out by the
// leader's count, and not used again.
func TestShortReplica(t *testing.T) {
	s := mustOpen(t, nil, Options{})
	for i := range 10 {
		put(t, s, store.Key(fmt.Sprint(i)), "x", 0)
	}
	for _, leftOut := range []uint64{0, 1} {
		f := &feed{store: s, tell: func(store.Event) error { return nil }, beginning: true, catching: true, keysMet: newKeySet(0)}
		r, err := f.newReader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer r.close()
		mark, err := f.readToMark(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		f.records -= leftOut
		err = f.checkBeginning(t.Context(), r, mark)
		if leftOut == 0 && err != nil || leftOut > 0 && !errors.Is(err, lonja.Damaged) {
			t.Errorf("%d left out: got error %v", leftOut, err)
		}
		if leftOut == 0 {
			continue
		}
		for range 5 {
			again, err := f.newReader(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if again.replica == r.replica {
				t.Error("read at a replica that was found short")
			}
			again.close()
		}
	}
}

func TestKeySet(t *testing.T) {
	const n = 20_000
	k := newKeySet(n)
	for i := range n {
		k.add(store.Key(fmt.Sprint("in/", i)))
	}
	wrong := 0
	for i := range n {
		if !k.has(store.Key(fmt.Sprint("in/", i))) {
			t.Fatalf("key %d is not in", i)
		}
		if k.has(store.Key(fmt.Sprint("out/", i))) {
			wrong++
		}
	}
	if wrong > n/50 {
		t.Errorf("%d of %d keys are in that were not added", wrong, n)
	}
}
