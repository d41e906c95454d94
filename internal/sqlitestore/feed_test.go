package sqlitestore

import (
	"errors"
	"testing"
	"time"

	"lonja"
	"lonja/internal/store"
)

// TestFeedFindsDamage that came while the store was open: it is told to the
// log and by Health, nothing is written any more, and no disk that seems well
// changes that.
func TestFeedFindsDamage(t *testing.T) {
	s, log := openLogged(t, t.TempDir())
	put(t, s, "a", "1")
	if _, err := s.writer.Exec("UPDATE records SET value = x'00'"); err != nil { // the committer is idle
		t.Fatal(err)
	}
	if err := s.Feed(t.Context(), func(store.Event) error { return nil }); !errors.Is(err, lonja.Damaged) {
		t.Errorf("feed: got error %v, want kind %v", err, lonja.Damaged)
	}
	log.waitFor(t, "the store refuses to write")
	s.fail(lonja.E(lonja.Unavailable, "checkpoint", errors.New("full")))
	s.probe(t.Context())
	if err := s.Health(); !errors.Is(err, lonja.Damaged) {
		t.Errorf("health: got %v, want kind %v", err, lonja.Damaged)
	}
	if _, err := s.Apply(t.Context(), []store.Change{{Key: "b", Value: []byte("2")}}); !errors.Is(err, lonja.Damaged) {
		t.Errorf("apply: got error %v, want kind %v", err, lonja.Damaged)
	}
}

// TestErrorOfTellIsNoDamage of the store's, whatever its kind.
func TestErrorOfTellIsNoDamage(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	defer s.Close()
	put(t, s, "a", "1")
	reason := lonja.E(lonja.Damaged, "test", errors.New("a record of no sense"))
	if err := s.Feed(t.Context(), func(store.Event) error { return reason }); !errors.Is(err, reason) {
		t.Errorf("got error %v, want %v", err, reason)
	}
	if err := s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
}

// TestStalledFeedLetsTheLogGo: a feed that hangs in tell, as a backup that
// nobody reads, ends when too much waits for it or the log is too long, and the
// log can be emptied while it still hangs.
func TestStalledFeedLetsTheLogGo(t *testing.T) {
	for name, provoke := range map[string]func(s *Store){
		"too much waits": func(s *Store) {
			s.commits.Lock()
			defer s.commits.Unlock()
			s.tellFeeds([]store.Event{{Key: "a", Value: make([]byte, feedBacklog)}})
		},
		"the log is too long": func(s *Store) {
			s.commits.Lock()
			defer s.commits.Unlock()
			s.maxFrames = 0
			if err := s.checkpoint(); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustOpen(t, t.TempDir())
			defer s.Close()
			put(t, s, "a", "1")
			put(t, s, "b", "2")
			stalled, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			go func() {
				ended <- s.Feed(t.Context(), func(e store.Event) error {
					if e.Key == "a" {
						close(stalled)
						<-goOn
					}
					return nil
				})
			}()
			<-stalled
			put(t, s, "c", "3")
			provoke(s)
			var busy, frames, copied int
			err := s.writer.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &copied)
			if err != nil || busy != 0 || frames != 0 {
				t.Errorf("the log is held: busy %d, %d frames, %v", busy, frames, err)
			}
			close(goOn)
			select {
			case err := <-ended:
				if !errors.Is(err, errTooSlow) {
					t.Errorf("got error %v, want %v", err, errTooSlow)
				}
			case <-time.After(patience):
				t.Error("the feed goes on")
			}
		})
	}
}

// TestOneLine: what SQLite says of a page goes to terminals and logs.
func TestOneLine(t *testing.T) {
	const text = "*** in database main ***\nTree 3 page 2:\x1b[2J bad"
	if got := oneLine(text); got != "*** in database main *** Tree 3 page 2:\uFFFD[2J bad" {
		t.Errorf("got %q", got)
	}
}
