// Package classic is the wire format of the classic protocol, both sides of
// it: what a client asks of a directory and one peer of another, and what each
// answers. It turns bytes into the words of package lonja and back.
//
// It opens no connection, knows no time limit and decides nothing: dirserver,
// dirclient, upload and download do. The byte layout, which is not ours to
// change, is described in docs/protocol.md:
//
//	request  = operation NUL timestamp NUL user NUL { field NUL }
//	answer   = status-byte [ lists, on status 0 ]
//	peer     = "GET_FILE" NUL name NUL
//	         | "GET_MULTIFILE" NUL name NUL slice NUL total NUL
//	transfer = status-byte [ content until the connection closes, on status 0 ]
//
// Clients send each field with a write of its own, even byte by byte, so
// everything is read up to its NUL and never by packet.
package classic

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"

	"lonja"
)

// ReadBufferSize is the buffer that a reader of requests needs: the longest
// field that keeps to its limit, the cursor of a SEARCH, fits in it, so its
// size is also the bound on what a stranger makes us hold of one.
const ReadBufferSize = 2048

// maxAnswerField bounds a string in an answer. It is wider than the limits of
// requests: other directories are laxer than the protocol says.
const maxAnswerField = 1023

// AnswerBufferSize is the buffer that a reader of answers needs.
const AnswerBufferSize = 4096

// errTooLong is the cause of an Invalid error for a field over its limit.
var errTooLong = errors.New("field is too long")

// readField reads up to the next NUL. A field of more than most bytes is
// consumed and gives errTooLong, but for one that does not even fit in the
// buffer of r, of which only that buffer is consumed.
func readField(r *bufio.Reader, most int) (string, error) {
	b, err := r.ReadSlice(0)
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", errTooLong
	case errors.Is(err, io.EOF):
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	case len(b)-1 > most:
		return "", errTooLong
	}
	return string(b[:len(b)-1]), nil
}

func appendField(b []byte, s string) []byte {
	return append(append(b, s...), 0)
}

func appendNumber(b []byte, n uint64) []byte {
	return append(strconv.AppendUint(b, n, 10), 0)
}

// parseNumber takes decimal digits only: no sign, no blank.
func parseNumber(what, s string, most uint64) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > most {
		return 0, fmt.Errorf("%s %q is not a number from 0 to %d", what, s, most)
	}
	return n, nil
}

// invalid marks what a client sent as unusable. A request that was cut short
// is as invalid as one over a limit: both are answered.
func invalid(what string, err error) error {
	return &lonja.Error{Kind: lonja.Invalid, Op: "read " + what, Err: err}
}

// malformed marks what a directory or peer answered as unusable, unless it
// was the connection that failed.
func malformed(what string, err error) error {
	kind := lonja.Malformed
	if lonja.KindOfIO(err) == lonja.Unavailable {
		kind = lonja.Unavailable
	}
	return &lonja.Error{Kind: kind, Op: "read " + what, Err: err}
}
