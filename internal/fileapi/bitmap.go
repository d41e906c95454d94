package fileapi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// The portable format of roaring bitmaps: a cookie, the number of containers, a
// bit for each that says whether it has runs, the key and the cardinality less one
// of each, where each begins, and the containers. A container is for the numbers
// that have its key as their upper half.
const (
	containerSpan   = 1 << 16
	cookieRuns      = 12347 // with the number of containers, less one, in the upper half
	cookiePlain     = 12346 // none has runs, and there are no bits; the number follows
	fewestOffsets   = 4     // containers, with cookieRuns, for which it is told where they begin
	mostArray       = 4096  // numbers in a container that lists them
	bitmapContainer = containerSpan / 8
	// mostRuns is how many runs a container may have: with more it would be longer
	// than one without runs.
	mostRuns = (bitmapContainer - 2) / 4
)

var (
	errShort   = errors.New("it ends too early")
	errOrder   = errors.New("it is not in order")
	errNumbers = errors.New("a container has another cardinality than it should")
)

// checkBitmap reports whether b is a sound bitmap of at most so many containers.
// The library can do that too, but takes time with the square of the runs: seconds
// for a body as long as MaxHave. What this takes, that finds sound: a fuzz test
// holds it to that.
func checkBitmap(b []byte, most int64) error {
	if len(b) < 8 {
		return errShort
	}
	cookie := binary.LittleEndian.Uint32(b)
	count, runs, rest := int64(binary.LittleEndian.Uint32(b[4:])), []byte(nil), b[8:]
	if cookie&0xffff == cookieRuns {
		count = int64(cookie>>16) + 1
		rest = b[4:]
	} else if cookie != cookiePlain {
		return errors.New("no bitmap")
	}
	if count > most {
		return errors.New("pieces that there are not")
	}
	if cookie != cookiePlain {
		var err error
		if runs, rest, err = cut(rest, int(count+7)/8); err != nil {
			return err
		}
	}
	descriptions, rest, err := cut(rest, 4*int(count))
	if err == nil && (runs == nil || count >= fewestOffsets) {
		_, rest, err = cut(rest, 4*int(count))
	}
	before := -1
	for i := 0; i < int(count) && err == nil; i++ {
		key := int(binary.LittleEndian.Uint16(descriptions[4*i:]))
		card := int(binary.LittleEndian.Uint16(descriptions[4*i+2:])) + 1
		if key <= before {
			return errOrder
		}
		before = key
		rest, err = checkContainer(rest, card, runs != nil && runs[i/8]>>(i%8)&1 != 0)
	}
	if err == nil && len(rest) > 0 {
		err = errors.New("more than a bitmap")
	}
	return err
}

// cut returns the first n bytes of b, and the others.
func cut(b []byte, n int) (first, rest []byte, err error) {
	if len(b) < n {
		return nil, nil, errShort
	}
	return b[:n], b[n:], nil
}

// checkContainer reports whether b begins with a sound container of so many
// numbers, and returns what follows it.
func checkContainer(b []byte, card int, runs bool) (rest []byte, err error) {
	var content []byte
	switch {
	case runs:
		if len(b) < 2 {
			return nil, errShort
		}
		n := int(binary.LittleEndian.Uint16(b))
		if n > mostRuns {
			return nil, fmt.Errorf("a container of %d runs", n)
		}
		if content, rest, err = cut(b[2:], 4*n); err == nil {
			err = checkRuns(content, card)
		}
	case card > mostArray:
		if content, rest, err = cut(b, bitmapContainer); err == nil {
			err = checkBits(content, card)
		}
	default:
		if content, rest, err = cut(b, 2*card); err == nil {
			err = checkArray(content)
		}
	}
	return rest, err
}

// checkRuns looks at runs: where each begins, and how long it is, less one. There
// is a gap between any two.
func checkRuns(b []byte, card int) error {
	free, numbers := 0, 0 // the first number that may be in a run; those in runs
	for ; len(b) > 0; b = b[4:] {
		start, more := int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
		if start < free || start+more >= containerSpan {
			return errOrder
		}
		free = start + more + 2
		numbers += more + 1
	}
	if numbers != card {
		return errNumbers
	}
	return nil
}

func checkBits(b []byte, card int) error {
	numbers := 0
	for ; len(b) > 0; b = b[8:] {
		numbers += bits.OnesCount64(binary.LittleEndian.Uint64(b))
	}
	if numbers != card {
		return errNumbers
	}
	return nil
}

func checkArray(b []byte) error {
	before := -1
	for ; len(b) > 0; b = b[2:] {
		number := int(binary.LittleEndian.Uint16(b))
		if number <= before {
			return errOrder
		}
		before = number
	}
	return nil
}
