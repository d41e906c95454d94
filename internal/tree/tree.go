package tree

import (
	"bytes"
	"fmt"

	"lonja"
)

// A Tree has the hashes of all pieces of a content in memory: 32 bytes for each
// MiB. Where that may be too much, an Outboard does the same from pages.
type Tree struct {
	Size   int64  // of the content, in bytes
	Pieces []Hash // one for each piece
}

// Verify reports whether t is the tree of id. The error is of kind Untrusted.
func (t Tree) Verify(id lonja.FileID) error {
	l, err := LayoutOf(t.Size)
	if err != nil || int64(len(t.Pieces)) != l.Pieces() {
		return mismatch("a tree of %d hashes for %d bytes", len(t.Pieces), t.Size)
	}
	if !Join(t.Pieces, true).equal(Hash(id)) {
		return mismatch("the tree")
	}
	return nil
}

// Check reports whether content is a piece of t, which was verified. The error
// is of kind Untrusted.
func (t Tree) Check(piece int64, content []byte) error {
	l, err := LayoutOf(t.Size)
	if err != nil || piece < 0 || piece >= int64(len(t.Pieces)) {
		return mismatch("piece %d of %d", piece, len(t.Pieces))
	}
	return l.CheckPiece(piece, content, t.Pieces[piece])
}

// AppendBinary appends t as an outboard; Layout.Offset says what stands where.
// t is one whose number of pieces is that of its size.
func (t Tree) AppendBinary(b []byte) ([]byte, error) {
	l, err := LayoutOf(t.Size)
	if err != nil {
		return nil, err
	}
	begin := len(b)
	b = AppendSize(b, l)
	b = append(b, make([]byte, l.OutboardSize()-sizeLen)...)
	builder := NewBuilder(l, func(p Page, hashes []Hash) error {
		at := begin + int(l.Offset(p))
		AppendPage(b[at:at], hashes)
		return nil
	})
	for i, h := range t.Pieces {
		if err := builder.Add(int64(i), h); err != nil {
			return nil, err
		}
	}
	_, err = builder.FileID()
	return b, err
}

// ParseTree reads an outboard, all of b, and checks every page of it. The error
// is of kind Malformed, or Untrusted if it is not the outboard of id.
func ParseTree(b []byte, id lonja.FileID) (Tree, error) {
	o, err := OpenOutboard(bytes.NewReader(b), id)
	if err != nil {
		return Tree{}, err
	}
	l := o.Layout()
	if int64(len(b)) != l.OutboardSize() {
		return Tree{}, malformed(fmt.Errorf("it has %d bytes, not %d", len(b), l.OutboardSize()))
	}
	t := Tree{Size: l.Size(), Pieces: make([]Hash, l.Pieces())}
	for i := range t.Pieces {
		if t.Pieces[i], err = o.Piece(int64(i)); err != nil {
			return Tree{}, err
		}
	}
	return t, nil
}
