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
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite" // also the driver "sqlite"

	"lonja"
	"lonja/internal/datadir"
	"lonja/internal/store"
	"lonja/internal/store/hub"
)

// The files of a data directory, but for those that SQLite adds and LOCK.
const (
	databaseFile = "directory.db"
	kindFile     = datadir.KindFile
)

// kind is that of this package's directories.
const kind = "local"

// settings: WAL with FULL syncs the log at each commit. NORMAL was seen to
// lose acknowledged writes in power cuts.
var settings = url.Values{"_pragma": {
	"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "journal_size_limit(67108864)",
	"wal_autocheckpoint(0)", "cell_size_check(ON)",
}}

const schema = `
CREATE TABLE IF NOT EXISTS records (
	rev   INTEGER PRIMARY KEY,
	key   TEXT NOT NULL UNIQUE,
	value BLOB NOT NULL          -- sealed
) STRICT;
CREATE TABLE IF NOT EXISTS latest (
	only  INTEGER PRIMARY KEY CHECK (only = 1),
	rev   INTEGER NOT NULL,      -- of the latest change, also of one that deleted
	proof BLOB                   -- sealed; NULL if there is none yet
) STRICT;
INSERT OR IGNORE INTO latest (only, rev) VALUES (1, 0);`

// hasProof and addProof bring the databases of versions up to date that kept no
// proof. Those versions then fail to open them, as they must: they would change
// the records and not the proof.
const (
	hasProof = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('latest') WHERE name = 'proof')"
	addProof = "ALTER TABLE latest ADD COLUMN proof BLOB"
)

// A Store is a store.Store on this machine's disk.
type Store struct {
	hub.Hub // the messages

	dir        string
	log        *slog.Logger
	claim      *datadir.Dir
	statements statements
	writer     *sql.DB // of one connection, that nothing interrupts: it must stay the same
	reader     *sql.DB
	held       []*os.File // the database and its log, see hold

	applies chan *apply
	stop    context.CancelFunc // of the committer
	done    chan struct{}      // closed when the committer has ended

	fed          chan struct{} // closed when a feed has told what is in the database
	fedOnce      sync.Once
	inspecting   sync.WaitGroup
	inspectAgain time.Duration
	checks       sync.Mutex    // held over a check of the trees: one at a time
	suspicions   chan struct{} // has a value when damage is suspected

	commits   sync.Mutex // guards what follows; held over each commit, so that feeds begin between two
	feeds     map[*feed]struct{}
	doubt     *outcome // of the transaction that failed, until it is known
	unchecked int      // frames, about, since the last checkpoint
	maxFrames int      // of the log, beside feeds that read their rows
	interrupt func()   // ends a check of the trees, which also holds the log; nil before the first

	mu        sync.Mutex // guards what follows; held for a moment
	proof     proof      // of the records, as of the latest change
	health    error
	suspected bool      // damage, by an error that may be one of reading
	failedAt  time.Time // when health was last nil
}

var _ store.Store = (*Store)(nil)

// Open opens the data directory dir, which is made if need be. It is refused
// if it is that of another kind of store, if another process uses it, or, with
// kind Damaged, if its database is gone or older than it was. The caller closes
// the Store.
//
// A feed tells that its beginning is over only if it has told all records that
// were written, as they were. What feeds do not read is checked once the first
// of them has come that far; if that is damaged, Health says so from then on,
// and no change is made any more.
func Open(ctx context.Context, dir string) (*Store, error) {
	return OpenLogged(ctx, dir, slog.New(slog.DiscardHandler))
}

// OpenLogged is Open for a Store that tells log when its disk begins to fail,
// and when that is over.
func OpenLogged(ctx context.Context, dir string, log *slog.Logger) (_ *Store, err error) {
	s := &Store{
		dir:     dir,
		log:     log,
		applies: make(chan *apply),
		done:    make(chan struct{}),
		fed:     make(chan struct{}),

		suspicions: make(chan struct{}, 1),
		feeds:      make(map[*feed]struct{}),
		maxFrames:  maxFrames, inspectAgain: inspectAgain,
	}
	if s.claim, err = datadir.Claim(dir, kind, databaseFile); err != nil {
		return nil, lonja.E(lonja.LocalFile, "open data directory", err)
	}
	if err := s.claim.Mark(); err != nil {
		_ = s.claim.Close()
		return nil, lonja.E(lonja.LocalFile, "open data directory", err)
	}
	if err := s.openDatabase(ctx); err != nil {
		s.closeFiles()
		return nil, failure("open data directory", s.named(err))
	}
	ctx, s.stop = context.WithCancel(context.Background())
	s.inspecting.Go(func() { s.inspect(ctx) })
	go s.commit(ctx)
	return s, nil
}

func (s *Store) openDatabase(ctx context.Context) (err error) {
	path := filepath.Join(s.dir, databaseFile)
	seen, err := prepareFiles(path)
	if err != nil {
		return err
	}
	name := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + settings.Encode()
	if s.writer, err = sql.Open("sqlite", name); err != nil {
		return err
	}
	s.writer.SetMaxOpenConns(1)
	proven, err := s.openTables(ctx)
	if err != nil {
		return err
	}
	if s.proof.rev < seen {
		return damaged("open", fmt.Errorf("%s ends with revision %d, and had %d before", path, s.proof.rev, seen))
	}
	if err := s.hold(path); err != nil {
		return err
	}
	if err := s.inspectFirst(ctx, proven); err != nil {
		return err
	}
	// The files have names of their own now: their directory must be on disk
	// before anything in them counts.
	if err := errors.Join(datadir.Sync(s.dir), s.noteSeen()); err != nil {
		return err
	}
	if s.statements, err = prepare(ctx, s.writer); err != nil {
		return err
	}
	if s.reader, err = sql.Open("sqlite", name+"&mode=ro"); err != nil {
		return err
	}
	// Whoever reads all records wants to know what is in the file: not what a
	// connection has remembered of it since before it was damaged.
	s.reader.SetMaxIdleConns(-1)
	return nil
}

// openTables makes the tables, if need be, and reads the proof; proven is false
// if there is none.
func (s *Store) openTables(ctx context.Context) (proven bool, err error) {
	if _, err := s.writer.ExecContext(ctx, schema); err != nil {
		return false, err
	}
	var has bool
	if err := s.writer.QueryRowContext(ctx, hasProof).Scan(&has); err != nil {
		return false, err
	}
	if !has {
		if _, err := s.writer.ExecContext(ctx, addProof); err != nil {
			return false, err
		}
	}
	s.proof, proven, err = readProof(ctx, s.writer)
	return proven, err
}

// named adds to an error of SQLite's what it does not say: which files it is
// about.
func (s *Store) named(err error) error {
	if _, ok := errors.AsType[*sqlite.Error](err); !ok {
		return err
	}
	return fmt.Errorf("%s: %w", filepath.Join(s.dir, databaseFile), err)
}

// Close implements store.Store.
func (s *Store) Close() (err error) {
	s.Hub.Close()
	s.stop()
	<-s.done
	s.inspecting.Wait()
	if s.Health() == nil {
		err = s.noteSeen()
	}
	return errors.Join(err, s.closeFiles())
}

func (s *Store) closeFiles() error {
	var errs []error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	for _, file := range s.held {
		errs = append(errs, file.Close())
	}
	return errors.Join(append(errs, s.claim.Close())...)
}
