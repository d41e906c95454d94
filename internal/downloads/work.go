package downloads

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"lonja"
)

// DefaultMost is how many downloads one process works off at once.
const DefaultMost = 3

// WorkOptions say how a list is worked off. Fetch must be set; what is zero gets the
// value in parentheses.
type WorkOptions struct {
	Most    int           // downloads at once (DefaultMost)
	Look    time.Duration // how often the list is looked at (1 s)
	Backoff Backoff
	// Mine reports whether a download is for this process; nil: each is.
	Mine func(Download) bool
	// Fetch fetches a download, and returns how many bytes are here in the end. It
	// keeps to r.Context, and may call r.Tell.
	Fetch func(r *Active) (received int64, err error)
	// Ended, if set, is told what came of a download: its state, "" if it was
	// canceled. It is called by several goroutines at once.
	Ended func(d Download, state State, err error)
	// UntilEmpty has Work return when nothing is left to be fetched.
	UntilEmpty bool
	Log        *slog.Logger // nil for none
}

// Work fetches what is queued, and what was interrupted, those of the highest
// priority first, until ctx ends: then what is being fetched is queued again. What
// fails is tried again after a while if the cause may be gone by then, as Passing
// says. The error is of kind LocalFile, for UntilEmpty only: otherwise a list that
// cannot be read is looked at again.
func (l *List) Work(ctx context.Context, o WorkOptions) error {
	o.Most, o.Look = cmp.Or(o.Most, DefaultMost), cmp.Or(o.Look, time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	w := &worker{List: l, WorkOptions: o, ended: make(chan struct{}, o.Most)}
	defer w.fetching.Wait()
	look := time.NewTicker(o.Look)
	defer look.Stop()
	for ctx.Err() == nil {
		left, err := w.look(ctx)
		switch {
		case err != nil && o.UntilEmpty:
			return err
		case err != nil:
			o.Log.Warn("the list of downloads cannot be read", slog.Any("error", err))
		case left == 0 && o.UntilEmpty:
			return nil
		}
		select {
		case <-ctx.Done():
		case <-w.ended:
			w.busy--
		case <-look.C:
		}
	}
	return nil
}

type worker struct {
	*List
	WorkOptions
	fetching sync.WaitGroup
	busy     int           // of one goroutine
	ended    chan struct{} // one for each download that has
}

// look begins what is due, and returns how many are left that are being fetched here
// or will be.
func (w *worker) look(ctx context.Context) (left int, err error) {
	all, err := w.All()
	if err != nil {
		return 0, err
	}
	var mine []Download
	for _, d := range all {
		if (d.State == Queued || d.State == Interrupted) && (w.Mine == nil || w.Mine(d)) {
			mine = append(mine, d)
		}
	}
	for _, d := range Next(mine, time.Now(), w.Most-w.busy) {
		r, err := w.Claim(ctx, d.ID, Queued, Interrupted)
		if err != nil { // another process was faster, or it is gone
			w.Log.Debug("a download is not begun", slog.String("id", d.ID), slog.Any("error", err))
			continue
		}
		w.busy++
		w.fetching.Go(func() {
			w.fetch(r)
			w.ended <- struct{}{}
		})
	}
	return len(mine) + w.busy, nil
}

// fetch fetches one download and writes down what came of it.
func (w *worker) fetch(r *Active) {
	received, err := w.Fetch(r)
	o := Outcome{State: Done, Received: received}
	if err != nil {
		o = w.outcome(r, received, err)
	}
	state, failure := r.End(o)
	if failure != nil {
		w.Log.Warn("what came of a download is not written down", slog.String("id", r.ID), slog.Any("error", failure))
	}
	if w.Ended != nil {
		w.Ended(r.Download, state, err)
	}
}

// outcome is what an error makes of a download.
func (w *worker) outcome(r *Active, received int64, err error) Outcome {
	switch {
	case r.ctx.Err() != nil && (errors.Is(err, lonja.Canceled) || errors.Is(err, context.Canceled)):
		return Outcome{State: Queued, Received: received} // for the next process
	case Passing(err):
		tries := r.Tries + 1
		if received > r.Received {
			tries = 1
		}
		return Outcome{State: Queued, Err: err, Received: received, Again: time.Now().Add(w.Backoff.After(tries))}
	}
	return Outcome{State: Failed, Err: err, Received: received}
}
