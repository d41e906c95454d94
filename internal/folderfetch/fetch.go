// Package folderfetch fetches many small contents, those of the files of a folder,
// from all who have the folder.
//
// Each is one piece, and is checked against its FileID as soon as it is here. Many
// are asked for at once on each connection. A holder that sends something else is
// asked no more; one that breaks off, refuses or stalls comes back after a while,
// and what it was asked for is asked of others. What is bigger than a piece,
// package swarm fetches.
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
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/tree"
)

// A Holder has the folder.
type Holder struct {
	User lonja.UserName
	Key  lonja.PublicKey // of the node: with User it tells holders apart
	// Dial connects to the holder, over TLS, and returns when the other side has
	// proved to be it. It is called by several goroutines at once.
	Dial func(ctx context.Context) (net.Conn, error)
}

// A Wanted is a content of at most tree.PieceSize bytes.
type Wanted struct {
	ID   lonja.FileID
	Size int64
}

// Options say how it is fetched. What is zero gets the value in parentheses.
type Options struct {
	// Put takes what has come and was checked: wanted[i]. It is called by several
	// goroutines at once, for each once, and does not keep content. Its error ends all. It
	// must be set.
	Put func(i int, content []byte) error

	Name         lonja.FileName // of the folder, for messages
	ConnsEach    int            // connections to each holder at once (4)
	StallTimeout time.Duration  // for a holder that sends nothing (30 s)
	LeastPause   time.Duration  // before a holder is tried again (500 ms); then twice as long each time
	MostPause    time.Duration  // (30 s)
	Tries        int            // how often each is tried, in a row and in vain (3)

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
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Lied == nil {
		o.Lied = func(lonja.UserName, error) {}
	}
	return o
}

// A Result is what came of it.
type Result struct {
	From []lonja.UserName // whom contents came from, those who sent most first
}

// Fetch fetches all that is wanted, and returns nil when all was put. Otherwise the
// error tells what was tried if nobody sends the rest: its kind is Unavailable, or
// that of what is wrong with all holders; it is what Put says, or of kind Canceled.
func Fetch(ctx context.Context, holders []Holder, wanted []Wanted, opts Options) (Result, error) {
	for _, w := range wanted {
		if w.Size < 0 || w.Size > tree.PieceSize {
			return Result{}, lonja.E(lonja.Internal, op, fmt.Errorf("%d bytes are not one piece", w.Size))
		}
	}
	f := &fetch{opts: opts.withDefaults(), queue: newQueue(wanted, 2*len(holders)*opts.withDefaults().ConnsEach)}
	for _, h := range holders {
		f.holders = append(f.holders, &holder{Holder: h, fetch: f})
	}
	err := f.run(ctx)
	return f.result(), err
}

const op = "fetch"

// A fetch is one call of Fetch.
type fetch struct {
	opts    Options
	queue   *queue
	holders []*holder // what changes in them is guarded by the queue's mu
	failed  error     // likewise: why all of it must end
}

func (f *fetch) run(ctx context.Context) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	group, running := errgroup.WithContext(running)
	for _, h := range f.holders {
		h.run(running, group)
	}
	err := f.watch(ctx)
	cancel()
	_ = group.Wait() // each ends because of cancel
	return err
}

// watch returns when there is nothing left to do, or nothing that can be done.
func (f *fetch) watch(ctx context.Context) error {
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
func (f *fetch) fail(err error) {
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	if f.failed == nil {
		f.failed = err
		f.queue.wake()
	}
}

// hopeless returns the error for files that nobody sends; the queue's mu is held.
func (f *fetch) hopeless() error {
	var tried []string
	var kinds []lonja.Kind
	for _, h := range f.holders {
		if !h.lied && (h.conns > 0 || h.vain < f.opts.Tries) {
			return nil
		}
		kinds = append(kinds, lonja.KindOf(h.err))
		tried = append(tried, fmt.Sprintf("%s: %v", lonja.Printable(string(h.User)), why(h.err)))
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

func (f *fetch) result() (r Result) {
	slices.SortStableFunc(f.holders, func(a, b *holder) int { return cmp.Compare(b.brought, a.brought) })
	for _, h := range f.holders {
		if h.brought > 0 {
			r.From = append(r.From, h.User)
		}
	}
	return r
}
