package share

import "lonja"

// Withdraw is Remove for what a directory lists: it is served no more, and
// remembered as withdrawn until Remove says that the directory knows, or the name
// is published again.
func (s *Set) Withdraw(name lonja.FileName) error {
	return s.remove(edit{name: name, item: item{withdrawn: true}})
}

// IsWithdrawn reports whether the directory may not know yet that nothing is
// published under the name any more.
func (s *Set) IsWithdrawn(name lonja.FileName) bool {
	s.refresh()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.current[name].withdrawn
}

// Withdrawn returns the names, in order, of which the directory may not know yet
// that nothing is published under them any more.
func (s *Set) Withdrawn() []lonja.FileName {
	s.refresh()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.named(true)
}
