package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"lonja"
	"lonja/internal/classic"
)

// A stream is one transfer from a peer, behind its status byte. It belongs to
// one goroutine. Its errors are *lonja.Error: Canceled when its context has
// ended, LocalFile when what came could not be written, else Unavailable.
type stream struct {
	ctx      context.Context // of the one call that the stream is part of
	conn     net.Conn
	unhook   func() bool
	stall    time.Duration
	lastByte time.Time
}

// errNoAnswer is the cause for a peer that closes before its status byte.
var errNoAnswer = errors.New("closed the connection without an answer")

// request connects to a peer, asks for a transfer and waits for the status.
// Besides the errors of a stream there are NoSuchFile and Refused, for a peer
// that says no. When ctx ends the connection is closed at once; the caller
// closes the stream in any case.
func request(ctx context.Context, at lonja.Endpoint, req classic.PeerRequest, opts Options) (*stream, error) {
	conn, err := opts.Dial(ctx, at)
	if err != nil {
		if ctx.Err() != nil {
			return nil, canceled(ctx)
		}
		return nil, lonja.E(lonja.Unavailable, "", plainCause(err))
	}
	s := &stream{ctx: ctx, conn: conn, stall: opts.StallTimeout, lastByte: time.Now()}
	s.unhook = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if err := s.ask(req); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stream) ask(req classic.PeerRequest) error {
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.stall))
	if _, err := s.conn.Write(classic.AppendPeerRequest(nil, req)); err != nil {
		return s.failed(err)
	}
	var status [1]byte
	if _, err := s.read(status[:]); err == io.EOF {
		return lonja.E(lonja.Unavailable, "", errNoAnswer)
	} else if err != nil {
		return err
	}
	return classic.PeerFailure(status[0])
}

func (s *stream) close() {
	s.unhook()
	_ = s.conn.Close()
}

// read reads at least one byte into b, or returns io.EOF.
func (s *stream) read(b []byte) (int, error) {
	_ = s.conn.SetReadDeadline(s.lastByte.Add(s.stall))
	for {
		n, err := s.conn.Read(b)
		switch {
		case n > 0:
			s.lastByte = time.Now()
			return n, nil
		case err == io.EOF:
			return 0, io.EOF
		case err != nil:
			return 0, s.failed(err)
		}
	}
}

// lookEvery bounds how long receive works without returning what it has, so
// that a slow peer's progress is seen and its silence noticed in time.
const lookEvery = time.Second

// receive moves up to limit bytes to dst and returns how many came: limit, or
// fewer after a while, even none, and io.EOF at the end. If dst is an *os.File
// the kernel moves them without a copy through this process (splice, by way of
// os.File.ReadFrom). A peer that sends nothing for StallTimeout is a failure,
// noticed a second later at most.
func (s *stream) receive(dst io.Writer, limit int64) (int64, error) {
	now := time.Now()
	_ = s.conn.SetReadDeadline(now.Add(min(lookEvery, s.stall)))
	n, err := io.CopyN(dst, s.conn, limit)
	if n > 0 {
		s.lastByte = time.Now()
	}
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case errors.Is(err, os.ErrDeadlineExceeded) && time.Since(s.lastByte) < s.stall:
		return n, nil
	}
	return n, s.failed(err)
}

// failed gives an error of the connection, or of the file that is written to,
// its kind.
func (s *stream) failed(err error) error {
	switch {
	case s.ctx.Err() != nil:
		return canceled(s.ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return lonja.E(lonja.Unavailable, "", fmt.Errorf("sent nothing for %v", s.stall))
	case isNetworkError(err):
		return lonja.E(lonja.Unavailable, "", plainCause(err))
	}
	return lonja.E(lonja.LocalFile, "", plainCause(err))
}

// isNetworkError tells what went wrong on the connection from what went wrong
// on the disk. Where the kernel moves data from one to the other, both arrive
// as errors of the file, and only the error number tells.
func isNetworkError(err error) bool {
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	for _, errno := range []syscall.Errno{
		syscall.ECONNRESET, syscall.ECONNABORTED, syscall.ECONNREFUSED, syscall.EPIPE, syscall.ETIMEDOUT,
		syscall.ENETDOWN, syscall.ENETUNREACH, syscall.ENETRESET, syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
		syscall.ENOTCONN, syscall.EPROTO,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return errors.Is(err, net.ErrClosed)
}
