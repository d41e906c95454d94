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
	"lonja/internal/fairshare"
	"lonja/internal/fileapi"
	"lonja/internal/pacing"
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
	isFile  bool                         // what is sent are bytes of content
	stall   time.Duration

	request *http.Request
	user    lonja.UserName
	pacer   *pacing.Pacer
	near    bool
	ways    func() fileapi.Ways
	turn    *pacing.Turn // once bytes are sent

	sent int64
	err  error
}

// writeStep is how much is written before the receiver gets more time: some
// records of TLS.
const writeStep = 64 << 10

// buffers are for what is read of a file at a time, and smallBuffers for what is
// in a crowd.
var (
	buffers      = sync.Pool{New: func() any { return newBuffer(fairshare.MostQuantum) }}
	smallBuffers = sync.Pool{New: func() any { return newBuffer(writeStep) }}
)

func newBuffer(size int) *[]byte {
	b := make([]byte, size)
	return &b
}

// Unwrap is for http.ResponseController.
func (s *sender) Unwrap() http.ResponseWriter { return s.ResponseWriter }

var errNotHere = errors.New("not all of it is here")

// WriteHeader looks at what net/http is about to send: only now it is known,
// whatever the request asked for and on whichever conditions. What is not here is
// refused instead, and who is to wait for its turn is told so.
func (s *sender) WriteHeader(status int) {
	switch {
	case s.checks != nil && !s.holds(status):
		s.err = lonja.E(lonja.NoHolder, "serve", errNotHere)
		s.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", s.size))
		s.Header().Del("ETag")
		http.Error(s.ResponseWriter, errNotHere.Error(), http.StatusRequestedRangeNotSatisfiable)
	case !s.begin(status):
	default:
		s.ResponseWriter.WriteHeader(status)
	}
}

// begin begins the turn of an answer that has one, and reports whether it may go
// on.
func (s *sender) begin(status int) bool {
	if status/100 != 2 || s.request.Method != http.MethodGet {
		return true
	}
	var place fairshare.Place
	s.turn, place = s.pacer.Begin(s.user, fairshare.Terms{Unlimited: s.near, NoSlot: !s.isFile})
	if s.turn != nil {
		return true
	}
	queued := &queuedError{place}
	s.err = limited(queued)
	s.Header().Del("Content-Range")
	s.Header().Del("ETag")
	refuseQueued(s.ResponseWriter, queued)
	return false
}

// end ends the turn.
func (s *sender) end() {
	if s.turn != nil {
		s.turn.End()
	}
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
	for s.err == nil {
		most := int64(fairshare.MostQuantum)
		if limited, ok := src.(*io.LimitedReader); ok { // as io.CopyN makes it
			most = min(most, limited.N)
		}
		if most == 0 {
			return s.sent, nil
		}
		var n int
		if n, s.err = s.turn.Next(s.request.Context(), int(most)); s.err != nil {
			break
		}
		var ended bool
		ended, s.err = s.quantum(src, n)
		s.turn.Sent()
		if ended {
			break
		}
	}
	return s.sent, s.err
}

// quantum sends the next n bytes of src. To have reached the end is no error.
func (s *sender) quantum(src io.Reader, n int) (ended bool, err error) {
	pool := &buffers
	if n <= writeStep {
		pool = &smallBuffers
	}
	buf := pool.Get().(*[]byte)
	defer pool.Put(buf)
	n, err = io.ReadFull(src, (*buf)[:n])
	if ended = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF); err == nil || ended {
		err = s.content.Unchanged()
	}
	if err == nil {
		err = s.write((*buf)[:n])
	}
	return ended, err
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
