// Package folderfetch fetches many small contents, those of the files of a folder,
// from all who have the folder.
//
// Each is one piece, and is checked against its FileID as soon as it is here. Many
// are asked for at once on each connection. A holder that sends something else is
// asked no more; one that breaks off, refuses or stalls comes back after a while,
// and what it was asked for is asked of others. Who is fetching the folder too is
// asked which of them it has, and for these. What is bigger than a piece, package
// swarm fetches.
//
// It knows nothing of directories, certificates and disks: node tells it who has
// the folder, and takes the files.
package folderfetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/tree"
)

// A Holder has the folder, or is fetching it too.
type Holder struct {
	User lonja.UserName
	Key  lonja.PublicKey // of the node: with User it tells holders apart
	// Dial connects to the holder, over TLS, and returns when the other side has
	// proved to be it. It is called by several goroutines at once.
	Dial func(ctx context.Context) (net.Conn, error)
	// Partial says that it has some of the files: it is asked which.
	Partial bool
}

func (h *Holder) id() lonja.Member { return lonja.Member{User: h.User, Key: h.Key} }

// A Wanted is a content of at most tree.PieceSize bytes.
type Wanted struct {
	ID    lonja.FileID
	Size  int64
	Entry uint32 // its number in the folder's list, from 0
}

// Options say how it is fetched. What is zero gets the value in parentheses.
type Options struct {
	// Put takes what has come and was checked: wanted(i). It is called by several
	// goroutines at once, for each once, and does not keep content. Its error ends all. It
	// must be set.
	Put func(i int, content []byte) error

	Folder       lonja.FileID   // by which a holder's queue, and what it has of the folder, is asked for
	Entries      int64          // how many the folder's list has; for holders that are Partial
	Name         lonja.FileName // of the folder, for messages
	ConnsEach    int            // connections to each holder at once (4)
	StallTimeout time.Duration  // for a holder that sends nothing (30 s)
	LeastPause   time.Duration  // before a holder is tried again (500 ms); then twice as long each time
	MostPause    time.Duration  // (30 s)
	Tries        int            // how often each is tried, in a row and in vain (3)
	// QueuePatience is how long it is waited for a holder in whose queue nothing moves
	// and of which nothing comes (10 min).
	QueuePatience time.Duration

	// Lied, if set, is told of a holder that sent something else, and is asked no
	// more.
	Lied func(user lonja.UserName, err error)
	Log  *slog.Logger // nil for none
}

func (o Options) withDefaults() Options {
	o.ConnsEach = cmp.Or(o.ConnsEach, 4)
	o.StallTimeout = cmp.Or(o.StallTimeout, 30*time.Second)
	o.LeastPause = cmp.Or(o.LeastPause, 500*time.Millisecond)
	o.MostPause = cmp.Or(o.MostPause, 30*time.Second)
	o.Tries = cmp.Or(o.Tries, 3)
	o.QueuePatience = cmp.Or(o.QueuePatience, 10*time.Minute)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Lied == nil {
		o.Lied = func(lonja.UserName, error) {}
	}
	return o
}

// A Fetch fetches what is wanted of one folder. Join, Leave, Expect, Place and
// Holders may be called by any number of goroutines at once, before, while and after
// it runs.
type Fetch struct {
	opts  Options
	queue *queue
	began time.Time

	// The queue's mu guards the rest, and what changes in holders.
	holders  map[lonja.Member]*holder
	running  func(*holder) // starts a holder while Run runs
	expected int           // who may still join
	failed   error         // why all of it must end
}

// New returns a Fetch of n contents, in the order of the folder's list: wanted says
// what each is, from 0 on, always the same; it is called by many goroutines at once. The error
// is of kind Internal for what is more than a piece.
func New(n int, wanted func(i int) Wanted, opts Options) (*Fetch, error) {
	for i := range n {
		if size := wanted(i).Size; size < 0 || size > tree.PieceSize {
			return nil, lonja.E(lonja.Internal, op, fmt.Errorf("%d bytes are not one piece", size))
		}
	}
	return &Fetch{opts: opts.withDefaults(), queue: newQueue(n, wanted), began: time.Now(), holders: make(map[lonja.Member]*holder)}, nil
}

// Join adds a holder. One that is there already may have a new way to be reached, or
// all of the folder now; one that was dropped because it lied stays dropped.
func (f *Fetch) Join(h Holder) {
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	if known := f.holders[h.id()]; known != nil {
		known.dial = h.Dial
		if known.partial && !h.Partial {
			known.partial, known.has = false, nil
			f.queue.wake()
		}
		return
	}
	entry := newHolder(h, f)
	f.holders[h.id()] = entry
	f.queue.sharers += 2 * f.opts.ConnsEach
	if f.running != nil {
		f.running(entry)
	}
}

// Leave takes a holder out that does not have the folder any more.
func (f *Fetch) Leave(user lonja.UserName, key lonja.PublicKey) {
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	id := lonja.Member{User: user, Key: key}
	if h := f.holders[id]; h != nil && !h.state.Lied {
		delete(f.holders, id)
		f.queue.sharers -= 2 * f.opts.ConnsEach
		h.leave()
		f.queue.wake()
	}
}

// Expect has Run not give up, whoever was tried in vain, until done is called:
// somebody may still join. Done may be called more than once.
func (f *Fetch) Expect() (done func()) {
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	f.expected++
	return sync.OnceFunc(func() {
		f.queue.mu.Lock()
		defer f.queue.mu.Unlock()
		f.expected--
		f.queue.wake()
	})
}

// Place says that this downloader is one of so many that fetch the folder now, and
// which one, from 0, in an order that all of them follow: so each begins with other
// files. An of of 0 is that nobody knows.
func (f *Fetch) Place(rank, of int) { f.queue.place(rank, of) }

// Run fetches all that is wanted, and returns nil when all was put. Otherwise the
// error tells what was tried if nobody sends the rest: its kind is Unavailable, or
// that of what is wrong with all holders; it is what Put says, or of kind Canceled.
// Run is called once.
func (f *Fetch) Run(ctx context.Context) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	group, running := errgroup.WithContext(running)
	f.queue.mu.Lock()
	f.running = func(h *holder) { h.run(running, group) }
	for _, h := range f.holders {
		f.running(h)
	}
	f.queue.mu.Unlock()
	err := f.watch(ctx)
	f.queue.mu.Lock()
	f.running = nil
	f.queue.mu.Unlock()
	cancel()
	_ = group.Wait() // each ends because of cancel
	return err
}

const op = "fetch"

// watch returns when there is nothing left to do, or nothing that can be done.
func (f *Fetch) watch(ctx context.Context) error {
	for {
		f.queue.mu.Lock()
		changed, failed, missing := f.queue.changed, f.failed, f.queue.missing
		if failed == nil && missing > 0 {
			failed = f.hopeless()
		}
		f.queue.mu.Unlock()
		if missing == 0 || failed != nil {
			return failed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &lonja.Error{Kind: lonja.Canceled, Op: op, File: f.opts.Name, Err: context.Cause(ctx)}
		}
	}
}

// fail ends all of it.
func (f *Fetch) fail(err error) {
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	if f.failed == nil {
		f.failed = err
		f.queue.wake()
	}
}

// errLacks is why nothing comes from a holder that is connected.
var errLacks = errors.New("it is fetching the folder too, and lacks what is missing here")

// hopeless returns the error for files that nobody sends; the queue's mu is held.
func (f *Fetch) hopeless() error {
	if f.expected > 0 {
		return nil
	}
	var tried []string
	var kinds []lonja.Kind
	for _, h := range f.holders {
		if h.hopeful() {
			return nil
		}
		err := cmp.Or[error](h.state.Err, lonja.E(lonja.NoHolder, "", errLacks))
		if h.stuck() {
			err = h.waiting.Err(f.opts.QueuePatience)
		}
		kinds = append(kinds, lonja.KindOf(err))
		tried = append(tried, fmt.Sprintf("%s: %v", lonja.Printable(string(h.User)), why(err)))
	}
	kind, text := lonja.Unavailable, fmt.Sprintf("nobody sends the %d files that are missing", f.queue.missing)
	if kinds = slices.Compact(slices.Sorted(slices.Values(kinds))); len(kinds) == 1 {
		kind = kinds[0]
	}
	slices.Sort(tried)
	text = strings.Join(append([]string{text}, tried...), "\n  ")
	return &lonja.Error{Kind: kind, Op: op, File: f.opts.Name, Err: errors.New(text)}
}

// why is what an error says beside its kind.
func why(err error) error {
	if e, ok := err.(*lonja.Error); ok && e.Op == "" && e.Err != nil {
		return e.Err
	}
	return err
}
