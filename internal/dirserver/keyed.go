package dirserver

import (
	"context"

	"lonja"
)

// A keyed directory has names that are bound to keys. Nobody proves to hold one
// in the classic protocol, so nobody acts for such a name here; REGISTER finds it
// in use.
type keyed interface {
	// Bound reports whether the user has an account that is bound to keys.
	Bound(user lonja.UserName) bool
}

// An owned directory does what is asked only if it may still be done when it is:
// a name may become bound between mayAct and that.
type owned interface {
	ConnectWithoutKey(ctx context.Context, member lonja.Member, at lonja.Endpoint) error
	UnregisterMember(ctx context.Context, member lonja.Member) error
	DisconnectMember(ctx context.Context, member lonja.Member) error
	DeleteMember(ctx context.Context, member lonja.Member, name lonja.FileName) error
}

// An unowned directory has no names that are bound to keys.
type unowned struct{ lonja.Directory }

func (d unowned) ConnectWithoutKey(ctx context.Context, m lonja.Member, at lonja.Endpoint) error {
	return d.Connect(ctx, m.User, at)
}

func (d unowned) UnregisterMember(ctx context.Context, m lonja.Member) error {
	return d.Unregister(ctx, m.User)
}

func (d unowned) DisconnectMember(ctx context.Context, m lonja.Member) error {
	return d.Disconnect(ctx, m.User)
}

func (d unowned) DeleteMember(ctx context.Context, m lonja.Member, name lonja.FileName) error {
	return d.Delete(ctx, m.User, name)
}

// owned returns what acts for names, and takes them away: for nobody who has proved a
// key, here.
func (s *Server) owned() owned {
	if d, ok := s.opts.Directory.(owned); ok {
		return d
	}
	return unowned{s.opts.Directory}
}

// mayAct returns an error of kind OtherKey, which the protocol has no status for,
// if nobody may act for the user here.
func (s *Server) mayAct(op lonja.Operation, user lonja.UserName) error {
	if s.names == nil || op == lonja.OpRegister || !s.names.Bound(user) {
		return nil
	}
	return &lonja.Error{Kind: lonja.OtherKey, Op: op.String(), User: user}
}
