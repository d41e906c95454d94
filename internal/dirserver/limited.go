package dirserver

import (
	"log/slog"
	"net"
	"time"

	"lonja"
	"lonja/internal/classic"
	"lonja/internal/limits"
)

// refusalTimeout is the patience with the request of an address that has too
// many connections. It is read all the same, because only then does the client
// get the status that its operation has for a failure. That takes a person's
// client no time, and whoever holds connections open loses them soon.
const refusalTimeout = time.Second

// patience returns how long a client may take over its request.
func (s *Server) patience(visit limits.Visit) time.Duration {
	if visit.Entry == limits.Refuse {
		return min(s.opts.RequestTimeout, refusalTimeout)
	}
	return s.opts.RequestTimeout
}

// shut ends a connection of an address that has too many and holds all the
// places for refusals too. It costs a system call or two, and no waiting: the
// status is the one of a request that nobody could read, a failure for each
// operation, and it may be lost in the reset that unread bytes cause.
func (s *Server) shut(conn net.Conn) {
	s.refused(conn, limits.AddressConnections)
	_, _ = conn.Write([]byte{classic.OtherStatus(lonja.NoOperation)})
}

// overLimit counts a request, also one that is no good. The error is of kind
// Limited if the request is over a limit, or came on a connection that is. What
// is asked in a name that is bound to a key is nothing of that user's: here
// nobody proves to be it.
func (s *Server) overLimit(conn net.Conn, visit limits.Visit, req *classic.Request) error {
	user := req.User
	if s.names != nil && s.names.Bound(user) {
		user = ""
	}
	reason := s.opts.Limits.Operation(time.Now(), visit, user)
	if reason == limits.None {
		return nil
	}
	s.refused(conn, reason)
	return lonja.Limited
}

func (s *Server) refused(conn net.Conn, reason limits.Reason) {
	s.refusedFrom(conn.RemoteAddr(), reason)
}

func (s *Server) refusedFrom(from net.Addr, reason limits.Reason) {
	s.opts.Limited(reason)
	if count := s.limited.add(time.Now()); count > 0 {
		s.opts.Log.Warn("requests over a limit are refused", slog.Int("since the last warning", count),
			slog.String("now", reason.String()), slog.Any("from", from))
	}
}
