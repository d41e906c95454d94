package upload

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"lonja"
	"lonja/internal/classic"
)

// handle answers the one request of a connection and closes it.
func (s *Server) handle(ctx context.Context, conn net.Conn) {
	ip := remoteIP(conn)
	entry := s.turns.enter(ip)
	if entry == nil {
		reset(conn)
		return
	}
	defer s.turns.leave(ip, entry)
	defer conn.Close()
	keep := context.AfterFunc(ctx, func() { reset(conn) })
	defer keep()
	if s.answerInTurn(ctx, conn, entry, keep) {
		s.linger(ctx, conn)
	} else {
		reset(conn)
	}
}

// errWaited is the cause for a connection whose turn does not come.
var errWaited = errors.New("its address has too many transfers under way")

// answerInTurn is answer once there is room among the connections of the same
// address. One that waits for longer than a peer may be silent is refused.
func (s *Server) answerInTurn(ctx context.Context, conn net.Conn, entry *turn, keep func() bool) (whole bool) {
	patience := time.NewTimer(s.opts.StallTimeout)
	defer patience.Stop()
	select {
	case entry.served <- struct{}{}:
		defer func() { <-entry.served }()
		return s.answer(ctx, conn, keep)
	case <-patience.C:
		_ = conn.SetWriteDeadline(time.Now().Add(s.opts.RequestTimeout))
		return refuse(conn, s.opts.Log.With("peer", conn.RemoteAddr().String()), lonja.E(lonja.Limited, "", errWaited)) && keep()
	case <-ctx.Done():
		return false
	}
}

// answer reads the request and sends the answer to it. It reports whether the
// answer is whole: content that breaks off behind a status 0 is not. One that
// is, keep saves from the reset of all connections, or reports that it came.
func (s *Server) answer(ctx context.Context, conn net.Conn, keep func() bool) (whole bool) {
	log := s.opts.Log.With("peer", conn.RemoteAddr().String())
	_ = conn.SetReadDeadline(time.Now().Add(s.opts.RequestTimeout))
	req, err := classic.ReadPeerRequest(bufio.NewReaderSize(conn, classic.ReadBufferSize))
	_ = conn.SetWriteDeadline(time.Now().Add(s.opts.RequestTimeout)) // for the status
	if err != nil {
		return refuse(conn, log, err) && keep()
	}
	log = log.With("file", req.Name, "slice", req.Slice.Index, "of", req.Slice.Total)
	f, size, err := s.opts.Files.Open(req.Name)
	if err != nil {
		return refuse(conn, log, err) && keep()
	}
	defer f.Close()

	head := []byte{classic.StatusOK}
	if s.opts.SendSize && req.Slice.IsWhole() {
		head = classic.AppendSize(head, size)
	}
	if _, err = conn.Write(head); err == nil {
		offset, length := req.Slice.Range(size)
		err = s.send(ctx, conn, f, offset, length)
	}
	if err == nil && !keep() {
		err = net.ErrClosed
	}
	if err != nil {
		log.Info("transfer broken off", "error", err)
		return false
	}
	log.Info("transfer done")
	return true
}

// refuse answers with the status that stands for err. There is nothing to be
// done about a peer that does not take it.
func refuse(conn net.Conn, log *slog.Logger, err error) (whole bool) {
	_, writeErr := conn.Write([]byte{classic.PeerStatus(err)})
	log.Debug("transfer refused", "error", err)
	return writeErr == nil
}

// maxLeftover bounds what is read of a peer that goes on sending after its
// request.
const maxLeftover = 64 << 10

// linger ends our side of the connection and reads what the peer still sends
// until it ends its own: to close a connection with unread bytes in it resets
// it, and that could destroy the end of the answer on its way. It gives up
// after LingerTimeout, after maxLeftover bytes, and when ctx ends.
func (s *Server) linger(ctx context.Context, conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(s.opts.LingerTimeout))
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	_, _ = io.CopyN(io.Discard, conn, maxLeftover)
}

// reset closes the connection so that the peer's next read fails, instead of
// taking what it has for the end (RFC 9293 section 3.10.5, ABORT).
func reset(conn net.Conn) {
	if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
