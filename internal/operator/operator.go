// Package operator holds the words between a directory and whoever runs it:
// what an operator may ask of a running directory, and how the answers look as
// JSON.
//
// It is the interface only. Package directory implements it, package admin
// serves it over HTTP, and lonja admin speaks to that.
package operator

import (
	"context"
	"io"
	"iter"

	"lonja"
)

// A Directory is what an operator may ask of one. All methods may be called by
// any number of goroutines at once, and beside the users' operations, which
// none of them holds up.
//
// Errors are *lonja.Error. Beside the kinds that the methods name they are
// Unavailable for a store that cannot be read or written now, Canceled when
// ctx ended, LocalFile or Unavailable for a reader or writer that failed.
type Directory interface {
	// Accounts tells each account once, in an order of its own. Accounts that
	// are made or removed meanwhile may be told or not. After an error nothing
	// more is told.
	Accounts(ctx context.Context) iter.Seq2[Account, error]

	// Unregister removes the account, its presence and its publications, as
	// its owner could. NoSuchUser if there is none.
	Unregister(ctx context.Context, user lonja.UserName) error

	// Stats counts what the index holds. It is cheap: no store is asked, and
	// nothing is walked over.
	Stats() Stats

	// Export writes all accounts and publications, and invitations and revoked
	// keys, as JSON lines, for people,
	// for other programs, and for Import on another engine. Names that are not
	// UTF-8 are written as Text does. The last line says that it is the last.
	Export(ctx context.Context, w io.Writer) error

	// Import adds what an export holds and the directory does not: accounts
	// and publications that exist stay as they are and are counted as skipped,
	// so an import that was cut short may be repeated. Invalid, with the
	// line's number, for what is not an export or lacks its last line; what
	// came before is imported. The report counts it also beside an error.
	Import(ctx context.Context, r io.Reader) (ImportReport, error)

	// Backup writes every record as it is in the store, each with its
	// checksum, and an end mark, without which a copy is not whole. What is
	// written while it runs may be in it or not, as if it had been one moment
	// for each record. Damaged for a record that is not what was written.
	Backup(ctx context.Context, w io.Writer) error

	// Restore makes the directory, which must be empty, what a backup holds.
	// Conflict if it is not empty. Invalid for what is no backup, Damaged for
	// one that is cut short or not what was written; then a part of it is
	// restored, and the directory is to be thrown away.
	Restore(ctx context.Context, r io.Reader) error

	// Check reads every record of the store and compares it with its checksum
	// and with the index. What it finds wrong is in the report, not an error.
	Check(ctx context.Context) (CheckReport, error)

	Invitations

	// Ready returns nil if the index is complete and fed and the store can be
	// written; else why reads or writes are not possible now, for the operator.
	Ready() error
}

// An Account is what an operator sees of a user.
type Account struct {
	User         lonja.UserName
	Publications int // published files

	Connected bool
	At        lonja.Endpoint // valid while connected
}

// Stats count what the index of one node holds.
type Stats struct {
	Accounts     int `json:"accounts"`
	Publications int `json:"publications"`
	Connected    int `json:"connected"`  // accounts that are connected now
	BaseNames    int `json:"base_names"` // different ones, of all publications
	Words        int `json:"words"`      // different ones that a search can find

	// Applied is the store's revision up to which the index has everything.
	Applied uint64 `json:"applied"`
	// Lag is by how many revisions Applied is behind what the engine is known
	// to have: about how many changes of others are not seen here yet.
	Lag uint64 `json:"lag"`
}

// An ImportReport counts what an import did.
type ImportReport struct {
	Accounts     int `json:"accounts"`     // that were added
	Publications int `json:"publications"` // that were added
	Invitations  int `json:"invitations,omitempty"`
	Revocations  int `json:"revocations,omitempty"`
	Skipped      int `json:"skipped"` // of all these, what was there already
}

// MaxProblems bounds the problems that a CheckReport describes.
const MaxProblems = 100

// A CheckReport is what a check found.
type CheckReport struct {
	Records int `json:"records"` // of the store, that were read

	Damaged   int `json:"damaged"`   // records with a wrong checksum, or that cannot be read as what they should be
	Missing   int `json:"missing"`   // records of the store that the index lacks
	Extra     int `json:"extra"`     // entries of the index that the store lacks
	Different int `json:"different"` // entries that the index has otherwise than the store

	// Problems describes the first MaxProblems of what is counted above, fit
	// to be shown.
	Problems []string `json:"problems"`
}

// Wrong counts everything that the check found wrong.
func (r *CheckReport) Wrong() int { return r.Damaged + r.Missing + r.Extra + r.Different }
