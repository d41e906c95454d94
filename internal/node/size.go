package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/swarm"
	"lonja/internal/unfinished"
)

// ofOneSize returns those holders of a content who have signed the size that it has.
// What is received as one of another size takes the place of what was here of it: so
// where somebody says something else, each size has to be shown first. While nobody
// does, it is taken as it is. The error tells what was tried; what is here of the
// content is as it was.
func (d *secureDialect) ofOneSize(ctx context.Context, as asking, holders []lonja.Holder, f fetch) ([]lonja.Holder, error) {
	groups := bySize(holders)
	if len(groups) == 0 {
		return nil, unsigned(holders[0])
	}
	begun, isBegun := unfinished.BegunFor(f.local, groups[0][0].Proof.File)
	of := func(size int64) func([]lonja.Holder) bool {
		return func(g []lonja.Holder) bool { return sizeOf(g) == size }
	}
	switch i := slices.IndexFunc(groups, of(begun.Size)); {
	case isBegun && begun.Proven && i < 0:
		return nil, &lonja.Error{
			Kind: lonja.NoHolder, Op: opFetchFile, File: cmp.Or(f.remote, groups[0][0].Name),
			Err: fmt.Errorf("it has %d bytes, as what is here of it shows, and those who offer it say something else", begun.Size),
		}
	case isBegun && begun.Proven:
		return groups[i], nil
	case isBegun && i < 0, len(groups) > 1:
		return d.shown(ctx, as, groups, f)
	}
	return groups[0], nil
}

func sizeOf(group []lonja.Holder) int64 { return group[0].Publication().ContentSize() }

// The bounds of asking for the size.
const (
	mostSizes      = 16               // that are asked about at once
	sizePatience   = 10 * time.Minute // with all who have signed one size, their queues included
	mostSizeErrors = 10               // that are told
)

// shown asks about all sizes at once, so that nobody keeps the others waiting, and
// returns the holders who have signed the one that the content is shown to have.
func (d *secureDialect) shown(ctx context.Context, as asking, groups [][]lonja.Holder, f fetch) (found []lonja.Holder, err error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex // guards found and tried
	var tried []holderError
	var group errgroup.Group
	group.SetLimit(mostSizes)
	for _, same := range groups {
		group.Go(func() error {
			each := sizePatience / time.Duration(len(same)) // so that no stalling ones take it all
			for _, h := range same {
				if running.Err() != nil {
					return nil
				}
				err := d.showSize(running, as, h, f, each)
				mu.Lock()
				if err == nil {
					found = same
					stop()
				} else {
					tried = append(tried, holderError{h, err})
				}
				mu.Unlock()
				if err == nil {
					return nil
				}
			}
			return nil
		})
	}
	_ = group.Wait()
	if found == nil {
		return nil, noSize(ctx, tried, cmp.Or(f.remote, groups[0][0].Name))
	}
	for _, same := range groups {
		for _, h := range same {
			if sizeOf(same) != sizeOf(found) {
				d.opts.Log.Warn("a holder has signed another size than the content has, and is not asked for it", slog.Any("user", h.User))
			}
		}
	}
	return found, nil
}

// showSize has one holder show, in time, that the content has the size that it has
// signed.
func (d *secureDialect) showSize(ctx context.Context, as asking, h lonja.Holder, f fetch, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	content := swarm.Content{ID: h.Proof.File, Size: h.Publication().ContentSize(), Name: h.Name}
	return swarm.ProveSize(ctx, content, d.swarmHolder(as, h, f), swarm.Options{
		Log: d.opts.Log, Limit: d.down, LimitEach: d.Rates.DownEach, Near: d.near(),
	})
}

// A holderError is what came of asking one.
type holderError struct {
	lonja.Holder
	err error
}

// noSize is the error for a content of which nobody has shown how big it is.
func noSize(ctx context.Context, tried []holderError, name lonja.FileName) error {
	if ctx.Err() != nil {
		return &lonja.Error{Kind: lonja.Canceled, Op: opFetchFile, File: name, Err: context.Cause(ctx)}
	}
	kind := lonja.KindOf(tried[0].err)
	var lines []string
	for _, t := range tried {
		if lonja.KindOf(t.err) != kind {
			kind = lonja.Unavailable
		}
		lines = append(lines, fmt.Sprintf("%s, who says %d bytes: %v", lonja.Printable(string(t.User)), t.Publication().ContentSize(), t.err))
	}
	slices.Sort(lines)
	if more := len(lines) - mostSizeErrors; more > 0 {
		lines = append(lines[:mostSizeErrors], fmt.Sprintf("and %d more", more))
	}
	text := "it is said to have another size, by who offers it now or by who sent what is here of it, and nobody shows which is right; what is here is kept"
	return &lonja.Error{Kind: kind, Op: opFetchFile, File: name, Err: errors.New(strings.Join(append([]string{text}, lines...), "\n  "))}
}
