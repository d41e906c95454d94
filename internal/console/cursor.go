package console

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// The line editor asks the terminal where the cursor is before each line, and
// reads no key before it knows. A terminal that does not understand the
// question, as serial lines and many programs that pretend to be one, would
// leave it waiting for ever.
const (
	cursorQuestion = "\x1b[6n"   // DSR, CPR: ECMA-48
	cursorAnswer   = "\x1b[1;1R" // at the beginning of a line, where a prompt stands
	cursorPatience = time.Second // how long a terminal may take, once
	keysBefore     = 64          // how many pieces of input may wait to be read
	keysPiece      = 4096        // bytes
)

// A cursor stands between the line editor and a terminal, and answers the
// question in place of one that does not. Read is for one goroutine, Write for
// any.
type cursor struct {
	out   io.Writer
	keys  chan []byte   // what the terminal sends; closed at its end
	asked chan struct{} // has a value after a question
	ended chan struct{}
	stop  func() // ends Read, and the goroutine at its next piece of input

	rest []byte           // of a piece that did not fit
	late <-chan time.Time // tells that there will be no answer; nil if none is due
	mute bool             // there was none before
}

func newCursor(in io.Reader, out io.Writer) *cursor {
	c := &cursor{
		out: out, keys: make(chan []byte, keysBefore), asked: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	c.stop = sync.OnceFunc(func() { close(c.ended) })
	go c.listen(in)
	return c
}

func (c *cursor) listen(in io.Reader) {
	defer close(c.keys)
	for {
		piece := make([]byte, keysPiece)
		n, err := in.Read(piece)
		select {
		case c.keys <- piece[:n]:
		case <-c.ended:
			return
		}
		if err != nil {
			return
		}
	}
}

// Write passes on what the editor shows.
func (c *cursor) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	if bytes.Contains(p, []byte(cursorQuestion)) {
		select {
		case c.asked <- struct{}{}:
		default:
		}
	}
	return n, err
}

// Read returns what the terminal sends, and the answer that it owes.
func (c *cursor) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		select {
		case piece, ok := <-c.keys:
			if !ok {
				return 0, io.EOF
			}
			c.rest = piece
			if answers(piece) {
				c.late, c.mute = nil, false
			}
		case <-c.asked:
			patience := cursorPatience
			if c.mute {
				patience = 0
			}
			c.late = time.After(patience)
		case <-c.late:
			c.rest, c.late, c.mute = []byte(cursorAnswer), nil, true
		case <-c.ended:
			return 0, io.EOF
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// answers reports whether the terminal's answer is in a piece of its input. One
// that comes in two pieces is missed: then the editor gets another, and ignores
// the second.
func answers(piece []byte) bool {
	_, behind, found := bytes.Cut(piece, []byte("\x1b["))
	end := bytes.IndexFunc(behind, func(r rune) bool { return r != ';' && (r < '0' || r > '9') })
	return found && end > 0 && behind[end] == 'R'
}
