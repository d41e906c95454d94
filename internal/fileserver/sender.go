package fileserver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// A sender writes the content of an answer. Through it, net/http reads a file in
// big steps into a buffer that is used again, notices a file that changes, and
// gives a receiver time as long as it takes something.
//
// A file that changes, or ends early, ends the answer before its announced
// length: net/http closes the connection then, and nobody takes the part for the
// whole.
type sender struct {
	http.ResponseWriter
	control *http.ResponseController
	file    *os.File
	seen    os.FileInfo
	stall   time.Duration

	sent int64
	err  error
}

// readStep is how much is read of a file at a time, and writeStep how much of
// that is written before the receiver gets more time: some records of TLS.
const (
	readStep  = 256 << 10
	writeStep = 64 << 10
)

var buffers = sync.Pool{New: func() any { return new([readStep]byte) }}

// Unwrap is for http.ResponseController.
func (s *sender) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// ReadFrom implements io.ReaderFrom, which io.CopyN in net/http looks for. What
// was read is sent only if the file is the same still afterwards.
func (s *sender) ReadFrom(src io.Reader) (int64, error) {
	buf := buffers.Get().(*[readStep]byte)
	defer buffers.Put(buf)
	for {
		n, err := io.ReadFull(src, buf[:])
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err == nil || ended {
			err = sameFile(s.file, s.seen)
		}
		if err == nil {
			err = s.write(buf[:n])
		}
		if err != nil || ended {
			s.err = err
			return s.sent, err
		}
	}
}

func (s *sender) write(b []byte) error {
	for len(b) > 0 {
		if err := s.control.SetWriteDeadline(time.Now().Add(s.stall)); err != nil {
			return err
		}
		n, err := s.ResponseWriter.Write(b[:min(len(b), writeStep)])
		s.sent += int64(n)
		b = b[n:]
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("the peer took nothing for %v: %w", s.stall, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
