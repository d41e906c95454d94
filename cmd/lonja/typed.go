package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"lonja"
	"lonja/internal/downloads"
	"lonja/internal/node"
	"lonja/internal/swarm"
)

// listTyped has what a person fetches in a console be on the list of downloads while it
// is fetched, and afterwards: another terminal can ask about it, and what a crash
// interrupts goes on. Without a list, because its disk is full, say, it is fetched all
// the same.
func listTyped(list *downloads.List, where site, log *slog.Logger) func(context.Context, node.Begun) (node.Watch, error) {
	return func(ctx context.Context, b node.Begun) (node.Watch, error) {
		target, err := filepath.Abs(b.Local)
		if err != nil {
			return node.Watch{}, lonja.E(lonja.Invalid, "fetch", err)
		}
		active, err := list.Begin(ctx, downloads.Download{
			File: b.File, Name: b.Name, Size: max(0, b.Size), Directory: where.addressList(), Site: where.name(), User: b.User,
			From: b.From, Target: target,
		})
		switch {
		case errors.Is(err, lonja.Conflict): // with another download to that place
			return node.Watch{}, err
		case err != nil:
			log.Warn("the list of downloads will not have this one", slog.Any("error", err))
			return node.Watch{}, nil
		}
		t := newTransfer(active.Download, nil)
		active.Tell(t.status)
		return node.Watch{Context: active.Context(), Started: func(s *swarm.Swarm) { t.goes(s) }, Ended: func(failure error) {
			o := downloads.Outcome{State: downloads.Done, Err: failure, Received: t.received()}
			switch {
			case failure == nil:
			case ctx.Err() != nil: // the person who looked on
				o.State, o.Err = downloads.Paused, nil
			default:
				o.State = downloads.Failed
			}
			if _, err := active.End(o); err != nil {
				log.Warn("what came of the download is not written down", slog.Any("error", err))
			}
		}}, nil
	}
}
