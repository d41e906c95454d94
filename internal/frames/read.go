package frames

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	readBuffer = 4 << 10
	readStep   = 16 << 10 // a long body takes memory as it comes, not as it is announced
)

var errTooLong = errors.New("a frame is longer than it may be")

// A reader reads the frames of a connection. It is for one goroutine, but for
// stop.
type reader struct {
	in      *bufio.Reader
	conn    *patientConn
	longest uint32
}

func newReader(conn net.Conn, longest uint32, idle, frame time.Duration) *reader {
	p := &patientConn{conn: conn, idle: idle, frame: frame}
	return &reader{bufio.NewReaderSize(p, readBuffer), p, longest}
}

// next returns the next frame. Its body is good until the call after.
func (r *reader) next() (h header, body []byte, err error) {
	b, err := r.in.Peek(headerSize)
	if err != nil {
		return h, nil, err
	}
	h = parseHeader(b)
	if h.length > r.longest {
		return h, nil, fmt.Errorf("%w: %d bytes, at most %d", errTooLong, h.length, r.longest)
	}
	n := int(h.length)
	if r.in.Buffered() < headerSize+n {
		r.conn.begin(n)
		defer r.conn.end()
	}
	if headerSize+n > readBuffer {
		_, _ = r.in.Discard(headerSize) // it was peeked at
		body, err = r.long(n)
		return h, body, err
	}
	if b, err = r.in.Peek(headerSize + n); err != nil {
		return h, nil, noEnd(err)
	}
	_, _ = r.in.Discard(headerSize + n)
	return h, b[headerSize:], nil
}

func (r *reader) long(n int) ([]byte, error) {
	var body []byte
	for len(body) < n {
		had, step := len(body), min(readStep, n-len(body))
		body = append(body, make([]byte, step)...)
		if _, err := io.ReadFull(r.in, body[had:]); err != nil {
			return nil, noEnd(err)
		}
	}
	return body, nil
}

// noEnd makes an end within a frame what it is.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// more reports whether a whole frame is here already.
func (r *reader) more() bool {
	if r.in.Buffered() < headerSize {
		return false
	}
	b, err := r.in.Peek(headerSize)
	return err == nil && r.in.Buffered() >= headerSize+int(parseHeader(b).length)
}

// A patientConn bounds how long reading waits: idle between frames, and for all of
// a frame once its header is here, so that nobody holds memory with a long one
// that comes a byte at a time. Either may be 0 for no bound.
type patientConn struct {
	conn        net.Conn
	idle, frame time.Duration
	frameEnd    time.Time // of the reading goroutine: when the frame has to be here, or zero
	until       time.Time // of the reading goroutine: the deadline that is set

	mu      sync.Mutex
	stopped bool
}

// slowest is how many bytes a second a long frame has to come with, beside the time
// that each one has.
const slowest = 64 << 10

// begin sets when the rest of a frame with n bytes has to be here.
func (p *patientConn) begin(n int) {
	if p.frame > 0 {
		p.frameEnd = time.Now().Add(p.frame + time.Duration(n)*time.Second/slowest)
	}
}

func (p *patientConn) end() { p.frameEnd = time.Time{} }

// Read implements io.Reader.
func (p *patientConn) Read(b []byte) (int, error) {
	p.wait()
	return p.conn.Read(b)
}

// wait sets the deadline of a read, if that would change it by much.
func (p *patientConn) wait() {
	until := p.frameEnd
	if until.IsZero() {
		if p.idle == 0 {
			return
		}
		until = time.Now().Add(p.idle)
		if change := until.Sub(p.until); change >= 0 && change < p.idle/8 {
			return
		}
	} else if until.Equal(p.until) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped {
		_ = p.conn.SetReadDeadline(until) // fails only on a closed connection
		p.until = until
	}
}

// stop makes the read that goes on, and each later one, fail.
func (p *patientConn) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return // what reads on now has a deadline of its own
	}
	p.stopped = true
	_ = p.conn.SetReadDeadline(time.Unix(1, 0))
}
