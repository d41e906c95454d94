package swarm

import (
	"cmp"
	"slices"
	"time"

	"lonja"
)

// A HolderState is how it goes with one holder.
type HolderState struct {
	User   lonja.UserName
	Key    lonja.PublicKey
	Conns  int           // connections that are there now
	Bytes  int64         // that came from it and count
	Pieces int64         // likewise
	Trip   time.Duration // the last time between a question and the beginning of its answer; 0 before the first
	Err    error         // the last, nil if there was none since something came
	Again  time.Time     // when it is tried again, if it is being left alone
	// Partial says that it lacks some pieces, as it said last: it is downloading too.
	Partial bool
	Lied    bool // it sent something else, and is asked no more
}

// Holders returns how it goes with each holder, those that sent most first.
func (s *Swarm) Holders() []HolderState {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]HolderState, 0, len(s.holders))
	for _, h := range s.holders {
		all = append(all, h.state)
	}
	slices.SortFunc(all, func(a, b HolderState) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.User, b.User))
	})
	return all
}
