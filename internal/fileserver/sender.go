package fileserver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"lonja"
	"lonja/internal/tree"
)

// A sender writes an answer. Through it, net/http reads a content in big steps
// into a buffer that is used again, notices a file that changes, sends nothing of
// which a part is not here, and gives a receiver time as long as it takes
// something.
//
// A file that changes, or ends early, ends the answer before its announced
// length: net/http closes the connection then, and nobody takes the part for the
// whole.
type sender struct {
	http.ResponseWriter
	control *http.ResponseController
	content Content
	checks  func(first, last int64) bool // whether these bytes of what is sent are here; nil: all are
	size    int64                        // of what is sent, or a part of it
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

var errNotHere = errors.New("not all of it is here")

// WriteHeader looks at what net/http is about to send: only now it is known,
// whatever the request asked for and on whichever conditions. What is not here is
// refused instead.
func (s *sender) WriteHeader(status int) {
	if s.checks == nil || s.holds(status) {
		s.ResponseWriter.WriteHeader(status)
		return
	}
	s.err = lonja.E(lonja.NoHolder, "serve", errNotHere)
	s.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", s.size))
	s.Header().Del("ETag")
	http.Error(s.ResponseWriter, errNotHere.Error(), http.StatusRequestedRangeNotSatisfiable)
}

// holds reports whether all is here of what an answer of that status, and with the
// header that is set, has.
func (s *sender) holds(status int) bool {
	first, last := int64(0), s.size-1
	switch status {
	case http.StatusOK:
	case http.StatusPartialContent:
		if _, err := fmt.Sscanf(s.Header().Get("Content-Range"), "bytes %d-%d/", &first, &last); err != nil {
			return false
		}
	default:
		return true
	}
	return s.checks(first, last)
}

// holdsPieces reports whether these bytes of the content are here.
func (s *sender) holdsPieces(first, last int64) bool {
	have := s.content.Have()
	if have == nil {
		return true
	}
	begin, end := uint64(first/tree.PieceSize), uint64(max(0, last)/tree.PieceSize)+1
	return have.CardinalityInRange(begin, end) == end-begin
}

// ReadFrom implements io.ReaderFrom, which io.CopyN in net/http looks for. What
// was read is sent only if the file is the same still afterwards.
func (s *sender) ReadFrom(src io.Reader) (int64, error) {
	if s.err != nil {
		return 0, s.err
	}
	buf := buffers.Get().(*[readStep]byte)
	defer buffers.Put(buf)
	for {
		n, err := io.ReadFull(src, buf[:])
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err == nil || ended {
			err = s.content.Unchanged()
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
