package swarm

import (
	"errors"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
)

// A look is how often a holder that lacks pieces is asked what it has now: often as
// long as that grows, and ever less while it does not. Times are since the Swarm was
// made. The Swarm's mu guards it.
type look struct {
	partial bool // it is asked at all
	asking  bool // a connection does so just now
	had     uint64
	last    time.Duration
	pause   time.Duration
	idle    bool // it has nothing that is wanted
	since   time.Duration
}

// The bounds of the pause, while there is something to be had: a connection that has
// nothing to do waits for half of it.
const (
	leastLook = time.Second
	mostLook  = 16 * time.Second
)

// due returns when it is time to ask again; for ever, if not at all.
func (l *look) due() time.Duration {
	switch {
	case !l.partial || l.asking:
		return 1<<63 - 1
	case l.idle:
		return l.last + l.pause/2
	}
	return l.last + l.pause
}

// begin reports whether to ask now; end is called afterwards.
func (l *look) begin(now time.Duration) bool {
	if now < l.due() {
		return false
	}
	l.asking = true
	return true
}

// end takes in what the holder has; nil is all.
func (l *look) end(has *roaring.Bitmap, now time.Duration) {
	l.partial, l.last = has != nil, now
	if has == nil {
		return
	}
	n := has.GetCardinality()
	if l.pause == 0 || n != l.had {
		l.pause = leastLook
	} else {
		l.pause = min(2*l.pause, mostLook)
	}
	l.had = n
}

// nothing tells that the holder has nothing that is wanted.
func (l *look) nothing(now time.Duration) {
	if !l.idle {
		l.idle, l.since = true, now
	}
}

// errLacks is why nothing comes from a holder that is connected.
var errLacks = errors.New("it is downloading too, and lacks what is missing here")

// hopeful reports whether something may still come from a holder: it will be tried
// again, or is connected and does not wait for the same pieces as this one, since
// long. The Swarm's mu is held.
func (h *holder) hopeful() bool {
	s := h.swarm
	switch {
	case h.state.Lied:
		return false
	case h.state.Conns == 0:
		return h.vain < s.opts.Tries
	case h.stuck():
		return false
	}
	patience := time.Duration(s.opts.Tries) * s.opts.StallTimeout
	return !h.look.partial || !h.look.idle || time.Since(s.began)-h.look.since < patience
}
