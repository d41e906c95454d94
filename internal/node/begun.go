package node

import (
	"context"

	"lonja"
	"lonja/internal/swarm"
)

// A Begun is a content that a connected user begins to fetch.
type Begun struct {
	User  lonja.UserName // who fetches it
	File  lonja.FileID
	Name  lonja.FileName // as its first holder calls it
	Size  int64          // as that one has signed it
	From  lonja.UserName // from this user only; or empty
	Local string         // where it goes
}

// A Watch is what becomes of a Begun. What is nil is not done.
type Watch struct {
	Context context.Context     // ends when the fetching is to end: one that ends with that of the caller
	Started func(*swarm.Swarm)  // is told of each swarm before it runs
	Ended   func(failure error) // is told what came of it, with all closed
}

// fetchWatched is fetchFromAll for a connected user.
func (d *secureDialect) fetchWatched(ctx context.Context, s *stay, holders []lonja.Holder, f fetch) error {
	first := holders[0]
	if d.Begun == nil || first.Proof == nil {
		_, err := d.fetchFromAll(ctx, s.asks(), holders, f)
		return err
	}
	w, err := d.Begun(ctx, Begun{
		User: s.user, File: first.Proof.File, Name: first.Name, Size: first.Publication().ContentSize(), From: f.from, Local: f.local,
	})
	if err != nil {
		return err
	}
	if w.Context != nil {
		ctx = w.Context
	}
	f.started = w.Started
	_, err = d.fetchFromAll(ctx, s.asks(), holders, f)
	if w.Ended != nil {
		w.Ended(err)
	}
	return err
}
