package unfinished

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cespare/xxhash/v2"

	"lonja"
	"lonja/internal/tree"
)

// The file record has two slots of the same length, which are written in turn,
// so that a write that is cut short leaves the one before. A slot is
//
//	8   "lonja\x00p1"
//	8   its generation, most significant byte first, as all numbers
//	32  the file id
//	8   the size of the content
//	n   a bit for each piece, set if it is good, the lowest of a byte first;
//	    n is a multiple of 8, and the bits behind the last piece are zero
//	8   XXH64 of all that
//
// and zeros up to a multiple of slotAlign: for 1 TiB it has 128 KiB. The sound
// slot with the higher generation counts. The sum is for accidents; who could
// write to the record could write to the data.
const (
	slotMagic  = "lonja\x00p1"
	slotHeader = 8 + 8 + 32 + 8
	slotSum    = 8
	slotAlign  = 4096 // no page of a slot is written with the other one
)

// bitsLen returns how long the bits for the pieces of a content are, in bytes.
func bitsLen(l tree.Layout) int64 { return (l.Pieces() + 63) / 64 * 8 }

// slotLen returns how much room a slot has, in bytes.
func slotLen(l tree.Layout) int64 {
	n := slotHeader + bitsLen(l) + slotSum
	return (n + slotAlign - 1) / slotAlign * slotAlign
}

// A slot is what one slot says.
type slot struct {
	generation uint64
	id         lonja.FileID
	layout     tree.Layout
	good       *roaring.Bitmap
}

// appendSlot appends a slot, without the zeros behind it.
func appendSlot(b []byte, s slot) []byte {
	begin := len(b)
	b = append(b, slotMagic...)
	b = binary.BigEndian.AppendUint64(b, s.generation)
	b = append(b, s.id[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.layout.Size()))
	words := make([]uint64, bitsLen(s.layout)/8)
	s.good.WriteDenseTo(words)
	for _, w := range words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return binary.BigEndian.AppendUint64(b, xxhash.Sum64(b[begin:]))
}

// parseSlot is the way back, for the content that is expected: the error is of
// kind Damaged if b does not begin with a sound slot of it. It reads no more
// than the bits for that content, whatever b says.
func parseSlot(b []byte, id lonja.FileID, l tree.Layout) (slot, error) {
	sumAt := slotHeader + bitsLen(l)
	if int64(len(b)) < sumAt+slotSum {
		return slot{}, damaged("it is too short")
	}
	if xxhash.Sum64(b[:sumAt]) != binary.BigEndian.Uint64(b[sumAt:]) || string(b[:8]) != slotMagic {
		return slot{}, damaged("it was not written so")
	}
	if !bytes.Equal(b[16:48], id[:]) || binary.BigEndian.Uint64(b[48:]) != uint64(l.Size()) {
		return slot{}, damaged("it is of another content")
	}
	words := make([]uint64, 0, bitsLen(l)/8)
	for at := int64(slotHeader); at < sumAt; at += 8 {
		words = append(words, binary.LittleEndian.Uint64(b[at:]))
	}
	good := roaring.FromDense(words, true)
	if !good.IsEmpty() && int64(good.Maximum()) >= l.Pieces() {
		return slot{}, damaged("it has a piece that there is not")
	}
	return slot{binary.BigEndian.Uint64(b[8:]), id, l, good}, nil
}

func damaged(why string) error { return lonja.E(lonja.Damaged, "read a record", errors.New(why)) }

// A recorder reads and writes the record of one content. It is for one
// goroutine at a time.
type recorder struct {
	file       *os.File
	id         lonja.FileID
	layout     tree.Layout
	generation uint64 // of what it says
	buf        []byte
}

// read returns the pieces that are good, or nil if no slot is sound. What cannot
// be read is not.
func (r *recorder) read() (good *roaring.Bitmap) {
	length := slotLen(r.layout)
	b := make([]byte, length)
	for i := range int64(2) {
		n, _ := r.file.ReadAt(b, i*length)
		s, err := parseSlot(b[:n], r.id, r.layout)
		if err == nil && (good == nil || s.generation > r.generation) {
			r.generation, good = s.generation, s.good
		}
	}
	return good
}

// write records good, and nothing else, and waits until that is on the disk.
// After an error the one before still holds, and the next write takes the same
// slot.
func (r *recorder) write(good *roaring.Bitmap) error {
	next := slot{r.generation + 1, r.id, r.layout, good}
	r.buf = appendSlot(r.buf[:0], next)
	if _, err := r.file.WriteAt(r.buf, int64(next.generation%2)*slotLen(r.layout)); err != nil {
		return err
	}
	if err := r.file.Sync(); err != nil {
		return err
	}
	r.generation = next.generation
	return nil
}
