package folderfetch

import (
	"cmp"
	"slices"
	"time"

	"lonja"
)

// A HolderState is how it goes with one holder.
type HolderState struct {
	User  lonja.UserName
	Key   lonja.PublicKey
	At    string    // the address that it was reached at last, "" before the first time
	Conns int       // connections that are there now, or being made
	Has   bool      // it has answered over one that is there
	Files int64     // that came from it
	Bytes int64     // that these have
	Speed int64     // bytes per second, in the last seconds
	Place int       // in its queue, where its turn is waited for; 0 if it is not
	Err   error     // the last, nil if there was none since something came
	Again time.Time // when it is tried again, if it is being left alone
	// Partial says that it lacks some of the files: it is fetching the folder too.
	Partial bool
	Lied    bool // it sent something else, and is asked no more
}

// Holders returns how it goes with each holder, those that sent most first.
func (f *Fetch) Holders() []HolderState {
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	all := make([]HolderState, 0, len(f.holders))
	now := time.Since(f.began)
	for _, h := range f.holders {
		state := h.state
		state.Speed, state.Has, state.Partial = h.meter.Rate(now), h.answered > 0, h.partial
		all = append(all, state)
	}
	slices.SortFunc(all, func(a, b HolderState) int {
		return cmp.Or(cmp.Compare(b.Files, a.Files), cmp.Compare(a.User, b.User))
	})
	return all
}
