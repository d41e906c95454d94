package unfinished

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cespare/xxhash/v2"

	"lonja"
	"lonja/internal/tree"
)

func layoutOf(t testing.TB, size int64) tree.Layout {
	t.Helper()
	l, err := tree.LayoutOf(size)
	must(t, err)
	return l
}

func TestSlot(t *testing.T) {
	for _, pieces := range []int64{1, 2, 63, 64, 65, 66_000, 1 << 20} {
		l := layoutOf(t, (pieces-1)*tree.PieceSize+1)
		first, all := roaring.BitmapOf(0), roaring.New()
		all.AddRange(0, uint64(pieces))
		odd := roaring.New()
		for p := int64(1); p < pieces; p += 2 {
			odd.Add(uint32(p))
		}
		runs := all.Clone()
		runs.Remove(uint32(pieces / 2))
		runs.RunOptimize()
		for _, good := range []*roaring.Bitmap{roaring.New(), first, all, odd, runs, roaring.BitmapOf(uint32(pieces - 1))} {
			want := slot{7, idA, l, good}
			b := appendSlot(nil, want)
			if int64(len(b)) > slotLen(l) {
				t.Errorf("%d pieces: %d bytes do not fit into %d", pieces, len(b), slotLen(l))
			}
			got, err := parseSlot(b, idA, l)
			if err != nil || got.generation != 7 || !got.good.Equals(good) {
				t.Errorf("%d pieces: got %v, %v; want %v", pieces, got.good, err, good)
			}
		}
	}
}

// TestSlotDamage: no bit of a slot may be another one, and none be missing.
func TestSlotDamage(t *testing.T) {
	l := layoutOf(t, 70*tree.PieceSize)
	b := appendSlot(nil, slot{1, idA, l, roaring.BitmapOf(1, 69)})
	for i := range len(b) * 8 {
		b[i/8] ^= 1 << (i % 8)
		if _, err := parseSlot(b, idA, l); !errors.Is(err, lonja.Damaged) {
			t.Errorf("bit %d is another one: error is %v", i, err)
		}
		b[i/8] ^= 1 << (i % 8)
	}
	for i := range b {
		if _, err := parseSlot(b[:i], idA, l); !errors.Is(err, lonja.Damaged) {
			t.Errorf("%d of %d bytes: error is %v", i, len(b), err)
		}
	}
	for name, err := range map[string]error{
		"another id":   second(parseSlot(b, idB, l)),
		"another size": second(parseSlot(b, idA, layoutOf(t, l.Size()-1))),
		"a piece that there is not": second(parseSlot(
			appendSlot(nil, slot{1, idA, l, roaring.BitmapOf(70)}), idA, l)),
	} {
		if !errors.Is(err, lonja.Damaged) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func second(_ slot, err error) error { return err }

// FuzzParseSlot: whatever is on disk, a slot is refused or is what appendSlot
// makes of what it says. With seal, what guards it is made to fit, so that the
// rest is looked at.
func FuzzParseSlot(f *testing.F) {
	for _, size := range []int64{0, 1, 70 * tree.PieceSize, 300 * tree.PieceSize} {
		b := appendSlot(nil, slot{3, idA, layoutOf(f, size), roaring.BitmapOf(0)})
		f.Add(b, uint32(size), false)
		f.Add(b, uint32(size), true)
		f.Add(append(b, 1, 2, 3), uint32(size), true)
		f.Add(b[:len(b)-1], uint32(size), false)
	}
	f.Add([]byte{}, uint32(0), true)
	f.Add(bytes.Repeat([]byte{0xff}, 500), uint32(1000*tree.PieceSize), true)
	f.Fuzz(func(t *testing.T, b []byte, size uint32, seal bool) {
		l := layoutOf(t, int64(size))
		if sumAt := slotHeader + int(bitsLen(l)); seal && len(b) >= sumAt+slotSum {
			copy(b, slotMagic)
			copy(b[16:], idA[:])
			binary.BigEndian.PutUint64(b[48:], uint64(size))
			binary.BigEndian.PutUint64(b[sumAt:], xxhash.Sum64(b[:sumAt]))
		}
		s, err := parseSlot(b, idA, l)
		if err != nil {
			if !errors.Is(err, lonja.Damaged) {
				t.Fatalf("error is %v", err)
			}
			return
		}
		again := appendSlot(nil, s)
		if !bytes.Equal(again, b[:len(again)]) {
			t.Fatalf("%x says the same as %x", b, again)
		}
	})
}
