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
	stamp := ""
	if r.operation != "" {
		stamp = s.clock.now()
		s.opts.Journal.Announce(r.operation, user, stamp)
	}
	if over := s.overLimit(begun, c, user); over != nil {
		err = over
	}
	member := lonja.Member{User: user, Key: c.key}
	if err == nil && !r.open {
		err = s.opts.Directory.Authorize(member)
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
		s.opts.Record(lonja.OperationRecord{User: string(user), Operation: r.operation, File: r.file, Timestamp: stamp})
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

// overLimit counts a request, also one that is no good.
func (s *Server) overLimit(now time.Time, c *caller, user lonja.UserName) error {
	reason := s.opts.Limits.Operation(now, c.visit, user)
	if reason == limits.None {
		return nil
	}
	s.opts.Journal.Refused(reason, c.addr)
	return lonja.E(lonja.Limited, "ask", errTooMuch)
}

var errTooMuch = errors.New("too many requests a second; wait a moment")
