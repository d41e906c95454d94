// Package sqlitestore is a store.Store in one SQLite file on this machine:
// nothing to set up, every acknowledged change synced, and the changes that
// wait together share one sync.
//
// One goroutine, the committer, writes; it also tells the feeds, so that they
// see the changes in the order of their revisions.
package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"lonja"
	"lonja/internal/store"
	"lonja/internal/store/hub"
)

// The files of a data directory, but for those that SQLite adds.
const (
	databaseFile = "directory.db"
	kindFile     = "KIND" // says whose directory it is, so that no other kind of store touches it
	lockFile     = "LOCK" // held by the process that uses it
)

// kind is what kindFile of a directory of this package says.
const kind = "local\n"

// settings: WAL with FULL syncs the log at each commit. NORMAL was seen to
// lose acknowledged writes in power cuts.
var settings = url.Values{"_pragma": {
	"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "journal_size_limit(67108864)",
}}

const schema = `
CREATE TABLE IF NOT EXISTS records (
	rev   INTEGER PRIMARY KEY,
	key   TEXT NOT NULL UNIQUE,
	value BLOB NOT NULL          -- sealed
) STRICT;
CREATE TABLE IF NOT EXISTS latest (
	only INTEGER PRIMARY KEY CHECK (only = 1),
	rev  INTEGER NOT NULL        -- of the latest change, also of one that deleted
) STRICT;
INSERT OR IGNORE INTO latest VALUES (1, 0);`

// A Store is a store.Store on this machine's disk.
type Store struct {
	hub.Hub // the messages

	dir    string
	lock   *os.File
	writer *sql.DB // of one connection
	reader *sql.DB

	applies chan *apply
	stop    context.CancelFunc // of the committer
	done    chan struct{}      // closed when the committer has ended

	mu     sync.Mutex // guards what follows; held over each commit
	rev    store.Rev  // of the latest change
	feeds  map[*feed]struct{}
	health error
}

var _ store.Store = (*Store)(nil)

// Open opens the data directory dir, which is made if need be. It is refused
// if it is that of another kind of store, if another process uses it, or if it
// is damaged so far that SQLite does not open it. The caller closes the Store.
func Open(ctx context.Context, dir string) (_ *Store, err error) {
	s := &Store{
		dir:     dir,
		applies: make(chan *apply),
		done:    make(chan struct{}),
		feeds:   make(map[*feed]struct{}),
	}
	if s.lock, err = claim(dir); err != nil {
		return nil, lonja.E(lonja.LocalFile, "open data directory", err)
	}
	if err := s.openDatabase(ctx); err != nil {
		s.closeFiles()
		return nil, failure("open data directory", err)
	}
	ctx, s.stop = context.WithCancel(context.Background())
	go s.commit(ctx)
	return s, nil
}

// claim makes sure that dir is ours, and returns the lock on it.
func claim(dir string) (lock *os.File, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err = os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("%s is in use by another process", dir)
	}
	path := filepath.Join(dir, kindFile)
	switch found, err := os.ReadFile(path); {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join(dir, databaseFile)); err == nil {
			return nil, fmt.Errorf("%s is missing beside a %s: this is not a whole data directory", path, databaseFile)
		}
		return lock, writeSynced(path, kind)
	case err != nil:
		return nil, err
	case string(found) != kind:
		return nil, fmt.Errorf("%s belongs to a %q store, not to a local one", dir, strings.TrimSpace(string(found)))
	}
	return lock, nil
}

// writeSynced writes a small file so that a power cut leaves it whole or not
// there.
func writeSynced(path, content string) error {
	temp := path + ".new"
	file, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (s *Store) openDatabase(ctx context.Context) (err error) {
	name := "file:" + (&url.URL{Path: filepath.Join(s.dir, databaseFile)}).EscapedPath() + "?" + settings.Encode()
	if s.writer, err = sql.Open("sqlite", name); err != nil {
		return err
	}
	s.writer.SetMaxOpenConns(1)
	if _, err := s.writer.ExecContext(ctx, schema); err != nil {
		return err
	}
	if err := s.writer.QueryRowContext(ctx, "SELECT rev FROM latest").Scan(&s.rev); err != nil {
		return err
	}
	// The files have names of their own now: their directory must be on disk
	// before anything in them counts.
	if err := syncDir(s.dir); err != nil {
		return err
	}
	s.reader, err = sql.Open("sqlite", name+"&mode=ro")
	return err
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.Hub.Close()
	s.stop()
	<-s.done
	return s.closeFiles()
}

func (s *Store) closeFiles() error {
	var errs []error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.Close())...)
}
