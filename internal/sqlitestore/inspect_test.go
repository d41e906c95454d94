package sqlitestore

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/store"
)

// damageIndex has the index of the keys lack one that the records have.
func damageIndex(t *testing.T, dir string) {
	t.Helper()
	at, size := rootPage(t, dir, "sqlite_autoindex_records_1")
	overwrite(t, dir, at+size-2, "x") // the first key is just before the end of its page
}

// feedBeginning has a feed tell all that is in the store, as an index wants it,
// and calls then before the store knows that it has.
func feedBeginning(t *testing.T, s *Store, then func()) {
	t.Helper()
	feeding := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		feeding <- s.Feed(t.Context(), func(e store.Event) error {
			if e.Key == "" {
				then()
				close(begun)
			}
			return nil
		})
	}()
	select {
	case <-begun:
	case err := <-feeding:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close()
		<-feeding
	})
}

// TestDamagedIndexIsNoticed while the store runs: the records are whole and
// all there, but the index of the keys lacks one.
func TestDamagedIndexIsNoticed(t *testing.T) {
	dir := fill(t)
	damageIndex(t, dir)
	s, log := openLogged(t, dir)
	feedBeginning(t, s, func() {})
	log.waitFor(t, "the store refuses to write")
	_, err := s.Apply(t.Context(), []store.Change{{Key: "d", Value: []byte("2")}})
	for _, err := range []error{err, s.Health()} {
		if !errors.Is(err, lonja.Damaged) || !strings.Contains(err.Error(), "restore") || err.Error() != lonja.Printable(err.Error()) {
			t.Errorf("got error %q; want kind %v, and what to do, in one line", err, lonja.Damaged)
		}
	}
}

// TestSmallDamagedIndexIsRefused: what is checked in a moment is not even opened.
func TestSmallDamagedIndexIsRefused(t *testing.T) {
	dir := fillSmall(t)
	damageIndex(t, dir)
	if s, err := Open(t.Context(), dir); !errors.Is(err, lonja.Damaged) {
		t.Errorf("got %v, %v; want kind %v", s, err, lonja.Damaged)
	}
}

// TestWholeDatabaseStaysHealthy: the check of one finds nothing, and it is
// begun by a feed only.
func TestWholeDatabaseStaysHealthy(t *testing.T) {
	s, log := openLogged(t, fill(t))
	put(t, s, "d", "5")
	if len(log) > 0 {
		t.Errorf("the log says %q before there is a feed", <-log)
	}
	feedBeginning(t, s, func() {})
	log.waitFor(t, "the database is whole")
	if err := s.Health(); err != nil {
		t.Error(err)
	}
}

// TestUnreadableIsNotDamaged: what the check takes for damage may be a disk
// that fails to read, and may get well.
func TestUnreadableIsNotDamaged(t *testing.T) {
	dir := fill(t)
	damageIndex(t, dir)
	s := mustOpen(t, dir)
	defer s.Close()
	if err := s.inspectOnce(t.Context()); !errors.Is(err, lonja.Damaged) {
		t.Errorf("got error %v, want kind %v", err, lonja.Damaged)
	}
	unreadable, err := os.OpenFile(filepath.Join(t.TempDir(), "file"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unreadable.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	s.held = append(s.held, unreadable)
	if err := s.inspectOnce(t.Context()); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("got error %v, want kind %v", err, lonja.Unavailable)
	}
}

// TestCheckLetsTheLogGo when that is too long, and begins again.
func TestCheckLetsTheLogGo(t *testing.T) {
	s, log := openLogged(t, fill(t))
	s.inspectAgain = time.Millisecond
	s.maxFrames = 0
	s.reader.SetMaxOpenConns(1)
	var taken *sql.Conn // the only one, for which the check waits
	feedBeginning(t, s, func() {
		var err error
		if taken, err = s.reader.Conn(t.Context()); err != nil {
			t.Error(err)
		}
	})
	late := time.After(patience)
	for rev, told := store.Rev(0), false; !told; {
		change := store.Change{Key: "log", Value: []byte("grows"), Expect: rev}
		var err error
		if rev, err = s.Apply(t.Context(), []store.Change{change}); err != nil {
			t.Fatal(err)
		}
		s.commits.Lock()
		err = s.checkpoint()
		s.commits.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-log:
			told = m == "the database could not be checked; it will be again"
		case <-late:
			t.Fatal("the check goes on")
		default:
		}
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	log.waitFor(t, "the database is whole")
}
