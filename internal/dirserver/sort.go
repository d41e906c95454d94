package dirserver

import (
	"bytes"
	"io"
	"net"
	"slices"
	"time"

	"lonja"
	"lonja/internal/classic"
	"lonja/internal/limits"
)

// tlsHandshake is the first byte of a TLS connection (RFC 8446, section 5.1:
// ContentType). No operation of the classic protocol begins with it.
const tlsHandshake = 0x16

// leastCrowd is how many silent connections never give way.
const leastCrowd = 64

// sortConn serves a connection in the classic dialect. It returns nil, or the
// connection as if nothing had been read of it, if that dialect is not the one it
// speaks.
func (s *Server) sortConn(serve serveFunc, conn net.Conn, visit limits.Visit) net.Conn {
	defer func() {
		s.open.remove(conn)
		<-s.slots
	}()
	if visit.Entry == limits.Shut {
		s.shut(conn)
		return nil
	}
	s.open.add(conn, time.Now().Add(s.patience(visit)))
	bufs := bufferPool.Get().(*buffers)
	defer bufs.release()
	bufs.in.Reset(conn)
	guest := s.silent.Enter(func() { _ = conn.Close() })
	first, _ := bufs.in.Peek(1) // an error is that of reading the request, too
	s.silent.Leave(guest)
	isTLS := len(first) > 0 && first[0] == tlsHandshake
	switch {
	case isTLS && s.opts.TLS != nil && visit.Entry == limits.Serve:
		begun, _ := bufs.in.Peek(bufs.in.Buffered())
		return &unread{conn, bytes.NewReader(slices.Clone(begun))}
	case isTLS && s.opts.TLS != nil:
		s.refused(conn, limits.AddressConnections)
	case s.opts.ClassicOff:
		s.refuseClassic(conn, bufs)
	default:
		serve(conn, visit, bufs)
	}
	return nil
}

type serveFunc func(conn net.Conn, visit limits.Visit, bufs *buffers)

// refuseClassic answers a classic client of a directory that does not speak to
// those: with the status of a failure that every operation has. Its request is
// read for that, as far as it comes, but not looked at beyond its operation.
func (s *Server) refuseClassic(conn net.Conn, bufs *buffers) {
	req, _ := classic.ReadRequest(bufs.in)
	if _, err := conn.Write([]byte{classic.Status(req.Op, lonja.Forbidden)}); err == nil {
		s.drain(conn, bufs.in)
	}
}

// unread is a connection of which some bytes have been read already.
type unread struct {
	net.Conn
	begun *bytes.Reader
}

// Read implements net.Conn.
func (u *unread) Read(b []byte) (int, error) {
	if u.begun != nil {
		n, err := u.begun.Read(b)
		if err != io.EOF {
			return n, err
		}
		u.begun = nil
	}
	return u.Conn.Read(b)
}
