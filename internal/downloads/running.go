package downloads

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"lonja"
)

// Why the context of an Active ends; context.Cause tells.
var (
	ErrPaused   = errors.New("it was paused")
	ErrCanceled = errors.New("it was canceled")
)

// An Active is a download that this process fetches, and that no other process does
// until End.
type Active struct {
	Download // as it was when it was begun

	list    *List
	lock    *os.File
	control *control
	ctx     context.Context // of this one run
	stop    context.CancelCauseFunc
	status  atomic.Pointer[func() Status]
}

// Begin adds a download as Add does, and has this process fetch it at once. The
// caller calls End.
func (l *List) Begin(ctx context.Context, d Download) (r *Active, err error) {
	err = l.locked(func() error {
		if d, err = l.add(d); err != nil {
			return err
		}
		r, err = l.begin(ctx, d)
		return err
	})
	return r, err
}

// Claim has this process fetch a download of the list, which must be in one of these
// states: otherwise the error is of kind Conflict. The caller calls End.
func (l *List) Claim(ctx context.Context, id string, states ...State) (r *Active, err error) {
	err = l.locked(func() error {
		d, err := l.get(id)
		if err != nil {
			return gone(id, err)
		}
		if !slices.Contains(states, d.State) {
			return lonja.E(lonja.Conflict, "", fmt.Errorf("download %s is %s", d.ID, d.State))
		}
		r, err = l.begin(ctx, d)
		return err
	})
	return r, err
}

// begin locks a download and says so in its record; the list is locked. The record
// comes last: what a crash leaves before it is no download, or the one before.
func (l *List) begin(ctx context.Context, d Download) (_ *Active, err error) {
	if err := os.MkdirAll(l.dir(d.ID), 0o700); err != nil {
		return nil, failed("begin a download", err)
	}
	r := &Active{Download: d, list: l}
	if r.lock, err = tryLock(l.dir(d.ID), os.O_CREATE); err != nil {
		return nil, err
	}
	if r.lock == nil {
		return nil, conflict(d, "is being fetched already, as download %s")
	}
	r.ctx, r.stop = context.WithCancelCause(ctx)
	if r.control, err = openControl(l.dir(d.ID), r); err == nil {
		now := d
		now.State, now.Process, now.Error, now.Again = Running, os.Getpid(), "", time.Time{}
		if err = l.put(now); err == nil {
			return r, nil
		}
		r.control.withdraw()
		r.control.close(err)
	}
	r.stop(nil)
	_ = r.lock.Close()
	return nil, err
}

// Context returns what ends when the fetching is to end: with the context that it
// was begun with, or because a person says so.
func (r *Active) Context() context.Context { return r.ctx }

// Tell has status answer those who ask how it goes. It is called by several
// goroutines at once, until End returns.
func (r *Active) Tell(status func() Status) { r.status.Store(&status) }

// An Outcome is what came of fetching.
type Outcome struct {
	State    State     // Done, Failed, Paused, or Queued for another try
	Err      error     // why it is not Done
	Received int64     // bytes that are here
	Again    time.Time // if it is Queued: not before; zero for at once
}

// End writes down what came of it and lets others have the download. One that a
// person has paused or canceled meanwhile is that, whatever the outcome says, unless
// it is Done; of one that was canceled nothing is left. It returns the state that it
// is in now, "" if it is no more. What is fetched must be closed.
func (r *Active) End(o Outcome) (State, error) {
	err := r.list.locked(func() error {
		// Whoever says something from now on is told that it is too late.
		cause := context.Cause(r.ctx)
		r.stop(nil)
		if o.State != Done && errors.Is(cause, ErrPaused) {
			o = Outcome{State: Paused, Received: o.Received}
		}
		// Whoever has the list sees a lock and a socket, or neither.
		defer func() {
			r.control.withdraw()
			_ = r.lock.Close()
		}()
		d, err := r.list.get(r.ID)
		if err != nil {
			return gone(r.ID, err)
		}
		if d.State == Damaged {
			d = r.Download
		}
		if errors.Is(cause, ErrCanceled) {
			if o.State == Done {
				d.State = Done // it is the target now
			}
			o.State = ""
			return r.list.forget(d)
		}
		if tell := r.status.Load(); tell != nil && d.Folder {
			d.Size = (*tell)().Size // the record may have that of files which are not wanted
		}
		d.end(o)
		return r.list.put(d)
	})
	r.stop(nil) // also if the list could not be locked
	r.control.close(err)
	return o.State, err
}

// end is what an outcome makes of a record.
func (d *Download) end(o Outcome) {
	d.Tries++
	if o.Received > d.Received {
		d.Tries = 1
	}
	d.State, d.Received, d.Again, d.Error = o.State, o.Received, o.Again, ""
	if o.State == Done || o.State == Paused {
		d.Tries, d.Again = 0, time.Time{}
	}
	if o.Err != nil {
		d.Error = o.Err.Error()
	}
}

// Pause has a download wait for a person. If somebody fetches it, that has ended
// when Pause returns. The error is of kind Conflict if it is done.
func (l *List) Pause(id string) error {
	return l.whoever(id, wordPause, func(d Download) error {
		if d.State == Done {
			return conflict(d, "is there already: download %s is done")
		}
		d.State, d.Tries, d.Again = Paused, 0, time.Time{}
		return l.put(d)
	})
}

// Cancel removes a download from the list, and what has come of it. The target of
// one that is done stays. Of one whose record is damaged, it is not known where the
// parts are.
func (l *List) Cancel(id string) error { return l.whoever(id, wordCancel, l.forget) }

// whoever has the process do something that fetches a download, or if none does, does
// it here, while the list is locked.
func (l *List) whoever(id string, tell word, do func(Download) error) error {
	const tries = 10 // each fails only because another process has begun or ended just then
	for range tries {
		held := false
		err := l.locked(func() error {
			d, err := l.get(id)
			if err != nil {
				return gone(id, err)
			}
			if held = d.State == Running; held {
				return nil
			}
			if d.State == Damaged && tell != wordCancel {
				return lonja.E(lonja.Damaged, "", errors.New(d.Error))
			}
			return do(d)
		})
		if err != nil || !held {
			return err
		}
		if _, err = ask(l.dir(id), tell); !errors.Is(err, errNobody) {
			return err
		}
	}
	return lonja.E(lonja.Unavailable, "", fmt.Errorf("download %s is begun and ended again and again", id))
}

// StatusOf asks the process that fetches a download how it goes. False if none does.
func (l *List) StatusOf(id string) (Status, bool, error) {
	a, err := ask(l.dir(id), wordStatus)
	if errors.Is(err, errNobody) {
		return Status{}, false, nil
	}
	if err != nil || a.Status == nil {
		return Status{}, false, err
	}
	return *a.Status, true, nil
}
