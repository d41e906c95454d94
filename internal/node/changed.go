package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"lonja"
	"lonja/internal/hashing"
	"lonja/internal/share"
)

// A suspect is a content whose file may be another by now, as its size or its time
// tell or, if so hashed, though those are what they were.
type suspect struct {
	id     lonja.FileID
	hashed bool
	looked chan<- bool // is told whether something was withdrawn; or nil
}

// mostSuspects bounds those that wait to be looked at. More are found again when
// somebody asks for them again.
const mostSuspects = 64

// changed is told by fileserver that a file is not any more what was published.
func (m *membership) changed(id lonja.FileID) { m.suspect(suspect{id: id}) }

func (m *membership) suspect(s suspect) bool {
	select {
	case m.suspects <- s:
		return true
	default:
		return false
	}
}

// recheckPatience bounds how long somebody waits while a file is hashed again, who
// asks another time then.
const recheckPatience = 10 * time.Second

// recheck waits until a file that was touched is looked at. The error is of kind
// Conflict if it is another now, and of kind Limited if that takes too long.
func (m *membership) recheck(ctx context.Context, id lonja.FileID) error {
	looked := make(chan bool, 1)
	patience := time.NewTimer(recheckPatience)
	defer patience.Stop()
	if m.suspect(suspect{id: id, looked: looked}) {
		select {
		case withdrawn := <-looked:
			if withdrawn {
				return lonja.E(lonja.Conflict, "serve", errors.New("the file is not what was published"))
			}
			return nil
		case <-patience.C:
		case <-ctx.Done():
		}
	}
	return lonja.E(lonja.Limited, "serve", share.ErrTouched)
}

// withdrawChanged publishes no more what has changed, until ctx ends.
func (m *membership) withdrawChanged(ctx context.Context) error {
	for {
		select {
		case s := <-m.suspects:
			m.withdrawSuspect(ctx, s)
		case <-ctx.Done():
			return nil
		}
	}
}

// delistPatience bounds how long the directory is told that a file is published no
// more. It is told later, if it cannot be told now.
const delistPatience = 10 * time.Second

// withdrawSuspect publishes no more those files with that content that are others
// by now, and says so.
func (m *membership) withdrawSuspect(ctx context.Context, s suspect) {
	withdrawn, err := m.files.Recheck(s.id, func(f *os.File, touched bool) (lonja.FileID, bool) {
		hash := m.hash
		switch {
		case s.hashed: // what was known of the file is corrected by this, too
			hash = func(ctx context.Context, f *os.File, _ func(int64)) (hashing.Result, error) {
				return m.hashAnew(ctx, f, hashing.Options{})
			}
		case !touched:
			return lonja.FileID{}, false
		}
		held, err := hash(ctx, f, nil)
		return held.ID, err == nil
	})
	if s.looked != nil {
		s.looked <- len(withdrawn) > 0
	}
	if err != nil {
		m.opts.Log.Warn("what became of a file that has changed is not remembered", slog.Any("user", m.user), slog.Any("error", err))
	}
	ctx, cancel := context.WithTimeout(ctx, delistPatience)
	defer cancel()
	for _, name := range withdrawn {
		m.opts.Log.Warn("a file has changed since it was published, so it is published no more: publish it again, as it is now",
			slog.Any("user", m.user), slog.Any("name", name))
		if err := m.delist(ctx, m.user, m.files, name); err != nil {
			m.opts.Log.Debug("the directory will be told later", slog.Any("name", name), slog.Any("error", err))
		}
	}
}
