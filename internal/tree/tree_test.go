package tree

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	other "lukechampine.com/blake3"
	"lukechampine.com/blake3/guts"
	"pgregory.net/rapid"

	"lonja"
)

// pattern is the input of BLAKE3's published test vectors.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

// treeOf hashes a content piece by piece.
func treeOf(t testing.TB, content []byte) (Tree, lonja.FileID) {
	t.Helper()
	l, err := LayoutOf(int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	tr := Tree{Size: l.Size()}
	b := NewBuilder(l, nil)
	var h Hasher
	for i := range l.Pieces() {
		h.Reset(i)
		if _, err := h.Write(content[i*PieceSize:][:l.PieceLen(i)]); err != nil {
			t.Fatal(err)
		}
		hash := h.finish(l.Pieces() == 1)
		tr.Pieces = append(tr.Pieces, hash)
		if err := b.Add(i, hash); err != nil {
			t.Fatal(err)
		}
	}
	id, err := b.FileID()
	if err != nil {
		t.Fatal(err)
	}
	return tr, id
}

// The hashes of BLAKE3's own test vectors, and of "abc".
func TestKnownHashes(t *testing.T) {
	for content, want := range map[string]string{
		"":     "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
		"\x00": "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
		"abc":  "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
	} {
		if got := Sum([]byte(content)).String(); got != want {
			t.Errorf("%q: got %s, want %s", content, got, want)
		}
	}
}

// Every length at which something about the tree changes, hashed by another
// implementation as well.
func TestSameAsAnotherImplementation(t *testing.T) {
	sizes := []int{
		0, 1, 2, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 3073, 4096, 4097, 5120, 5121,
		6144, 6145, 7168, 7169, 8191, 8192, 8193, 9216, 9217, 16384, 16385, 31744, 65535, 65536, 65537, 102400,
		131071, 131072, 131073,
	}
	for _, pieces := range []int{1, 2, 3, 5, 8} {
		n := pieces * PieceSize
		sizes = append(sizes, n-1025, n-1024, n-1, n, n+1, n+1024, n+1025, n+65536, n+65537)
	}
	content := pattern(slices.Max(sizes))
	for _, size := range sizes {
		want := other.Sum256(content[:size])
		tr, got := treeOf(t, content[:size])
		if got != want {
			t.Errorf("%d bytes: got %s, want %s", size, got, hex.EncodeToString(want[:]))
		}
		if err := tr.Verify(got); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// A piece is a subtree: its hash is that of the other implementation's node.
func TestPieceIsASubtree(t *testing.T) {
	content := pattern(PieceSize)
	for _, piece := range []int64{0, 1, 5, 1 << 20, MaxSize/PieceSize - 1} {
		var h Hasher
		h.Reset(piece)
		if _, err := h.Write(content); err != nil {
			t.Fatal(err)
		}
		node := guts.CompressEigentree(content, &guts.IV, uint64(piece)*pieceChunks, 0)
		if got, want := h.Sum(), hashOf(guts.ChainingValue(node)); got != want {
			t.Errorf("piece %d: got %v, want %v", piece, got, want)
		}
	}
}

// However a piece arrives, and whatever the Hasher was used for before, its hash
// is the same.
func TestHasherTakesAnyParts(t *testing.T) {
	var h Hasher
	content := pattern(PieceSize)
	rapid.Check(t, func(t *rapid.T) {
		h.Reset(rapid.Int64Range(0, 3).Draw(t, "an unfinished piece"))
		_, _ = h.Write(content[:rapid.IntRange(0, 1<<17).Draw(t, "of it")])

		size := rapid.OneOf(rapid.IntRange(0, 3000), rapid.IntRange(0, PieceSize)).Draw(t, "size")
		h.Reset(0)
		for rest := content[:size]; len(rest) > 0; {
			n := min(len(rest), rapid.SampledFrom([]int{1, 7, 1000, 1024, 8191, 8192, 8193, 65536, 300000}).Draw(t, "part"))
			if _, err := h.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if h.Len() != size {
			t.Fatalf("Len is %d, want %d", h.Len(), size)
		}
		if got, want := h.Root(), other.Sum256(content[:size]); got != want {
			t.Fatalf("%d bytes: got %v, want %x", size, got, want)
		}
	})
}

func TestHasherRefusesMoreThanAPiece(t *testing.T) {
	var h Hasher
	h.Reset(0)
	if _, err := h.Write(make([]byte, PieceSize)); err != nil {
		t.Fatal(err)
	}
	if n, err := h.Write([]byte{1}); n != 0 || err == nil {
		t.Errorf("a byte too many: %d, %v", n, err)
	}
	if got, want := Hash(h.Root()), Hash(other.Sum256(make([]byte, PieceSize))); got != want {
		t.Errorf("afterwards: got %v, want %v", got, want)
	}
}

func TestHasherAllocatesNothing(t *testing.T) {
	var h Hasher
	content := pattern(PieceSize)
	if n := testing.AllocsPerRun(5, func() {
		h.Reset(0)
		_, _ = h.Write(content)
		_ = h.Sum()
	}); n != 0 {
		t.Errorf("%v allocations for a piece, want none", n)
	}
}

// slowJoin is the tree as the specification words it: the left side is the
// biggest full one that leaves something for the right.
func slowJoin(hashes []Hash, whole bool) Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	left := 1
	for 2*left < len(hashes) {
		left *= 2
	}
	var flags uint32
	if whole {
		flags = guts.FlagRoot
	}
	node := guts.ParentNode(slowJoin(hashes[:left], false).words(), slowJoin(hashes[left:], false).words(), &guts.IV, flags)
	return hashOf(guts.ChainingValue(node))
}

func someHashes(n int) []Hash {
	hashes := make([]Hash, n)
	rng := rand.NewChaCha8([32]byte{1})
	for i := range hashes {
		_, _ = rng.Read(hashes[i][:])
	}
	return hashes
}

// Contents of up to terabytes, of which only the hashes of the pieces are made
// up: the pages a Builder emits are those of the Layout, each is checked by the
// one above, and all together make the id of the tree as specified.
func TestPagesOfBigContents(t *testing.T) {
	for _, pieces := range []int64{2, 3, 1023, 1024, 1025, 2048, 2049, 3000, 1<<20 + 1025} {
		l, err := LayoutOf(pieces*PieceSize - 5)
		if err != nil {
			t.Fatal(err)
		}
		hashes := someHashes(int(pieces))
		outboard := AppendSize(make([]byte, 0, l.OutboardSize()), l)
		outboard = outboard[:cap(outboard)]
		b := NewBuilder(l, func(p Page, hashes []Hash) error {
			if len(hashes) != l.PageLen(p) {
				t.Errorf("%d pieces: %+v has %d hashes, want %d", pieces, p, len(hashes), l.PageLen(p))
			}
			copy(outboard[l.Offset(p):], AppendPage(nil, hashes))
			return nil
		})
		for i, h := range hashes {
			if err := b.Add(int64(i), h); err != nil {
				t.Fatal(err)
			}
		}
		id, err := b.FileID()
		if err != nil {
			t.Fatal(err)
		}
		if want := slowJoin(hashes, true); id != lonja.FileID(want) {
			t.Fatalf("%d pieces: id %v, want %v", pieces, id, want)
		}
		o, err := OpenOutboard(bytes.NewReader(outboard), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int64{0, 1, pieces / 2, pieces - 1} {
			if got, err := o.Piece(i); err != nil || got != hashes[i] {
				t.Errorf("%d pieces: piece %d is %v (%v), want %v", pieces, i, got, err, hashes[i])
			}
		}
	}
}

// A page that is not right is believed neither itself nor for what it says of
// others; pages beside it still are.
func TestOutboardFindsWhatIsWrong(t *testing.T) {
	const pieces = 2500
	l, _ := LayoutOf(pieces * PieceSize)
	tr := Tree{Size: l.Size(), Pieces: someHashes(pieces)}
	id := lonja.FileID(Join(tr.Pieces, true))
	good, err := tr.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		at   int64
		fine []int64 // pieces that can still be read
	}{
		"in the top page":   {l.Offset(Page{Level: 1}) + 40, nil},
		"in the first page": {l.Offset(Page{0, 0}) + 5, []int64{1024, 2047, 2499}},
		"at the end":        {int64(len(good)) - 1, []int64{0, 1023, 1024, 2047}},
		"in the size":       {6, []int64{0, 1023, 1024, 2047}},
	} {
		t.Run(name, func(t *testing.T) {
			bad := bytes.Clone(good)
			bad[tc.at] ^= 0x80
			if _, err := ParseTree(bad, id); !errors.Is(err, lonja.Untrusted) && !errors.Is(err, lonja.Malformed) {
				t.Errorf("ParseTree: %v", err)
			}
			o, err := OpenOutboard(bytes.NewReader(bad), id)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range []int64{0, 1023, 1024, 2047, 2499} {
				got, err := o.Piece(i)
				switch {
				case err == nil && got != tr.Pieces[i]:
					t.Errorf("piece %d: a wrong hash was believed", i)
				case err == nil != slices.Contains(tc.fine, i):
					t.Errorf("piece %d: %v", i, err)
				}
			}
		})
	}
	if _, err := ParseTree(good[:len(good)-1], id); !errors.Is(err, lonja.Malformed) {
		t.Errorf("a short one: %v, want Malformed", err)
	}
	if o, err := OpenOutboard(bytes.NewReader(good[:len(good)-1]), id); err != nil {
		t.Fatal(err)
	} else if _, err := o.Piece(2499); !errors.Is(err, lonja.Malformed) {
		t.Errorf("a piece of a short one: %v, want Malformed", err)
	}
	if got, err := ParseTree(good, id); err != nil || !slices.Equal(got.Pieces, tr.Pieces) {
		t.Errorf("what was not changed: %v", err)
	}
}

func TestCheckPiece(t *testing.T) {
	content := pattern(3*PieceSize + 100)
	tr, id := treeOf(t, content)
	if err := tr.Verify(id); err != nil {
		t.Fatal(err)
	}
	piece := content[PieceSize : 2*PieceSize]
	if err := tr.Check(1, piece); err != nil {
		t.Errorf("piece 1: %v", err)
	}
	if err := tr.Check(3, content[3*PieceSize:]); err != nil {
		t.Errorf("piece 3: %v", err)
	}
	wrong := bytes.Clone(piece)
	wrong[len(wrong)-1] ^= 1
	for name, err := range map[string]error{
		"a bit changed":  tr.Check(1, wrong),
		"another's":      tr.Check(2, piece),
		"short":          tr.Check(1, piece[:len(piece)-1]),
		"none such":      tr.Check(4, piece),
		"before them":    tr.Check(-1, piece),
		"another size":   Tree{tr.Size + PieceSize, tr.Pieces}.Verify(id),
		"another id":     tr.Verify(lonja.FileID{1}),
		"negative size":  Tree{-1, tr.Pieces}.Verify(id),
		"hashes swapped": Tree{tr.Size, []Hash{tr.Pieces[1], tr.Pieces[0], tr.Pieces[2], tr.Pieces[3]}}.Verify(id),
	} {
		if !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: %v, want Untrusted", name, err)
		}
	}
}

func TestSizesThatAreNone(t *testing.T) {
	for _, size := range []int64{-1, MaxSize + 1} {
		if _, err := LayoutOf(size); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%d: %v, want Invalid", size, err)
		}
	}
	if l, err := LayoutOf(MaxSize); err != nil || l.Levels() != 3 {
		t.Errorf("the biggest: %d levels (%v), want 3", l.Levels(), err)
	}
}

// Pieces come in any order, and once.
func TestBuilderTakesAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.OneOf(rapid.IntRange(1, 40), rapid.IntRange(1000, 2100)).Draw(t, "pieces")
		l, _ := LayoutOf(int64(pieces) * PieceSize)
		hashes := someHashes(pieces)
		order := make([]int, pieces)
		for i := range order {
			order[i] = i
		}
		for i := range min(pieces, 30) {
			j := rapid.IntRange(0, pieces-1).Draw(t, "with")
			order[i], order[j] = order[j], order[i]
		}
		b := NewBuilder(l, nil)
		for _, i := range order {
			if _, err := b.FileID(); err == nil {
				t.Fatal("an id before all pieces are in")
			}
			if err := b.Add(int64(i), hashes[i]); err != nil {
				t.Fatal(err)
			}
			if err := b.Add(int64(i), hashes[i]); err == nil {
				t.Fatal("a piece was taken twice")
			}
		}
		if id, err := b.FileID(); err != nil || Hash(id) != slowJoin(hashes, true) {
			t.Fatalf("id %v (%v), want %v", id, err, slowJoin(hashes, true))
		}
	})
}

func TestBuilderRefusesPiecesThatAreNot(t *testing.T) {
	l, _ := LayoutOf(2 * PieceSize)
	b := NewBuilder(l, nil)
	for _, i := range []int64{-1, 2} {
		if err := b.Add(i, Hash{}); !errors.Is(err, lonja.Internal) {
			t.Errorf("piece %d: %v, want Internal", i, err)
		}
	}
	broken := errors.New("no room")
	b = NewBuilder(l, func(Page, []Hash) error { return broken })
	if err := errors.Join(b.Add(0, Hash{}), b.Add(1, Hash{})); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

func FuzzParseTree(f *testing.F) {
	for _, size := range []int64{0, 1, PieceSize, PieceSize + 1, 5 * PieceSize, 1100 * PieceSize} {
		l, _ := LayoutOf(size)
		tr := Tree{size, someHashes(int(l.Pieces()))}
		b, err := tr.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		id := Join(tr.Pieces, true)
		f.Add(b, id[:])
	}
	f.Add([]byte(strings.Repeat("\xff", 50)), make([]byte, 32))
	f.Fuzz(func(t *testing.T, b, id []byte) {
		want := lonja.FileID(append(id, make([]byte, 32)...))
		tr, err := ParseTree(b, want)
		if err != nil {
			if kind := lonja.KindOf(err); kind != lonja.Untrusted && kind != lonja.Malformed {
				t.Fatalf("kind %v: %v", kind, err)
			}
			return
		}
		if err := tr.Verify(want); err != nil {
			t.Fatal(err)
		}
		if again, err := tr.AppendBinary(nil); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("encoded again it is %x (%v), was %x", again, err, b)
		}
	})
}

func FuzzParsePage(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, hashLen+1))
	f.Add(AppendPage(nil, someHashes(3)))
	f.Add(make([]byte, (PageHashes+1)*hashLen))
	f.Fuzz(func(t *testing.T, b []byte) {
		hashes, err := ParsePage(b)
		if err != nil {
			if !errors.Is(err, lonja.Malformed) {
				t.Fatal(err)
			}
			return
		}
		if again := AppendPage(nil, hashes); !bytes.Equal(again, b) {
			t.Fatalf("encoded again it is %x, was %x", again, b)
		}
	})
}
