package bench

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// bareSettings are those of the store on test, but that SQLite itself copies its
// log into the database, after as many pages as the store does.
var bareSettings = url.Values{"_pragma": {
	"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "journal_size_limit(67108864)",
	"wal_autocheckpoint(1000)",
}}

const bareSchema = `CREATE TABLE records (rev INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL) STRICT`

// A bareLog is the limit of a store on SQLite: rows of the same shape, with the
// same syncs, and those that wait together in one transaction. It compares
// nothing, seals nothing and tells nobody.
type bareLog struct {
	db      *sql.DB // of one connection
	insert  *sql.Stmt
	rev     int64
	waiting chan *bareRow
	writing sync.WaitGroup
}

type bareRow struct {
	key   string
	value []byte
	err   chan error
}

// openBareLog makes a log in an existing directory.
func openBareLog(dir string) (_ *bareLog, err error) {
	l := &bareLog{waiting: make(chan *bareRow, bareGroup)}
	name := "file:" + (&url.URL{Path: filepath.Join(dir, "bare.db")}).EscapedPath() + "?" + bareSettings.Encode()
	if l.db, err = sql.Open("sqlite", name); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = l.db.Close()
		}
	}()
	l.db.SetMaxOpenConns(1)
	if _, err := l.db.Exec(bareSchema); err != nil {
		return nil, err
	}
	if l.insert, err = l.db.Prepare("INSERT INTO records VALUES (?, ?, ?)"); err != nil {
		return nil, err
	}
	l.writing.Go(l.commit)
	return l, nil
}

// bareGroup bounds the rows of one transaction, as the store does.
const bareGroup = 1000

func (l *bareLog) commit() {
	for first := range l.waiting {
		group := []*bareRow{first}
		for more := true; more && len(group) < bareGroup; {
			select {
			case row, open := <-l.waiting:
				if more = open; open {
					group = append(group, row)
				}
			default:
				more = false
			}
		}
		err := l.write(group)
		for _, row := range group {
			row.err <- err
		}
	}
}

func (l *bareLog) write(group []*bareRow) error {
	tx, err := l.db.Begin()
	if err != nil {
		return err
	}
	insert := tx.Stmt(l.insert)
	for _, row := range group {
		l.rev++
		if _, err := insert.Exec(l.rev, row.key, row.value); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// add returns when the row is on disk.
func (l *bareLog) add(_ context.Context, key string, value []byte) error {
	row := &bareRow{key, value, make(chan error, 1)}
	l.waiting <- row
	return <-row.err
}

// close is called when nobody adds any more.
func (l *bareLog) close() error {
	close(l.waiting)
	l.writing.Wait()
	return l.db.Close()
}
