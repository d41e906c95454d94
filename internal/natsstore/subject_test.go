package natsstore

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lonja/internal/store"
)

var oddKeys = []store.Key{
	"a", "a/b", "u/0ABC", "/", "//", "///", "a/", "/a", "a//b", "a///b", ".", "..", "a.b", "a..b/.c.", "-/_=.09AZaz",
	"a/./b", store.Key(strings.Repeat("/", store.MaxKey)), store.Key(strings.Repeat(".", store.MaxKey)),
}

// TestKeysAsSubjects: every key has a subject that NATS takes, its own, and
// comes back from it.
func TestKeysAsSubjects(t *testing.T) {
	s := &Store{name: "d"}
	seen := map[string]store.Key{}
	check := func(t interface{ Errorf(string, ...any) }, key store.Key) {
		subject := s.subject(key)
		if slices.Contains(strings.Split(subject, "."), "") || strings.ContainsAny(subject, " *>\t\r\n") {
			t.Errorf("key %q: subject %q is none", key, subject)
		}
		if back, err := s.key(subject); back != key || err != nil {
			t.Errorf("key %q: came back as %q, %v", key, back, err)
		}
		if other, taken := seen[subject]; taken && other != key {
			t.Errorf("keys %q and %q have the same subject", key, other)
		}
		seen[subject] = key
	}
	for _, key := range oddKeys {
		check(t, key)
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, store.Key(rapid.StringMatching(`[-/_=.0-9A-Za-z]{1,12}`).Draw(t, "key")))
	})
	if key, err := s.key("d.mark"); err == nil {
		t.Errorf("a mark is key %q", key)
	}
}

// TestPurgePrefixes: whatever the prefix, what begins with it goes and nothing
// else does.
func TestPurgePrefixes(t *testing.T) {
	s := mustOpen(t, nil, Options{})
	keys := []store.Key{"a", "a/", "a/b", "a/bc", "a//b", "a.b", "ab", "/", "//x", "/a", "b/c/d"}
	for _, prefix := range []store.Key{"a/", "a", "a/b", "a//", "/", "//", "a.", "b/c/", "b", "none/", "none", ""} {
		batch := make([]store.Change, len(keys))
		for i, key := range keys {
			batch[i] = store.Change{Key: key, Value: []byte("x")}
		}
		if _, err := s.Apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if err := s.Purge(t.Context(), prefix); err != nil {
			t.Errorf("prefix %q: %v", prefix, err)
		}
		var want []store.Key
		for _, key := range keys {
			if !strings.HasPrefix(string(key), string(prefix)) {
				want = append(want, key)
			}
		}
		if got := records(t, s); !slices.Equal(got, want) {
			t.Errorf("prefix %q: got %q, want %q", prefix, got, want)
		}
		if err := s.Purge(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
}
