package dirserver

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"lonja"
	"lonja/internal/classic"
)

// An exchange's memory: what is read of the request, and the answer.
type buffers struct {
	in  *bufio.Reader
	out []byte
}

var bufferPool = sync.Pool{New: func() any {
	return &buffers{in: bufio.NewReaderSize(nil, classic.ReadBufferSize)}
}}

// maxKeptAnswer keeps the memory of a long list from staying in the pool.
const maxKeptAnswer = 4 << 10

func (b *buffers) release() {
	b.in.Reset(nil)
	if cap(b.out) > maxKeptAnswer {
		b.out = nil
	}
	b.out = b.out[:0]
	bufferPool.Put(b)
}

// exchange reads one request from conn and answers it. Whatever was wrong with
// the request, it is answered: existing clients take silence for success.
func (s *Server) exchange(ctx context.Context, conn net.Conn) {
	bufs := bufferPool.Get().(*buffers)
	defer bufs.release()
	bufs.in.Reset(conn)

	req, bad := classic.ReadRequest(bufs.in)
	if req.OpName != "" {
		s.announce.request(&req)
	}
	if bad != nil {
		bufs.out = append(bufs.out, classic.OtherStatus(req.Op))
	} else {
		bufs.out = s.perform(ctx, &req, conn, bufs.out)
	}
	if err := s.send(conn, bufs.out); err != nil {
		s.opts.Log.Debug("client gone before its answer",
			slog.Any("from", conn.RemoteAddr()), slog.String("operation", lonja.Printable(req.OpName)))
	} else if bad != nil || bufs.in.Buffered() > 0 {
		s.drain(conn, bufs.in)
	}
	if req.Op != lonja.NoOperation && bad == nil {
		s.opts.Record(req.Record())
	}
}

// perform has the directory do what is asked and appends the answer.
func (s *Server) perform(ctx context.Context, req *classic.Request, conn net.Conn, b []byte) []byte {
	dir, user := s.opts.Directory, req.User
	var err error
	var list func([]byte) []byte // appends what follows status 0
	switch req.Op {
	case lonja.OpRegister:
		err = dir.Register(ctx, user)
	case lonja.OpUnregister:
		err = dir.Unregister(ctx, user)
	case lonja.OpConnect:
		err = dir.Connect(ctx, user, lonja.EndpointFrom(remoteAddr(conn), req.Port))
	case lonja.OpDisconnect:
		err = dir.Disconnect(ctx, user)
	case lonja.OpPublish:
		err = dir.Publish(ctx, user, lonja.Listing{Name: req.Name, Description: req.Description})
	case lonja.OpDelete:
		err = dir.Delete(ctx, user, req.Name)
	case lonja.OpListUsers:
		var peers []lonja.Peer
		peers, err = dir.ListUsers(ctx, user)
		list = func(b []byte) []byte { return classic.AppendUsers(b, peers) }
	case lonja.OpListContent:
		var listings []lonja.Listing
		listings, err = dir.ListContent(ctx, user, req.Owner)
		list = func(b []byte) []byte { return classic.AppendListings(b, listings) }
	case lonja.OpHolders:
		var holders []lonja.Holder
		holders, err = dir.Holders(ctx, user, req.Name)
		list = func(b []byte) []byte { return classic.AppendHolders(b, holders) }
	}
	if err != nil && lonja.KindOf(err) == lonja.Internal {
		s.opts.Log.Error("operation failed", slog.String("operation", req.OpName), slog.Any("error", err))
	}
	b = append(b, classic.Status(req.Op, err))
	if err == nil && list != nil {
		b = list(b)
	}
	return b
}

// remoteAddr returns the client's address without a zone, which means nothing
// on another machine.
func remoteAddr(conn net.Conn) netip.Addr {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().WithZone("")
	}
	return netip.IPv4Unspecified()
}

const (
	// instantAnswer always fits in the socket's own buffer.
	instantAnswer = 4 << 10
	// answerStep is how much of an answer a client must take within one timeout.
	answerStep = 64 << 10
)

func (s *Server) send(conn net.Conn, answer []byte) error {
	if len(answer) <= instantAnswer {
		_, err := conn.Write(answer)
		return err
	}
	for step := range slices.Chunk(answer, answerStep) {
		s.open.writeUntil(conn, time.Now().Add(s.opts.RequestTimeout))
		if _, err := conn.Write(step); err != nil {
			return err
		}
	}
	return nil
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
