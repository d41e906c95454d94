package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/store"
)

// patience bounds what these tests wait for.
const patience = 30 * time.Second

// A diary is a slog.Handler that hands on the messages.
type diary chan string

func (d diary) Enabled(context.Context, slog.Level) bool      { return true }
func (d diary) WithAttrs([]slog.Attr) slog.Handler            { return d }
func (d diary) WithGroup(string) slog.Handler                 { return d }
func (d diary) Handle(_ context.Context, r slog.Record) error { d <- r.Message; return nil }

func (d diary) waitFor(t *testing.T, message string) {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case m := <-d:
			if m == message {
				return
			}
		case <-late:
			t.Fatalf("the log does not say %q", message)
		}
	}
}

func openLogged(t *testing.T, dir string) (*Store, diary) {
	t.Helper()
	log := make(diary, 1000)
	s, err := OpenLogged(t.Context(), dir, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, log
}

// limitPages makes the disk of s full, or not. The committer is idle.
func limitPages(t *testing.T, s *Store, pages int) {
	t.Helper()
	if _, err := s.writer.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
		t.Fatal(err)
	}
}

// TestFullDiskAndBack: writes are refused with the reason, feeds and barriers
// go on, and without anybody's doing the store writes again.
func TestFullDiskAndBack(t *testing.T) {
	s, log := openLogged(t, t.TempDir())
	put(t, s, "a", "1")
	big := []store.Change{{Key: "big", Value: make([]byte, store.MaxValue)}}
	limitPages(t, s, 8)
	_, err := s.Apply(t.Context(), big)
	if !errors.Is(err, lonja.Unavailable) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got error %v, want one of kind %v that says that there is no space", err, lonja.Unavailable)
	}
	log.waitFor(t, "the store refuses to write")
	log.waitFor(t, "the store writes again") // what is small has its place
	if err := s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
	limitPages(t, s, 1<<20)
	if _, err := s.Apply(t.Context(), big); err != nil {
		t.Error(err)
	}
	if got, err := records(t, s, 1); fmt.Sprint(got) != "[1 a=1]" || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestUnhealthyStoreRefuses at once, with the reason, and without the disk.
func TestUnhealthyStoreRefuses(t *testing.T) {
	s, _ := openLogged(t, t.TempDir())
	reason := damaged("test", errors.New("moths"))
	s.fail(reason)
	if _, err := s.Apply(t.Context(), []store.Change{{Key: "a", Value: []byte("1")}}); !errors.Is(err, lonja.Damaged) {
		t.Errorf("got error %v, want %v", err, reason)
	}
	if err := s.Health(); !errors.Is(err, reason) || !strings.Contains(err.Error(), "backup") {
		t.Errorf("health: got %v, want %v, and what to do", err, reason)
	}
	if got, err := records(t, s, 1); err != nil {
		t.Errorf("feed: got %v, %v", got, err)
	}
}

// TestDoubt: a transaction of which nobody knows whether it was committed is
// told to the feeds if it was, and only then.
func TestDoubt(t *testing.T) {
	for name, committed := range map[string]bool{"committed": true, "rolled back": false} {
		t.Run(name, func(t *testing.T) {
			s := mustOpen(t, t.TempDir())
			put(t, s, "a", "1")
			if err := s.Close(); err != nil { // the committer is gone: the test is it
				t.Fatal(err)
			}
			s.held = nil
			if err := s.openDatabase(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer s.closeFiles()
			next := outcome{proof: s.proof}
			tx, err := s.writer.Begin()
			if err != nil {
				t.Fatal(err)
			}
			a := &apply{batch: []store.Change{{Key: "b", Value: []byte("2")}}}
			if next.events, err = applyBatch(tx, s.statements.in(tx), a, &next.proof); err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec("UPDATE latest SET rev = ?, proof = ?", int64(next.rev), next.seal()); err != nil {
				t.Fatal(err)
			}
			end := tx.Rollback
			if committed {
				end = tx.Commit
			}
			if err := end(); err != nil {
				t.Fatal(err)
			}
			f := newFeed(proof{}, func() {})
			s.feeds[f] = struct{}{}
			s.doubt = &next
			s.fail(errors.New("the answer was lost"))
			s.probe(t.Context())
			events, err := f.take()
			if told := len(events) == 1 && events[0].Key == "b"; told != committed || err != nil {
				t.Errorf("told %v, %v; want the event: %t", events, err, committed)
			}
			if s.Health() != nil || s.doubt != nil || s.latest() != store.Rev(len(events)+1) {
				t.Errorf("got health %v, doubt %v, revision %d", s.Health(), s.doubt, s.latest())
			}
		})
	}
}

// TestProbeWrites: a probe that wrote nothing would find every disk well.
func TestProbeWrites(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	defer s.Close()
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, databaseFile+logSuffix))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	if err := s.touch(); err != nil || size() == before {
		t.Errorf("the log has %d bytes, as before, error %v", before, err)
	}
}

// TestLostDatabaseIsNotTakenForANewOne, nor one that lacks what was there.
func TestLostDatabaseIsNotTakenForANewOne(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"removed":  os.Remove,
		"emptied":  func(path string) error { return os.Truncate(path, 0) },
		"cut":      func(path string) error { return os.Truncate(path, 8192) },
		"an older": func(path string) error { return os.Rename(path+".old", path) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, databaseFile)
			s := mustOpen(t, dir)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			old, err := os.ReadFile(path)
			if err != nil || os.WriteFile(path+".old", old, 0o600) != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, dir)
			put(t, s, "a", "1")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := harm(path); err != nil {
				t.Fatal(err)
			}
			if s, err := Open(t.Context(), dir); !errors.Is(err, lonja.Damaged) {
				t.Errorf("got %v, %v; want kind %v", s, err, lonja.Damaged)
			}
		})
	}
}

// TestOnlyWeReadTheFiles, whatever their modes were.
func TestOnlyWeReadTheFiles(t *testing.T) {
	dir := t.TempDir()
	if err := mustOpen(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, databaseFile), 0o644); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir)
	defer s.Close()
	put(t, s, "a", "1")
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
		return nil
	})
	if err != nil || files < 6 {
		t.Errorf("%d files, %v", files, err)
	}
}

// TestSlowFeedEnds when too much waits for it.
func TestSlowFeedEnds(t *testing.T) {
	f := newFeed(proof{}, func() {})
	events := []store.Event{{Key: "a", Value: make([]byte, 64<<20)}}
	f.add(events)
	if got, err := f.take(); len(got) != 1 || err != nil {
		t.Errorf("got %d events, %v", len(got), err)
	}
	for range 5 {
		f.add(events)
	}
	if got, err := f.take(); len(got) != 0 || !errors.Is(err, lonja.Unavailable) {
		t.Errorf("got %d events, %v; want kind %v", len(got), err, lonja.Unavailable)
	}
}
