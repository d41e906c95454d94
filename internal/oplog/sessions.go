package oplog

import (
	"errors"
	"sync"
	"time"
)

// errReplaced is the end of a session whose place another needed.
var errReplaced = errors.New("idle for longest when all places were taken")

// sessions are those that a service holds, a bounded number. Any number of
// goroutines may use it.
type sessions struct {
	limit int

	mu   sync.Mutex
	idle map[*session]time.Time // of each, since when it waits for a call; zero: it does not
}

func newSessions(limit int) *sessions {
	return &sessions{limit: limit, idle: make(map[*session]time.Time)}
}

// admit takes s in. If all places are taken, the session that has been idle for
// longest loses its own: directories send their calls over a connection that
// they keep, and whoever only holds connections open must not keep them out.
// With nobody idle, s is not admitted.
func (l *sessions) admit(s *session) (admitted, full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if full = len(l.idle) >= l.limit; full {
		longest := l.longestIdle()
		if longest == nil {
			return false, full
		}
		delete(l.idle, longest)
		longest.end()
	}
	l.idle[s] = time.Now()
	return true, full
}

func (l *sessions) longestIdle() *session {
	var longest *session
	var since time.Time
	for s, t := range l.idle {
		if !t.IsZero() && (longest == nil || t.Before(since)) {
			longest, since = s, t
		}
	}
	return longest
}

// note says since when s has been idle; zero: it is not. The error is
// errReplaced when s has lost its place: it must not do anything more.
func (l *sessions) note(s *session, since time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.idle[s]; !ok {
		return errReplaced
	}
	l.idle[s] = since
	return nil
}

func (l *sessions) leave(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.idle, s)
}
