package dirserver

import "lonja"

// A keyed directory has names that are bound to keys. Nobody proves to hold one
// in the classic protocol, so nobody acts for such a name here; REGISTER finds it
// in use.
type keyed interface {
	// Bound reports whether the user has an account that is bound to keys.
	Bound(user lonja.UserName) bool
}

// mayAct returns an error of kind OtherKey, which the protocol has no status for,
// if nobody may act for the user here.
func (s *Server) mayAct(op lonja.Operation, user lonja.UserName) error {
	if s.names == nil || op == lonja.OpRegister || !s.names.Bound(user) {
		return nil
	}
	return &lonja.Error{Kind: lonja.OtherKey, Op: op.String(), User: user}
}
