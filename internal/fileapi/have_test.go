package fileapi

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"lonja"
)

// What is sent for some pieces, as docs/protocol.md shows it.
func TestHaveBytes(t *testing.T) {
	for want, have := range map[string]*roaring.Bitmap{
		"0100":                 nil,
		"01013a30000000000000": roaring.New(),
		"01013a30000001000000000001001000000000000300": roaring.BitmapOf(0, 3),
	} {
		if got := hex.EncodeToString(AppendHave(nil, have)); got != want {
			t.Errorf("%v: got %s, want %s", have, got, want)
		}
	}
	if got := AppendHave([]byte("x"), nil); string(got) != "x\x01\x00" {
		t.Errorf("got %q", got)
	}
}

func TestHaveComesBack(t *testing.T) {
	if have, err := ParseHave(AppendHave(nil, nil), 1); have != nil || err != nil {
		t.Errorf("all: got %v, %v", have, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.Int64Range(1, 1<<30).Draw(t, "pieces")
		want := roaring.New()
		for range rapid.IntRange(0, 10).Draw(t, "ranges") {
			first := rapid.Int64Range(0, pieces-1).Draw(t, "first")
			length := rapid.Int64Range(1, min(pieces-first, 1<<22)).Draw(t, "length")
			want.AddRange(uint64(first), uint64(first+length))
		}
		for range rapid.IntRange(0, 100).Draw(t, "single") {
			want.Add(uint32(rapid.Int64Range(0, pieces-1).Draw(t, "piece")))
		}
		before := want.Clone()
		b := AppendHave(nil, want)
		got, err := ParseHave(b, pieces)
		if err != nil || !got.Equals(want) || !want.Equals(before) {
			t.Fatalf("of %d pieces %v comes back as %v, %v", pieces, want, got, err)
		}
		if !want.IsEmpty() {
			last := int64(want.Maximum())
			if _, err := ParseHave(b, last); !errors.Is(err, lonja.Malformed) {
				t.Fatalf("piece %d of %d: got %v", last, last, err)
			}
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, err := ParseHave(b[:cut], pieces); !errors.Is(err, lonja.Malformed) {
			t.Fatalf("cut at %d of %d: got %v", cut, len(b), err)
		}
	})
}

// What is too much to be told is told in part, and the part is true.
func TestHaveIsBounded(t *testing.T) {
	scattered := func(pieces uint32) *roaring.Bitmap {
		rng, have := rand.New(rand.NewPCG(1, 2)), roaring.New()
		for word := uint32(0); word < pieces; word += 32 {
			bits := rng.Uint32()
			for i := range uint32(32) {
				if bits>>i&1 != 0 {
					have.Add(word + i)
				}
			}
		}
		return have
	}
	fits, much := scattered(4<<20), scattered(16<<20)
	if got, err := ParseHave(AppendHave(nil, fits), 4<<20); err != nil || !got.Equals(fits) {
		t.Errorf("4 TiB: %v", err)
	}
	b := AppendHave(nil, much)
	got, err := ParseHave(b, 16<<20)
	if err != nil || len(b) > MaxHave || len(b) < MaxHave/2 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if told := got.Maximum(); got.GetCardinality() != much.Rank(told) || got.AndCardinality(much) != got.GetCardinality() {
		t.Error("what is told is not the beginning of what is there")
	}
	runs := roaring.New()
	runs.AddRange(0, 1<<30)
	runs.RemoveRange(5, 1<<29)
	if got, err := ParseHave(AppendHave(nil, runs), 1<<30); err != nil || !got.Equals(runs) {
		t.Errorf("runs of the largest content: %v", err)
	}
}

// bitmap is a body with these bytes as its bitmap.
func bitmap(parts ...[]byte) []byte { return append([]byte{1, 1}, bytes.Join(parts, nil)...) }

func le16(values ...uint16) (b []byte) {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

func le32(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// manyRuns is a container of so many runs, of one number each.
func manyRuns(n int) []byte {
	b := le16(uint16(n))
	for i := range n {
		b = append(b, le16(uint16(2*i), 0)...)
	}
	return b
}

func TestHaveThatIsNone(t *testing.T) {
	one := AppendHave(nil, roaring.BitmapOf(1, 7))
	for name, b := range map[string][]byte{
		"nothing":               {},
		"half a header":         {1},
		"another version":       {2, 0},
		"neither":               {1, 2},
		"all, and more":         {1, 0, 0},
		"some, and no bitmap":   {1, 1},
		"no bitmap":             bitmap(le32(12345, 0)),
		"more than a bitmap":    append(bytes.Clone(one), 0),
		"too long":              make([]byte, MaxHave+1),
		"an endless count":      bitmap(le32(cookiePlain, 1<<32-1)),
		"as many as there are":  bitmap(le32(cookiePlain, 1<<16)),
		"endless runs":          bitmap(le32(0xffff0000|cookieRuns, 0)),
		"piece 100":             AppendHave(nil, roaring.BitmapOf(100)),
		"piece 2^32-1":          AppendHave(nil, roaring.BitmapOf(1<<32-1)),
		"out of order":          bitmap(le32(cookiePlain, 1), le16(0, 1), le32(16), le16(7, 1)),
		"twice the same":        bitmap(le32(cookiePlain, 1), le16(0, 1), le32(16), le16(7, 7)),
		"another cardinality":   bitmap(le32(cookiePlain, 1), le16(0, 5000), le32(16), make([]byte, bitmapContainer)),
		"no run":                bitmap(le32(cookieRuns), []byte{1}, le16(0, 0), le16(0)),
		"a run behind the end":  bitmap(le32(cookieRuns), []byte{1}, le16(0, 0), le16(1, 65535, 5)),
		"runs that overlap":     bitmap(le32(cookieRuns), []byte{1}, le16(0, 0), le16(2, 0, 5, 3, 5)),
		"runs that touch":       bitmap(le32(cookieRuns), []byte{1}, le16(0, 9), le16(2, 0, 4, 5, 4)),
		"runs of other numbers": bitmap(le32(cookieRuns), []byte{1}, le16(0, 9), le16(1, 0, 4)),
		"keys out of order":     bitmap(le32(cookiePlain, 2), le16(0, 0, 0, 0), le32(24, 26), le16(1, 2)),
		"runs that make no use": bitmap(le32(cookieRuns), []byte{1}, le16(0, 0), manyRuns(mostRuns+1)),
	} {
		if got, err := ParseHave(b, 100); !errors.Is(err, lonja.Malformed) {
			t.Errorf("%s: got %v, %v, want one that is Malformed", name, got, err)
		}
	}
}

// A body that would be as much work as can be for the library, which compares every
// run of a container with every other.
func BenchmarkParseHaveWorst(b *testing.B) {
	const containers = 120
	flags := bytes.Repeat([]byte{0xff}, containers/8)
	var descriptions, contents []byte
	for i := range containers {
		descriptions = append(descriptions, le16(uint16(i), mostRuns-1)...)
		contents = append(contents, manyRuns(mostRuns)...)
	}
	body := bitmap(le32((containers-1)<<16|cookieRuns), flags, descriptions, make([]byte, 4*containers), contents)
	for b.Loop() {
		have, err := ParseHave(body, containers*containerSpan)
		if err != nil || have.GetCardinality() != containers*mostRuns {
			b.Fatalf("%d bytes: %v", len(body), err)
		}
	}
}

func FuzzParseHave(f *testing.F) {
	spread := roaring.BitmapOf(0, 5, 70_000)
	spread.AddRange(100_000, 500_000)
	for _, have := range []*roaring.Bitmap{nil, roaring.New(), roaring.BitmapOf(1, 2, 9), spread} {
		f.Add(AppendHave(nil, have), int64(1<<20))
	}
	f.Fuzz(func(t *testing.T, b []byte, pieces int64) {
		if pieces < 1 || pieces > 1<<30 {
			pieces = 1 << 20
		}
		have, err := ParseHave(b, pieces)
		if err != nil {
			if !errors.Is(err, lonja.Malformed) {
				t.Fatalf("got %v", err)
			}
			return
		}
		if have != nil && !have.IsEmpty() && int64(have.Maximum()) >= pieces {
			t.Fatalf("piece %d of %d", have.Maximum(), pieces)
		}
		if have != nil {
			if err := have.Validate(); err != nil {
				t.Fatalf("the library finds it unsound: %v", err)
			}
		}
		again, err := ParseHave(AppendHave(nil, have), pieces)
		if err != nil || (again == nil) != (have == nil) || have != nil && !again.Equals(have) {
			t.Fatalf("%v comes back as %v, %v", have, again, err)
		}
	})
}
