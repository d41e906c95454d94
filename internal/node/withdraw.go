package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"lonja"
	"lonja/internal/share"
)

// withdraw publishes no more what typed stands for, and returns those names. What
// is not published from here, and listed by exactly that name, is listed no more
// either: another device published it, or somebody did in the classic protocol,
// where names may be paths, before the name was claimed.
func (d *secureDialect) withdraw(ctx context.Context, user lonja.UserName, files *share.Set, typed string) ([]lonja.FileName, error) {
	names, err := publishedNames(files, typed)
	if exact := lonja.FileName(typed); !slices.Contains(names, exact) && !anyKnown(files, names) && canBeListed(exact) {
		if err := d.Directory.Delete(ctx, user, exact); !errors.Is(err, lonja.NotPublished) {
			return []lonja.FileName{exact}, err
		}
	}
	if err != nil {
		return nil, err
	}
	return names, d.withdrawNames(ctx, user, files, names...)
}

// anyKnown reports whether one of the names is published from here, or was until the
// directory could not be told.
func anyKnown(files *share.Set, names []lonja.FileName) bool {
	return slices.ContainsFunc(names, func(name lonja.FileName) bool {
		return files.Contains(name) || files.IsWithdrawn(name)
	})
}

// canBeListed reports whether a directory can list the name, in either dialect.
func canBeListed(name lonja.FileName) bool {
	_, classic := lonja.ParseFileName(string(name))
	_, secure := lonja.ParsePublishedName(string(name))
	return classic == nil || secure == nil
}

// withdrawNames publishes no more what has these names. What is served here ends
// at once, whatever the directory says: if it cannot be told now, it is told later.
func (d *secureDialect) withdrawNames(ctx context.Context, user lonja.UserName, files *share.Set, names ...lonja.FileName) error {
	var errs []error
	ours := make([]bool, len(names))
	for i, name := range names {
		if files.Contains(name) {
			ours[i] = true
			errs = append(errs, files.Withdraw(name))
		}
	}
	for i, name := range names {
		if !ours[i] && !files.IsWithdrawn(name) {
			errs = append(errs, d.Directory.Delete(ctx, user, name))
			continue
		}
		if err := d.delist(ctx, user, files, name); err != nil {
			errs = append(errs, &lonja.Error{
				Kind: lonja.KindOf(err), Op: "unpublish", User: user, File: name,
				Err: fmt.Errorf("it is served no more, and the directory will be told: %w", err),
			})
		}
	}
	return errors.Join(errs...)
}

// delist has the directory list a name no more that was withdrawn, and forgets
// that it was; unless it is published again, or the directory has been told
// already: others do this too.
func (d *secureDialect) delist(ctx context.Context, user lonja.UserName, files *share.Set, name lonja.FileName) error {
	d.publishing.Lock()
	defer d.publishing.Unlock()
	if !files.IsWithdrawn(name) {
		return nil
	}
	if err := d.Directory.Delete(ctx, user, name); err != nil && !errors.Is(err, lonja.NotPublished) {
		return err
	}
	return files.Remove(name)
}

// delistAgain is how often the directory is told again of what was withdrawn when
// it could not be told.
const delistAgain = time.Minute

// keepDelisting tells the directory of what was withdrawn, also by other processes
// of the user, until ctx ends.
func (m *membership) keepDelisting(ctx context.Context) error {
	for {
		select {
		case <-time.After(delistAgain):
		case <-ctx.Done():
			return nil
		}
		m.delistWithdrawn(ctx)
	}
}

// delistWithdrawn tells the directory of what was withdrawn when it could not be
// told.
func (m *membership) delistWithdrawn(ctx context.Context) {
	told, untold := 0, 0
	var why error
	for _, name := range m.files.Withdrawn() {
		err := m.delist(ctx, m.user, m.files, name)
		if err == nil {
			told++
			continue
		}
		untold++
		why = err
		if errors.Is(err, lonja.Unavailable) || errors.Is(err, lonja.Canceled) {
			break
		}
	}
	log := m.opts.Log.With(slog.Any("user", m.user))
	if told > 0 {
		log.Info("the directory now knows what was unpublished", slog.Int("files", told))
	}
	if untold > 0 && ctx.Err() == nil {
		log.Debug("the directory still lists what was unpublished", slog.Any("error", why))
	}
}
