package dirserver

import (
	"net"
	"time"

	"lonja"
	"lonja/internal/limits"
)

// What follows lets another dialect on the same port tell operators what this
// one does, in the same lines and counts.

// Announce adds the line of a request. It does not block.
func (s *Server) Announce(operation string, user lonja.UserName, timestamp string) {
	s.announce.request(operation, user, timestamp)
}

// Failed logs an operation that failed, if that is no fault of who asked.
func (s *Server) Failed(operation string, err error) {
	s.failures.add(time.Now(), operation, err)
}

// Refused counts and logs what was refused for its limit.
func (s *Server) Refused(reason limits.Reason, from net.Addr) {
	s.refusedFrom(from, reason)
}
