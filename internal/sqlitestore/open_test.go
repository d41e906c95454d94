package sqlitestore

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/store"
)

func mustOpen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *Store, key store.Key, value string) store.Rev {
	t.Helper()
	rev, err := s.Apply(t.Context(), []store.Change{{Key: key, Value: []byte(value)}})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

var errEnough = errors.New("enough")

// records returns what the first n events of a feed tell.
func records(t *testing.T, s *Store, n int) (got []string, err error) {
	t.Helper()
	if n == 0 {
		return nil, nil
	}
	err = s.Feed(t.Context(), func(e store.Event) error {
		got = append(got, fmt.Sprintf("%d %s=%s", e.Rev, e.Key, e.Value))
		if len(got) == n {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return got, err
}

// TestReopen: everything is there again, and revisions go on, also after the
// latest change has deleted its key.
func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "if need be")
	s := mustOpen(t, dir)
	put(t, s, "a", "1")
	gone := put(t, s, "b", "2")
	if _, err := s.Apply(t.Context(), []store.Change{{Key: "b", Expect: gone}}); err != nil {
		t.Fatal(err)
	}
	last, err := s.Barrier(t.Context())
	if err != nil || s.Close() != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir)
	defer s.Close()
	if rev := put(t, s, "c", "3"); rev != last+1 {
		t.Errorf("got revision %d after %d", rev, last)
	}
	if got, err := records(t, s, 2); fmt.Sprint(got) != "[1 a=1 4 c=3]" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if _, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got error %v, want one that says it is in use", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, dir).Close(); err != nil {
		t.Error(err)
	}
}

// TestForeignDirectoriesAreNotTouched: neither another kind's nor half of ours.
func TestForeignDirectoriesAreNotTouched(t *testing.T) {
	for name, c := range map[string]struct{ file, content, says string }{
		"a cluster's":  {kindFile, "cluster:main\n", "cluster:main"},
		"without kind": {databaseFile, "", "not a whole data directory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if s, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, %v; want an error that says %q", s, err, c.says)
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) > 2 { // the file, and the lock
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
}

// TestDamageIsNoticed: a flipped bit in a record, a record under another's
// key, and a file that is no database are told, and never taken for empty.
func TestDamageIsNoticed(t *testing.T) {
	for name, harm := range map[string]string{
		"a flipped bit":  "UPDATE records SET value = CAST(substr(value, 1, 4) || x'42' || substr(value, 6) AS BLOB) WHERE key = 'b'",
		"another's key":  "UPDATE records SET key = 'z' WHERE key = 'b'",
		"a short record": "UPDATE records SET value = x'00' WHERE key = 'b'",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, dir)
			put(t, s, "a", "1")
			put(t, s, "b", "value")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open("sqlite", filepath.Join(dir, databaseFile))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(harm); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, dir)
			defer s.Close()
			if got, err := records(t, s, 2); !errors.Is(err, lonja.Damaged) {
				t.Errorf("got %v, %v; want kind Damaged", got, err)
			}
		})
	}
	dir := t.TempDir()
	if err := mustOpen(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, databaseFile), []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), dir); !errors.Is(err, lonja.Damaged) {
		t.Errorf("got %v, %v; want kind Damaged", s, err)
	}
}
