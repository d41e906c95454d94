package folder

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"lonja"
)

// A Reader reads a list, an entry at a time, and takes none that a Writer would
// not have written: what it takes is encoded to the same bytes again. It holds one
// entry, however long the list is. It is for one goroutine.
type Reader struct {
	in     *bufio.Reader
	check  checker
	at     int64 // bytes of the list that were read
	offset int64 // where the entry that was returned last begins
	begun  bool
	part   bool // a block, and not the beginning of a list
	path   []byte
	ended  error
}

// NewReader returns a Reader of the list that in has, all of it.
func NewReader(in io.Reader) *Reader { return &Reader{in: bufio.NewReader(in)} }

// Next returns the next entry. The error is io.EOF at the end of a whole list; of
// kind Malformed for what is none; and of kind LocalFile if it cannot be read.
func (r *Reader) Next() (Entry, error) {
	if r.ended != nil {
		return Entry{}, r.ended
	}
	e, err := r.next()
	if err == nil {
		return e, nil
	}
	if errors.Is(err, errEnd) {
		err = io.EOF
	} else {
		err = failed(err)
	}
	r.ended = err
	return Entry{}, err
}

// Totals returns what the entries so far add up to.
func (r *Reader) Totals() Totals { return r.check.totals }

// Offset returns where the entry begins that Next has returned last: of the first
// of a block, it is what ReadBlock wants.
func (r *Reader) Offset() int64 { return r.offset }

// ReadBlock calls each with the entries of a block, BlockEntries or those that
// are left, which begins at offset of a list that was read before. Errors are
// those of Next, and what each returns, which ends it.
func ReadBlock(list io.ReaderAt, offset int64, each func(Entry) error) error {
	const unknownSize = 1 << 62
	r := NewReader(io.NewSectionReader(list, offset, unknownSize))
	r.begun, r.part = true, true
	for range BlockEntries {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = each(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var (
	errEnd   = errors.New("the end of the list")
	errForm  = errors.New("a number in it is not in its shortest form, or too big")
	errAfter = errors.New("something comes behind its end")
)

// A brokenError says that a list is none.
type brokenError struct{ cause error }

func (e brokenError) Error() string { return e.cause.Error() }

func broken(format string, a ...any) error { return brokenError{fmt.Errorf(format, a...)} }

func failed(err error) error {
	kind := lonja.LocalFile
	if _, ok := err.(brokenError); ok || errors.Is(err, io.ErrUnexpectedEOF) {
		kind = lonja.Malformed
	}
	return lonja.E(kind, "read the list of a folder", err)
}

func (r *Reader) next() (Entry, error) {
	if !r.begun {
		var magic [len(Magic)]byte
		if err := r.fill(magic[:]); err != nil {
			return Entry{}, err
		}
		if string(magic[:]) != Magic {
			return Entry{}, broken("it is not the list of a folder, or of a newer version")
		}
		r.begun = true
	}
	r.offset = r.at
	kind, err := r.byte()
	if err != nil {
		return Entry{}, err
	}
	if kind == 0 {
		return Entry{}, r.end()
	}
	return r.entry(Kind(kind))
}

func (r *Reader) entry(kind Kind) (e Entry, err error) {
	e.Kind = kind
	last := r.path
	if r.check.totals.Entries%BlockEntries == 0 {
		last = nil
	}
	shared, err := r.number(int64(len(last)))
	if err != nil {
		return e, err
	}
	length, err := r.number(MaxPath - shared)
	if err != nil {
		return e, err
	}
	path := append(make([]byte, 0, shared+length), last[:shared]...)
	path = path[:shared+length]
	if err := r.fill(path[shared:]); err != nil {
		return e, err
	}
	e.Path = string(path)
	if int64(sharedLen(string(last), e.Path)) != shared {
		return e, broken("path %q shares more than it says", e.Path)
	}
	if e.IsFile() {
		if e.Size, err = r.number(1<<62 - 1); err == nil {
			err = r.fill(e.ID[:])
		}
	}
	if err != nil {
		return e, err
	}
	r.path = path
	if err := r.check.check(e); err != nil {
		return e, brokenError{err}
	}
	return e, nil
}

// end reads the totals. Of a block nobody knows what they should be.
func (r *Reader) end() error {
	t := r.check.totals
	for _, want := range []int64{t.Entries, t.Files, t.Bytes} {
		n, err := r.number(1<<62 - 1)
		if err != nil {
			return err
		}
		if n != want && !r.part {
			return broken("it says that it has %d of what it has %d of", n, want)
		}
	}
	switch _, err := r.in.ReadByte(); {
	case err == nil:
		return brokenError{errAfter}
	case !errors.Is(err, io.EOF):
		return err
	}
	return errEnd
}

func (r *Reader) byte() (byte, error) {
	c, err := r.in.ReadByte()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		r.at++
	}
	return c, err
}

func (r *Reader) fill(b []byte) error {
	n, err := io.ReadFull(r.in, b)
	r.at += int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// number reads one that is at most most.
func (r *Reader) number(most int64) (int64, error) {
	var n uint64
	for shift := 0; ; shift += 7 {
		c, err := r.byte()
		if err != nil {
			return 0, err
		}
		if shift > 63-7 || c == 0 && shift > 0 {
			return 0, brokenError{errForm}
		}
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			break
		}
	}
	if n > uint64(most) {
		return 0, broken("%d where at most %d may stand", n, most)
	}
	return int64(n), nil
}
