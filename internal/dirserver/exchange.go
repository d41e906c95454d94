package dirserver

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"lonja"
	"lonja/internal/classic"
	"lonja/internal/limits"
)

// An exchange's memory: what is read of the request, and the answer.
type buffers struct {
	in  *bufio.Reader
	out []byte
}

var bufferPool = sync.Pool{New: func() any {
	return &buffers{in: bufio.NewReaderSize(nil, classic.ReadBufferSize)}
}}

func (b *buffers) release() {
	b.in.Reset(nil)
	bufferPool.Put(b)
}

// keep lets the memory of a short answer serve for the next one.
func (b *buffers) keep(answer []byte) {
	if cap(answer) <= instantAnswer {
		b.out = answer[:0]
	}
}

// exchange reads one request from conn and answers it. Whatever was wrong with
// the request, it is answered: existing clients take silence for success.
func (s *Server) exchange(ctx context.Context, conn net.Conn, visit limits.Visit, bufs *buffers) {
	req, bad := classic.ReadRequest(bufs.in)
	if req.OpName != "" {
		s.announce.request(req.OpName, req.User, req.Timestamp)
	}
	over := s.overLimit(conn, visit, &req)
	var answer []byte
	var held share
	if err := cmp.Or(bad, over); err != nil {
		answer = append(bufs.out, classic.Status(req.Op, err))
	} else {
		answer, held = s.answer(ctx, &req, conn, bufs.out)
	}
	bufs.keep(answer)
	err := s.send(conn, answer, &held)
	held.shrink(0)
	if err != nil {
		s.opts.Log.Debug("client gone before its answer",
			slog.Any("from", conn.RemoteAddr()), slog.String("operation", lonja.Printable(req.OpName)))
	} else if bad != nil || bufs.in.Buffered() > 0 {
		s.drain(conn, bufs.in)
	}
	if req.Op != lonja.NoOperation && bad == nil {
		s.opts.Record(req.Record())
	}
}

// perform has the directory do what is asked.
func (s *Server) perform(ctx context.Context, req *classic.Request, conn net.Conn) (result, error) {
	dir, user := s.opts.Directory, req.User
	if err := s.mayAct(req.Op, user); err != nil {
		return result{}, err
	}
	switch req.Op {
	case lonja.OpRegister:
		return result{}, dir.Register(ctx, user)
	case lonja.OpUnregister:
		return result{}, s.owned().UnregisterMember(ctx, lonja.Member{User: user})
	case lonja.OpConnect:
		return result{}, s.owned().ConnectWithoutKey(ctx, lonja.Member{User: user}, lonja.EndpointFrom(remoteAddr(conn), req.Port))
	case lonja.OpDisconnect:
		return result{}, s.owned().DisconnectMember(ctx, lonja.Member{User: user})
	case lonja.OpPublish:
		return result{}, dir.Publish(ctx, user, lonja.Listing{Name: req.Name, Description: req.Description, Size: lonja.UnknownSize})
	case lonja.OpDelete:
		return result{}, s.owned().DeleteMember(ctx, lonja.Member{User: user}, req.Name)
	case lonja.OpListUsers:
		peers, err := dir.ListUsers(ctx, user)
		return usersResult(peers), err
	case lonja.OpListContent:
		listings, err := dir.ListContent(ctx, user, req.Owner)
		return listingsResult(listings), err
	case lonja.OpHolders:
		holders, err := dir.Holders(ctx, user, req.Name)
		return holdersResult(holders), err
	case lonja.OpSearch:
		page, err := dir.Search(ctx, user, req.Query)
		return foundResult(page), err
	}
	return result{}, lonja.Invalid // ReadRequest lets no other through
}

// remoteAddr returns the client's address without a zone, which means nothing
// on another machine.
func remoteAddr(conn net.Conn) netip.Addr {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().WithZone("")
	}
	return netip.IPv4Unspecified()
}

// What is read of a client that was refused, so that the reset which closing
// on unread bytes causes does not take the answer away from it.
const (
	maxDrained   = 1 << 20
	drainTimeout = 2 * time.Second
)

func (s *Server) drain(conn net.Conn, buffered *bufio.Reader) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		if half.CloseWrite() != nil {
			return // the client is gone
		}
	}
	s.open.readUntil(conn, time.Now().Add(drainTimeout))
	_, _ = io.CopyN(io.Discard, buffered, maxDrained)
}
