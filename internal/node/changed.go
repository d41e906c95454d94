package node

import (
	"context"
	"log/slog"
	"os"
	"time"

	"lonja"
	"lonja/internal/hashing"
)

// A suspect is a content whose file was found to be another by now: by its size or
// its time or, if so hashed, though those are what they were.
type suspect struct {
	id     lonja.FileID
	hashed bool
}

// mostSuspects bounds those that wait to be looked at. More are found again when
// somebody asks for them again.
const mostSuspects = 64

// changed is told by fileserver that a file is not any more what was published.
func (m *membership) changed(id lonja.FileID) { m.suspect(suspect{id: id}) }

func (m *membership) suspect(s suspect) {
	select {
	case m.suspects <- s:
	default:
	}
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
	var differs func(*os.File) bool
	if s.hashed {
		differs = func(f *os.File) bool {
			// What was known of the file is corrected by this, too.
			held, err := m.hashAnew(ctx, f, hashing.Options{})
			return err == nil && held.ID != s.id
		}
	}
	names, err := m.files.WithdrawChanged(s.id, differs)
	if err != nil {
		m.opts.Log.Warn("that a file is published no more is not remembered", slog.Any("user", m.user), slog.Any("error", err))
	}
	ctx, cancel := context.WithTimeout(ctx, delistPatience)
	defer cancel()
	for _, name := range names {
		m.opts.Log.Warn("a file has changed since it was published, so it is published no more: publish it again, as it is now",
			slog.Any("user", m.user), slog.Any("name", name))
		if err := m.delist(ctx, m.user, m.files, name); err != nil {
			m.opts.Log.Debug("the directory will be told later", slog.Any("name", name), slog.Any("error", err))
		}
	}
}
