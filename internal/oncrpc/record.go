package oncrpc

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"lonja"
)

// Record marking (RFC 5531 §11): over TCP a message is one record, a record is
// one or more fragments, and before each fragment stands its length in 31
// bits. The top bit marks the last fragment of the record.
const (
	markSize     = 4
	lastFragment = 1 << 31
)

// AppendRecord adds the message as a record of one fragment.
func AppendRecord(b, message []byte) []byte {
	b = appendUint32(b, lastFragment|uint32(len(message)))
	return append(b, message...)
}

// A RecordReader takes records from a stream. It is for one goroutine.
type RecordReader struct {
	in    *bufio.Reader
	limit int
	taken int    // bytes of in that the record last returned still occupies
	parts []byte // the fragments of the present record that came before its last one
	begun bool   // some of the present record has left in
}

// NewRecordReader returns a reader of records of at most limit bytes. It
// buffers one record and its mark, and a second one only for records that come
// in several fragments.
func NewRecordReader(r io.Reader, limit int) *RecordReader {
	return &RecordReader{in: bufio.NewReaderSize(r, markSize+limit), limit: limit}
}

// Next returns the next record, which stays valid until the next call. It
// reads from the stream only when no whole record is buffered.
//
// The error is io.EOF when the stream ends between two records,
// io.ErrUnexpectedEOF when it ends inside one, of kind lonja.Malformed when a
// record is over the limit, else what the stream returned. No record can be
// found after an error.
func (r *RecordReader) Next() ([]byte, error) {
	r.discard(r.taken)
	r.taken, r.begun, r.parts = 0, false, r.parts[:0]
	for {
		fragment, last, err := r.fragment()
		switch {
		case err != nil:
			return nil, r.broken(err)
		case last && len(r.parts) == 0:
			r.taken = len(fragment)
			return fragment, nil
		}
		r.parts = append(r.parts, fragment...)
		r.discard(len(fragment))
		if last {
			return r.parts, nil
		}
	}
}

// Partial reports whether a part of a record has come of which the rest is
// still awaited. It is meant for the stream's own Read, where it tells waiting
// for a slow sender from waiting for an idle one.
func (r *RecordReader) Partial() bool { return r.begun || r.in.Buffered() > 0 }

// fragment returns the next fragment, still in the buffer, without its mark.
func (r *RecordReader) fragment() (body []byte, last bool, err error) {
	head, err := r.in.Peek(markSize)
	if err != nil {
		return nil, false, err
	}
	mark := binary.BigEndian.Uint32(head)
	length := int(mark &^ lastFragment)
	if length > r.limit-len(r.parts) {
		return nil, false, lonja.E(lonja.Malformed, "decode",
			fmt.Errorf("record is too long: over %d bytes", r.limit))
	}
	r.discard(markSize)
	r.begun = true
	body, err = r.in.Peek(length)
	return body, mark&lastFragment != 0, err
}

// discard drops n bytes that were peeked, which cannot fail.
func (r *RecordReader) discard(n int) {
	if _, err := r.in.Discard(n); err != nil {
		panic(err)
	}
}

func (r *RecordReader) broken(err error) error {
	if errors.Is(err, io.EOF) && r.Partial() {
		return io.ErrUnexpectedEOF
	}
	return err
}
