package upload

import (
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
// nothing for all of stall, counted from when the last pause was looked at,
// send fails. A receiver that stops is therefore noticed after stall at the
// soonest and twice that at the latest.
func send(conn net.Conn, f *os.File, offset, length int64, stall time.Duration) error {
	for length > 0 {
		// The position is set anew each time because after a timeout the
		// generic way of copying may have read more than it has written.
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			return err
		}
		if err := conn.SetWriteDeadline(time.Now().Add(stall)); err != nil {
			return err
		}
		n, err := io.CopyN(conn, f, min(length, stepSize))
		offset += n
		length -= n
		switch {
		case err == io.EOF:
			return errShrunk
		case errors.Is(err, os.ErrDeadlineExceeded) && n == 0:
			return fmt.Errorf("the peer took nothing for %v: %w", stall, err)
		case errors.Is(err, os.ErrDeadlineExceeded):
			// slow, but alive
		case err != nil:
			return err
		}
	}
	return nil
}
