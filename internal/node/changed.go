package node

import (
	"context"
	"log/slog"
	"time"

	"lonja"
)

// mostChanged bounds the contents that wait to be withdrawn. More are found again
// when somebody asks for them again.
const mostChanged = 64

// hasChanged takes down that a file is not any more what was published.
func (m *membership) hasChanged(id lonja.FileID) {
	select {
	case m.changed <- id:
	default:
	}
}

// changedTimeout bounds the telling of the directory that a file is published no
// more. It is told later, if it cannot be told now.
const changedTimeout = 10 * time.Second

// withdrawChanged publishes no more what has changed, until ctx ends.
func (m *membership) withdrawChanged(ctx context.Context) error {
	for {
		select {
		case id := <-m.changed:
			m.withdrawContent(ctx, id)
		case <-ctx.Done():
			return nil
		}
	}
}

// withdrawContent publishes no more those files with that content that are others
// by now, and says so.
func (m *membership) withdrawContent(ctx context.Context, id lonja.FileID) {
	ctx, cancel := context.WithTimeout(ctx, changedTimeout)
	defer cancel()
	names, err := m.files.WithdrawChanged(id)
	for _, name := range names {
		m.opts.Log.Warn("a file has changed since it was published, so it is published no more: publish it again, as it is now",
			slog.Any("user", m.user), slog.Any("name", name))
		if err := m.delist(ctx, m.user, m.files, name); err != nil {
			m.opts.Log.Debug("the directory will be told later", slog.Any("name", name), slog.Any("error", err))
		}
	}
	if err != nil {
		m.opts.Log.Warn("that a file is published no more is not remembered", slog.Any("user", m.user), slog.Any("error", err))
	}
}
