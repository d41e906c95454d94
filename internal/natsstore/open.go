// Package natsstore is a store.Store on a NATS JetStream cluster that others
// run: three replicas of everything, and every write synced, so that the
// directory outlives any one machine. Any number of nodes use it at once.
//
// All records are one stream, with a subject for each key and one message for
// each subject; a revision is the sequence of a message. Apply is compare and
// set on a subject's last sequence, Feed a reader of the stream from its
// beginning.
package natsstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"lonja"
	"lonja/internal/datadir"
	"lonja/internal/store"
)

// DefaultName names the stream if Options do not.
const DefaultName = "lonja"

// Options say which cluster to use and how to get at it.
type Options struct {
	// Servers are the URLs of nodes of the cluster, nats:// or tls://, with
	// commas between them. They may hold user and password.
	Servers string
	// Credentials is the path of a .creds file, or empty.
	Credentials string
	// CA is the path of the certificates that servers are checked with; Cert
	// and Key are our own, if servers ask for one. Each may be empty.
	CA, Cert, Key string
	// Name is that of the directory: its stream, and where its subjects begin.
	// Letters, digits, - and _; empty is DefaultName. Nodes of one directory
	// have the same, other directories on the cluster have others.
	Name string
	// Dir takes what this node remembers of the cluster, so that it notices
	// when the cluster has lost what it had acknowledged. Each node has its own.
	Dir string
	// AllowUnsafe lets the store run, with a warning, on a cluster that may
	// lose what it acknowledges.
	AllowUnsafe bool
	// Waiting, if set, has Open wait, until its ctx ends, for a cluster that is
	// away or elects: whoever restarts everything does so in any order. It is
	// told each time why it is waited for, and must not block.
	Waiting func(reason error)
	// Log may be nil.
	Log *slog.Logger
}

// A Store is a store.Store on a cluster.
type Store struct {
	name        string
	allowUnsafe bool
	log         *slog.Logger
	waiting     func(reason error) // nil: Open gives up
	dir         *datadir.Dir
	conn        *nats.Conn
	js          jetstream.JetStream

	nonces struct {
		base  nonce
		count atomic.Uint64
	}
	batches chan struct{} // a place in it for each batch under way

	created time.Time     // when the stream was: another one is not ours
	highest atomic.Uint64 // the highest sequence that is known to be kept

	ctx    context.Context // ends with the Store; see under
	stop   context.CancelFunc
	keeper sync.WaitGroup
	closed sync.Once

	mu      sync.Mutex      // guards what follows
	trouble error           // of the latest write that was tried
	damage  error           // once set, nothing is done any more
	unsafe  error           // why the cluster may lose what it acknowledges
	short   map[string]bool // replicas that were found to leave records out
	said    string          // what the log was last told of the connection
}

var _ store.Store = (*Store)(nil)

// maxBatches bounds the batches of this node that are under way: the cluster
// takes 50 of one stream at a time.
const maxBatches = 12

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Open connects to the cluster and makes the stream if there is none. It is
// refused, with the reason, if the cluster may lose what it acknowledges, if it
// has lost something that this node has seen, if it does not let us in, or if
// Dir is of another kind of store or of another cluster's directory. An error
// of kind Unavailable means that the cluster is away: at once if there is none
// of its servers, after half a minute if they are too few; see Options.Waiting.
// The caller closes the Store.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if !nameForm.MatchString(o.Name) {
		return nil, lonja.E(lonja.Invalid, "open store", fmt.Errorf("a directory cannot be called %q", o.Name))
	}
	s := &Store{
		name:        o.Name,
		allowUnsafe: o.AllowUnsafe,
		log:         o.Log,
		waiting:     o.Waiting,
		batches:     make(chan struct{}, maxBatches),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.nonces.base = nonceBase()
	s.ctx, s.stop = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	if s.dir, err = datadir.Claim(o.Dir, "cluster:"+o.Name, seenFile); err != nil {
		return nil, lonja.E(lonja.LocalFile, "open data directory", err)
	}
	if err := s.connect(ctx, o); err != nil {
		return nil, err
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		return nil, lonja.E(lonja.Invalid, "open store", err)
	}
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	s.keeper.Go(s.keep)
	return s, nil
}

// begin makes sure of the stream.
func (s *Store) begin(ctx context.Context) error {
	if need, has := int64(maxMessage), s.conn.MaxPayload(); has < need {
		return lonja.E(lonja.Invalid, "open store", fmt.Errorf("the servers take messages of %d bytes only: set max_payload to at least %d", has, need))
	}
	for {
		err := s.tryBegin(ctx)
		if ctx.Err() != nil {
			return lonja.E(lonja.Canceled, "open store", ctx.Err())
		}
		if s.waiting == nil || !errors.Is(err, lonja.Unavailable) {
			return err
		}
		s.wait(err)
	}
}

func (s *Store) tryBegin(ctx context.Context) error {
	ctx, end := s.under(ctx, openPatience)
	defer end()
	if err := s.openStream(ctx); err != nil {
		return err
	}
	if err := s.checkSafety(ctx); err != nil {
		return err
	}
	if _, err := s.mark(ctx); err != nil {
		return s.failure(context.Background(), "open store", err)
	}
	return nil
}

// wait tells why Open waits.
func (s *Store) wait(reason error) {
	if s.waiting == nil {
		return
	}
	if e, ok := errors.AsType[*lonja.Error](reason); ok && e.Err != nil {
		reason = e.Err // that it is opened is known
	}
	s.waiting(printable(reason))
}

// maxMessage is what the servers must take: a message to other nodes, or a
// record with what comes around it.
const maxMessage = max(store.MaxMessage, store.MaxValue) + 4096

// openPatience bounds what Open waits for: a cluster that starts, or elects.
const openPatience = 30 * time.Second

// Close implements store.Store.
func (s *Store) Close() (err error) {
	s.closed.Do(func() { err = s.close() })
	return err
}

func (s *Store) close() error {
	s.stop()
	s.keeper.Wait()
	if s.conn != nil {
		s.conn.Close()
	}
	if s.dir == nil {
		return nil
	}
	var err error
	if !s.created.IsZero() {
		err = s.saveSeen()
	}
	return errors.Join(err, s.dir.Close())
}

// under returns a context that ends with ctx, with the Store, or after
// patience. The caller calls end.
func (s *Store) under(ctx context.Context, patience time.Duration) (_ context.Context, end func()) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

var errClosed = lonja.E(lonja.Unavailable, "store", errors.New("it is closed"))

// usable reports why nothing can be done.
func (s *Store) usable(ctx context.Context, op string) error {
	if s.ctx.Err() != nil {
		return errClosed
	}
	if ctx.Err() != nil {
		return lonja.E(lonja.Canceled, op, ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damage
}

// failure gives err, of an attempt under a caller's ctx, its kind.
func (s *Store) failure(ctx context.Context, op string, err error) error {
	if known := s.usable(ctx, op); known != nil {
		return known
	}
	if e, ok := errors.AsType[*lonja.Error](err); ok {
		return e
	}
	if away := s.connected(); away != nil {
		err = away // says more than what became of this attempt
	}
	return lonja.E(lonja.Unavailable, op, printable(err))
}

// printable is err in words that are safe to show: the cluster's are others'.
func printable(err error) error {
	return errors.New(lonja.Printable(strings.TrimPrefix(err.Error(), "nats: ")))
}

// Health implements store.Store.
func (s *Store) Health() error {
	if s.ctx.Err() != nil {
		return errClosed
	}
	if err := s.connected(); err != nil {
		return lonja.E(lonja.Unavailable, "cluster", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, err := range []error{s.damage, s.trouble, s.unsafe} {
		if err != nil {
			return err
		}
	}
	return nil
}

// tried keeps what came of a write, for Health.
func (s *Store) tried(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = err
}

// damaged ends the use of a cluster that has lost what this node has seen, and
// returns the error that says so.
func (s *Store) damaged(what error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.damage == nil {
		s.damage = lonja.E(lonja.Damaged, "cluster", what)
		s.log.Error("the cluster has lost data", "error", s.damage)
	}
	return s.damage
}
