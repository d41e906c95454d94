package fileapi

import (
	"bytes"
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
	if err := checkBitmap(b, (pieces+containerSpan-1)/containerSpan); err != nil {
		return nil, badHave(err)
	}
	have := roaring.New()
	if _, err := have.ReadFrom(bytes.NewReader(b)); err != nil {
		return nil, badHave(err)
	}
	if !have.IsEmpty() && int64(have.Maximum()) >= pieces {
		return nil, badHave(fmt.Errorf("piece %d of %d", have.Maximum(), pieces))
	}
	return have, nil
}

func badHave(cause error) error {
	return lonja.E(lonja.Malformed, "read which pieces there are", cause)
}
