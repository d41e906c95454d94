package folder

import (
	"encoding/binary"
	"errors"
	"io"

	"lonja"
)

// A Writer writes a list. It is for one goroutine.
type Writer struct {
	out   io.Writer
	check checker
	buf   []byte
	err   error
}

// NewWriter returns a Writer to out, which is best a buffered one: it gets many
// small parts. Close ends the list, and does not close out.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out, buf: []byte(Magic)} }

// Add appends an entry. The error is of kind Invalid if a folder cannot have it
// there, or what out says; after one nothing else is written.
func (w *Writer) Add(e Entry) error {
	if w.err != nil {
		return w.err
	}
	last := w.check.last
	if w.check.totals.Entries%BlockEntries == 0 {
		last = ""
	}
	if err := w.check.check(e); err != nil {
		w.err = lonja.E(lonja.Invalid, "list a folder", err)
		return w.err
	}
	w.buf = appendEntry(w.buf, e, sharedLen(last, e.Path))
	return w.flush()
}

func appendEntry(b []byte, e Entry, shared int) []byte {
	b = binary.AppendUvarint(append(b, byte(e.Kind)), uint64(shared))
	b = binary.AppendUvarint(b, uint64(len(e.Path)-shared))
	b = append(b, e.Path[shared:]...)
	if e.IsFile() {
		b = binary.AppendUvarint(b, uint64(e.Size))
		b = append(b, e.ID[:]...)
	}
	return b
}

func (w *Writer) flush() error {
	_, w.err = w.out.Write(w.buf)
	w.buf = w.buf[:0]
	return w.err
}

// Close ends the list and returns its totals.
func (w *Writer) Close() (Totals, error) {
	if w.err != nil {
		return Totals{}, w.err
	}
	t := w.check.totals
	w.buf = append(w.buf, 0)
	for _, n := range []int64{t.Entries, t.Files, t.Bytes} {
		w.buf = binary.AppendUvarint(w.buf, uint64(n))
	}
	if err := w.flush(); err != nil {
		return Totals{}, err
	}
	w.err = errors.New("the list has ended")
	return t, nil
}
