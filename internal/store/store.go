// Package store is the small interface between the rules of a directory and
// the engine that keeps their state: an ordered log of changes to keys.
//
// It holds the words and the encoding of records. The engines are
// implementations of Store, each in a package of its own; package storetest is
// the contract that all of them pass. No code above knows which one it is on.
package store

import (
	"context"
	"errors"
)

// A Key names a record. It is made of what every engine takes, the letters
// and digits of ASCII and -/_=. , and has 1 to MaxKey bytes. Segment makes
// parts of keys of any bytes.
type Key string

// Limits, in bytes but for MaxBatch, which counts changes.
const (
	MaxKey   = 1024
	MaxValue = 64 << 10
	MaxBatch = 1000
	// MaxMessage bounds what Publish sends.
	MaxMessage = 256 << 10
)

// A Rev is a position in the order of all changes; 0 is before the first.
type Rev uint64

// A Change is what Apply does to one key.
type Change struct {
	Key Key
	// Value is what the key stands for from now on. Nil deletes it.
	Value []byte
	// Expect is the revision of the key's latest change, or 0 if the key must
	// stand for nothing.
	Expect Rev
}

// An Event is one change as a feed tells it: Value is nil for a key that was
// deleted. Value belongs to the receiver.
type Event struct {
	Key   Key
	Value []byte
	Rev   Rev
}

// ErrIncomplete is in the error, of kind Damaged, of a feed that has told all
// that is there, each of it whole, when that is not all that was written.
var ErrIncomplete = errors.New("records are missing")

// A Store keeps records and tells their changes in order. All methods may be
// called by any number of goroutines at once.
//
// Errors are *lonja.Error, of kind Conflict for an expectation that did not
// hold, Unavailable for an engine that cannot be reached or cannot write now,
// Damaged for data that cannot be right, Invalid for keys and values over
// their limits, Canceled when ctx ended.
type Store interface {
	// Apply does all changes of a batch of up to MaxBatch different keys, or
	// none of them, and returns the revision of the last. When it returns nil
	// they survive any crash, kill -9 and loss of power among them. After an
	// error of kind Unavailable or Canceled they may have been done or not;
	// the feed tells.
	Apply(ctx context.Context, batch []Change) (Rev, error)

	// Feed calls tell for the latest change of each key that stands for
	// something, in the order of revisions, then for each further change as it
	// happens, until ctx ends or tell fails; it returns tell's error. A value
	// that was replaced before it was told may be left out, a deletion not.
	// Calls of tell follow one another. Events without a key only say how far
	// the feed has come, and that it has told all until then; one of them ends
	// what the feed begins with. After an error of kind Unavailable or Damaged
	// another feed may do better.
	Feed(ctx context.Context, tell func(Event) error) error

	// Barrier returns a revision that no change comes after which any node had
	// had acknowledged when Barrier was called: a feed that has told it has
	// told everything until then.
	Barrier(ctx context.Context) (Rev, error)

	// Purge forgets the records whose keys begin with prefix. They must have
	// become meaningless: the feed does not tell it.
	Purge(ctx context.Context, prefix Key) error

	// Publish sends a message to all that subscribe to subject at this moment,
	// on every node, this one among them. It is not kept: who is not reached
	// now never gets it. Messages of one publisher arrive in order. A subject
	// is a Segment, or several with '.' between them; a message has at most
	// MaxMessage bytes.
	Publish(ctx context.Context, subject string, message []byte) error

	// Subscribe calls tell for each message published to subject, until ctx
	// ends, and returns an error of kind Canceled then. ready is called once
	// the subscription holds: it hears what is published through this Store
	// from then on. What other nodes publish it hears as soon as their servers
	// know of it, some milliseconds later, and there is no sign of that: who
	// must not miss anything says again what matters. Calls of tell follow one
	// another; who is too slow loses messages. A message belongs to the
	// receiver.
	Subscribe(ctx context.Context, subject string, ready func(), tell func(message []byte)) error

	// Health reports nil, or why the engine cannot be written or read now.
	Health() error

	// Close ends the calls that are under way and gives the engine up.
	Close() error
}
