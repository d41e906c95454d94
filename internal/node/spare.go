package node

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"lonja"
)

// A spare keeps a user connected who has asked for nothing but to fetch something: so
// that others are given what is on its way here, as the nodes of those are given what is
// theirs. Its session yields to each other program of the user's, and is begun again
// when that has gone. With it, what the user has published is served too, since whoever
// is connected is asked for that.
//
// It begins with the first content that takes long enough to be told of, and lasts until
// the node is closed. That it cannot begin is no failure of what is fetched.
type spare struct {
	mu     sync.Mutex // guards all below
	user   lonja.UserName
	stop   func() // ends it and waits; nil before it began
	closed bool
	wanted chan struct{} // holds one token when something is fetched
}

// sparePause is how long after it could not begin, or had to yield, it tries again.
const sparePause = 15 * time.Second

// is says whose it would be: who asks last without being connected.
func (s *spare) is(user lonja.UserName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user = user
}

// want says that something is fetched.
func (s *spare) want(d *secureDialect) {
	serving := d.Serving()
	s.mu.Lock()
	defer s.mu.Unlock()
	if serving || !d.TakePart || s.closed || s.user == "" {
		return
	}
	if s.stop == nil {
		s.wanted = make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(context.Background())
		done, user := make(chan struct{}), s.user
		go func() {
			defer close(done)
			d.keepSpare(ctx, user, s.wanted)
		}()
		s.stop = func() {
			cancel()
			<-done
		}
	}
	signal(s.wanted)
}

// close ends it for good. It disconnects nobody: that is for who closes the node.
func (s *spare) close() {
	s.mu.Lock()
	stop := s.stop
	s.closed = true
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// keepSpare keeps the session, until ctx ends.
func (d *secureDialect) keepSpare(ctx context.Context, user lonja.UserName, wanted <-chan struct{}) {
	for pause := tellAfter; ; pause = cmp.Or(d.spareAgain, sparePause) {
		if len(d.fetching.told()) == 0 {
			select {
			case <-wanted:
				pause = tellAfter
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		if len(d.fetching.told()) == 0 {
			continue // it was too short
		}
		lost, err := d.connectSpare(ctx, user)
		if err != nil {
			d.opts.Log.Debug("what is fetched is not given to others meanwhile", slog.Any("user", user), slog.Any("error", err))
			continue
		}
		select {
		case <-lost:
		case <-ctx.Done():
			return
		}
	}
}

// connectSpare begins the session, and returns what is closed when it is lost.
func (d *secureDialect) connectSpare(ctx context.Context, user lonja.UserName) (lost <-chan struct{}, err error) {
	gone := make(chan struct{})
	return gone, d.connect(ctx, user, func(s *stay) {
		s.yields, s.gone = true, sync.OnceFunc(func() { close(gone) })
	})
}
