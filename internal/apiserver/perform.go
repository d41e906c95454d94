package apiserver

import (
	"context"
	"errors"
	"time"

	"lonja"
	"lonja/internal/api"
	"lonja/internal/limits"
)

// A request is what is the same in all of them.
type request struct {
	method string // as in the service
	user   string // as in the message
	// operation and file are what the journal and the operation log call it; an
	// empty operation is one that nobody asked for by hand, and is not told.
	operation string
	file      string
	// open requests are performed for whoever asks: they name no user, or one
	// that does not exist yet.
	open bool
	// reads is set where the answer may hold what only the member may know of. It
	// is asked again then whether it is one: the directory answers by name, and
	// the name may have been bound, or become another's, since the first time.
	reads bool
}

// perform checks who asks and how much, then does what is asked with the member
// that it is asked for.
func perform[A any](ctx context.Context, s *Server, r request, do func(*caller, lonja.Member) (A, error)) (A, error) {
	begun := time.Now()
	c := callerOf(ctx)
	var answer A
	user, err := userOf(ctx, c, r)
	member := lonja.Member{User: user, Key: c.key}
	told, err := s.admit(begun, c, member, r.open, err)
	stamp := ""
	if r.operation != "" {
		stamp = s.clock.now()
		s.opts.Journal.Announce(r.operation, told, stamp)
	}
	if err == nil {
		answer, err = do(c, member)
	}
	if err == nil && r.reads {
		if err = s.opts.Directory.Authorize(member); err != nil {
			answer = *new(A)
		}
	}
	if err != nil && ctx.Err() == nil {
		s.opts.Journal.Failed(r.method, err)
	}
	s.opts.Observe(r.method, time.Since(begun), err)
	if r.operation != "" && !errors.Is(err, lonja.Invalid) {
		s.opts.Record(lonja.OperationRecord{User: string(told), Operation: r.operation, File: r.file, Timestamp: stamp})
	}
	return answer, err
}

// userOf returns for whom is asked.
func userOf(ctx context.Context, c *caller, r request) (lonja.UserName, error) {
	name := r.user
	if name == "" {
		if bound := c.user.Load(); bound != nil {
			return *bound, nil
		}
		name = headerUser(ctx)
	}
	if name == "" && r.open {
		return "", nil
	}
	return api.UserOf(name)
}

// admit counts a request, also one that is no good, and returns why it is not
// performed. The address pays first; the user only once it is known that the
// member may act for it, so that nobody uses up what is another's. Told is the
// name that the journal may show: empty where somebody asked in a name that is
// bound to another's key.
func (s *Server) admit(now time.Time, c *caller, member lonja.Member, open bool, bad error) (told lonja.UserName, err error) {
	if over := s.refused(c, s.opts.Limits.Operation(now, c.visit, "")); over != nil {
		return "", over
	}
	if bad != nil || member.User == "" {
		return "", bad
	}
	err = s.opts.Directory.Authorize(member)
	if errors.Is(err, lonja.OtherKey) {
		member.User = ""
	}
	if err == nil {
		err = s.refused(c, s.opts.Limits.UserOperation(now, c.visit, member.User))
	} else if open {
		err = nil
	}
	return member.User, err
}

// refused tells of what is over a limit.
func (s *Server) refused(c *caller, reason limits.Reason) error {
	if reason == limits.None {
		return nil
	}
	s.opts.Journal.Refused(reason, c.addr)
	return lonja.E(lonja.Limited, "ask", errTooMuch)
}

var errTooMuch = errors.New("too many requests a second; wait a moment")
