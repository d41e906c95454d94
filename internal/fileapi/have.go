package fileapi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
)

// What is sent of the pieces that somebody has: the version, which of these two
// it is, and for somePieces a roaring bitmap of their numbers, counted from 0, in
// its portable format (https://github.com/RoaringBitmap/RoaringFormatSpec).
const (
	haveVersion = 1
	allPieces   = 0
	somePieces  = 1
	haveHeader  = 2
)

// MaxHave bounds what AppendHave appends, in bytes. It is enough for any pieces of
// a content of 4 TiB, and for those of the largest if they come in runs.
const MaxHave = 1 << 20

// AppendHave appends the pieces that somebody has; nil stands for all. What does
// not fit in MaxHave is left out from the end: it is no lie to tell of fewer. It
// does not change have.
func AppendHave(b []byte, have *roaring.Bitmap) []byte {
	if have == nil {
		return append(b, haveVersion, allPieces)
	}
	b = append(b, haveVersion, somePieces)
	told := have.Clone()
	told.RunOptimize()
	for told.GetSerializedSizeInBytes() > MaxHave-haveHeader {
		last := uint64(told.Maximum())
		told.RemoveRange(last-last/8, last+1)
	}
	out := bytes.NewBuffer(b)
	if _, err := told.WriteTo(out); err != nil {
		panic(err) // a buffer takes everything
	}
	return out.Bytes()
}

// ParseHave is the way back, for a content of so many pieces; nil stands for all
// of them. The error is of kind Malformed for what AppendHave does not append, and
// for pieces that there are not. It takes little more time and memory than b is
// long, whatever b is.
func ParseHave(b []byte, pieces int64) (*roaring.Bitmap, error) {
	switch {
	case len(b) < haveHeader || len(b) > MaxHave:
		return nil, badHave(fmt.Errorf("%d bytes", len(b)))
	case b[0] != haveVersion:
		return nil, badHave(fmt.Errorf("version %d is not known here", b[0]))
	case b[1] == allPieces && len(b) == haveHeader:
		return nil, nil
	case b[1] != somePieces:
		return nil, badHave(errors.New("neither all pieces nor some"))
	}
	b = b[haveHeader:]
	if err := checkContainers(b, (pieces+containerSpan-1)/containerSpan); err != nil {
		return nil, badHave(err)
	}
	have := roaring.New()
	n, err := have.ReadFrom(bytes.NewReader(b))
	switch {
	case err != nil:
		return nil, badHave(err)
	case n != int64(len(b)):
		return nil, badHave(errors.New("more than a bitmap"))
	}
	if err := have.Validate(); err != nil {
		return nil, badHave(err)
	}
	if !have.IsEmpty() && int64(have.Maximum()) >= pieces {
		return nil, badHave(fmt.Errorf("piece %d of %d", have.Maximum(), pieces))
	}
	return have, nil
}

func badHave(cause error) error { return lonja.E(lonja.Malformed, "read which pieces there are", cause) }

// The portable format of roaring bitmaps: a cookie, the number of containers, a
// bit for each that says whether it has runs, the keys and cardinalities of them,
// where each begins, and the containers, of containerSpan numbers each.
const (
	containerSpan   = 1 << 16
	cookieRuns      = 12347 // with the number of containers, less one, in the upper half
	cookiePlain     = 12346 // the number follows
	fewestOffsets   = 4     // containers, with cookieRuns, for which their beginnings are told
	mostArray       = 4096  // numbers in a container that lists them
	bitmapContainer = containerSpan / 8
	// mostRuns is how many runs a container may have: with more it would be longer
	// than one without runs. The library takes time with the square of them.
	mostRuns = (bitmapContainer - 2) / 4
)

var errShort = errors.New("it ends too early")

// checkContainers looks at a bitmap without reading it: that there are at most so
// many containers, and that none has more runs than make sense. Whether they are
// sound is for the library to see.
func checkContainers(b []byte, most int64) error {
	if len(b) < 8 {
		return errShort
	}
	cookie := binary.LittleEndian.Uint32(b)
	count, at, runs := int64(binary.LittleEndian.Uint32(b[4:])), 8, []byte(nil)
	if cookie&0xffff == cookieRuns {
		count = int64(cookie>>16) + 1
		at = 4 + int(count+7)/8
		runs = b[4:min(at, len(b))]
	} else if cookie != cookiePlain {
		return errors.New("no bitmap")
	}
	if count > most {
		return errors.New("pieces that there are not")
	}
	descriptions := at
	at += 4 * int(count)
	if runs == nil || count >= fewestOffsets {
		at += 4 * int(count)
	}
	for i := range int(count) {
		if at+2 > len(b) {
			return errShort
		}
		card := int(binary.LittleEndian.Uint16(b[descriptions+4*i+2:])) + 1
		switch {
		case runs != nil && runs[i/8]>>(i%8)&1 != 0:
			n := int(binary.LittleEndian.Uint16(b[at:]))
			if n > mostRuns {
				return fmt.Errorf("a container of %d runs", n)
			}
			at += 2 + 4*n
		case card > mostArray:
			at += bitmapContainer
		default:
			at += 2 * card
		}
	}
	if at != len(b) {
		return errors.New("another length than its parts have")
	}
	return nil
}
