package sqlitestore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"lonja"
	"lonja/internal/store"
)

// unreadable has the first page of the keys' index make no sense, as SQLite
// words a page that the disk fails to read, and returns what makes it well.
func unreadable(t *testing.T, dir string) (heal func()) {
	t.Helper()
	at, size := rootPage(t, dir, "sqlite_autoindex_records_1")
	file, err := os.Open(filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	page := make([]byte, size)
	if _, err := file.ReadAt(page, at); err != nil {
		t.Fatal(err)
	}
	overwrite(t, dir, at, "x")
	return func() { overwrite(t, dir, at, string(page)) }
}

// TestFailedReadIsNotDamage: a page that cannot be read has writes refused,
// and once it can be again the store writes again by itself.
func TestFailedReadIsNotDamage(t *testing.T) {
	dir := fill(t)
	heal := unreadable(t, dir)
	s, log := openLogged(t, dir)
	s.checks.Lock() // nobody looks before the disk is well again
	for range 2 {
		if _, err := s.Apply(t.Context(), []store.Change{{Key: "d", Value: []byte("5")}}); !errors.Is(err, lonja.Unavailable) || errors.Is(err, lonja.Damaged) {
			t.Errorf("got error %v, want kind %v", err, lonja.Unavailable)
		}
	}
	heal()
	s.checks.Unlock()
	log.waitFor(t, "the store writes again")
	put(t, s, "d", "5")
}

// TestSuspicionIsConfirmed where the page stays as it is.
func TestSuspicionIsConfirmed(t *testing.T) {
	dir := fill(t)
	unreadable(t, dir)
	s, log := openLogged(t, dir)
	if _, err := s.Apply(t.Context(), []store.Change{{Key: "d", Value: []byte("5")}}); !errors.Is(err, lonja.Unavailable) && !errors.Is(err, lonja.Damaged) {
		t.Errorf("got error %v", err)
	}
	log.waitFor(t, "the store refuses to write") // it is suspected
	log.waitFor(t, "the store refuses to write") // it is certain
	if err := s.Health(); !errors.Is(err, lonja.Damaged) {
		t.Errorf("got health %v, want kind %v", err, lonja.Damaged)
	}
}
