package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// stepSize is how much is handed to the kernel at a time. Between steps only a
// deadline is renewed, so a step is big.
const stepSize = 4 << 20

// errShrunk is the error for a file that ends before the length that it had
// when it was opened.
var errShrunk = errors.New("the file became shorter while it was sent")

// send sends length bytes of f from offset. On a TCP connection the kernel
// moves them without a copy through this process (sendfile, by way of
// net.TCPConn.ReadFrom).
//
// The receiver may be as slow as it likes, but not silent: when it has taken
// nothing for all of StallTimeout, counted from when the last pause was looked
// at, send fails. A receiver that stops is therefore noticed after that time at
// the soonest and twice that at the latest. While there is no place for another
// connection, a receiver that has not kept LeastRate, on average over the time in
// which it was sent something, gives up its own.
func (s *Server) send(ctx context.Context, conn net.Conn, f *os.File, offset, length int64) error {
	pace := s.pace(conn)
	defer pace.end()
	first := offset
	var took time.Duration
	for length > 0 {
		most, err := pace.next(ctx, min(length, stepSize))
		if err != nil {
			return err
		}
		began := time.Now()
		n, err := s.step(conn, f, offset, most)
		took += time.Since(began)
		pace.sent()
		offset += n
		length -= n
		switch {
		case err == io.EOF:
			return errShrunk
		case errors.Is(err, os.ErrDeadlineExceeded) && n == 0:
			return fmt.Errorf("the peer took nothing for %v: %w", s.opts.StallTimeout, err)
		case errors.Is(err, os.ErrDeadlineExceeded):
			// slow, but alive
			if s.crowded.Load() > 0 && s.tooSlow(offset-first, took) {
				return errTooSlow
			}
		case err != nil:
			return err
		}
	}
	return nil
}

// step sends so many bytes of f from offset, and returns how many were.
func (s *Server) step(conn net.Conn, f *os.File, offset, most int64) (int64, error) {
	// The position is set anew each time because after a timeout the
	// generic way of copying may have read more than it has written.
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(s.opts.StallTimeout)); err != nil {
		return 0, err
	}
	return io.CopyN(conn, f, most)
}

// errTooSlow is the error for a receiver that keeps others waiting.
var errTooSlow = errors.New("the peer is too slow, and there is no place for others")

func (s *Server) tooSlow(sent int64, took time.Duration) bool {
	return float64(sent) < float64(s.opts.LeastRate)*took.Seconds()
}
