package swarm

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"lonja"
	"lonja/internal/fileapi"
)

// A HolderState is how it goes with one holder.
type HolderState struct {
	User   lonja.UserName
	Key    lonja.PublicKey
	Route  Route         // how that leads there, as far as the holder has told
	At     string        // the address that it was reached at last, "" before the first time
	Conns  int           // connections that are there now, or being made
	Has    bool          // it has told what it has, over a connection that is there
	Bytes  int64         // that came from it and count
	Pieces int64         // likewise
	Speed  int64         // bytes per second that came in the last seconds, whether they count or not
	Trip   time.Duration // the last time between a question and the beginning of its answer; 0 before the first
	Place  int           // in its queue, where it is waited for its turn; 0 if it is not
	Err    error         // the last, nil if there was none since something came
	Again  time.Time     // when it is tried again, if it is being left alone
	// Partial says that it lacks some pieces, as it said last: it is downloading too.
	Partial bool
	Lied    bool // it sent something else, and is asked no more
}

// A Route is how an address leads to a holder.
type Route uint8

const (
	Untold Route = iota // the holder was not reached yet
	Direct              // it is an address of the holder's own
	Mapped              // the holder's router has mapped it for the holder
	Seen                // the holder's directory sees it there, and somebody forwards it
)

// routeOf returns how an address leads to a holder that has told of its ways.
func routeOf(at string, told fileapi.Ways) Route {
	to, err := netip.ParseAddrPort(at)
	if err != nil {
		return Untold
	}
	switch netip.AddrPortFrom(to.Addr().Unmap().WithZone(""), to.Port()) {
	case told.Mapped:
		return Mapped
	case told.Seen:
		return Seen
	}
	return Direct
}

// Holders returns how it goes with each holder, those that sent most first.
func (s *Swarm) Holders() []HolderState {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]HolderState, 0, len(s.holders))
	now := time.Since(s.began)
	for _, h := range s.holders {
		state := h.state
		state.Speed, state.Has = h.meter.Rate(now), h.joined
		all = append(all, state)
	}
	slices.SortFunc(all, func(a, b HolderState) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.User, b.User))
	})
	return all
}

// Count returns how many pieces are good, and how many there are.
func (s *Swarm) Count() (good, all int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all = s.layout.Pieces()
	return all - s.picker.Missing(), all
}

// Speed returns how many bytes per second came in the last seconds, from all.
func (s *Swarm) Speed() int64 { return s.meter.Rate(time.Since(s.began)) }

// Size returns the size of the content, in bytes.
func (s *Swarm) Size() int64 { return s.content.Size }
