package tree

import (
	"errors"
	"fmt"
	"io"

	"lonja"
)

// An Outboard reads the hashes of pieces from where they are kept, a page at a
// time, and believes none that it did not check against the FileID. It keeps one
// page of each level: to ask for neighbours is cheap. It is for one goroutine.
type Outboard struct {
	src    io.ReaderAt
	id     lonja.FileID
	layout Layout
	pages  []outboardPage // by level
}

type outboardPage struct {
	index  int64
	hashes []Hash // nil if none is kept
}

// OpenOutboard reads the size of the content from src, which it goes on reading
// from, in pages. Of the size, the number of pieces is checked with the pages,
// and the rest when the last piece is. The error is of kind Malformed, or what src says.
func OpenOutboard(src io.ReaderAt, id lonja.FileID) (*Outboard, error) {
	var b [sizeLen]byte
	if err := readAt(src, b[:], 0); err != nil {
		return nil, err
	}
	l, err := ParseSize(b[:])
	if err != nil {
		return nil, err
	}
	return &Outboard{src: src, id: id, layout: l, pages: make([]outboardPage, l.Levels())}, nil
}

// readAt fills b; a source that ends too early is malformed.
func readAt(src io.ReaderAt, b []byte, offset int64) error {
	n, err := src.ReadAt(b, offset)
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF):
		return malformed(io.ErrUnexpectedEOF)
	}
	return err
}

// Layout returns the layout of the content.
func (o *Outboard) Layout() Layout { return o.layout }

// Piece returns the hash of a piece. The errors are Untrusted if the pages on
// the way are not those of the FileID, Malformed if they end too early,
// Invalid if there is no such piece, and what the source says.
func (o *Outboard) Piece(piece int64) (Hash, error) {
	if piece < 0 || piece >= o.layout.Pieces() {
		return Hash{}, lonja.E(lonja.Invalid, "read a tree", fmt.Errorf("there is no piece %d", piece))
	}
	if len(o.pages) == 0 {
		return Hash(o.id), nil
	}
	p, place := PageOf(piece)
	hashes, err := o.page(p)
	if err != nil {
		return Hash{}, err
	}
	return hashes[place], nil
}

// page returns a page that was checked. It calls itself for the one above, as
// deep as there are levels: three at most.
func (o *Outboard) page(p Page) ([]Hash, error) {
	kept := &o.pages[p.Level]
	if kept.hashes != nil && kept.index == p.Index {
		return kept.hashes, nil
	}
	want := Hash(o.id)
	if top, _ := o.layout.Top(); p != top {
		above, place := p.Above()
		hashes, err := o.page(above)
		if err != nil {
			return nil, err
		}
		want = hashes[place]
	}
	b := make([]byte, o.layout.PageLen(p)*hashLen)
	if err := readAt(o.src, b, o.layout.Offset(p)); err != nil {
		return nil, err
	}
	hashes, err := ParsePage(b)
	if err != nil {
		return nil, err
	}
	if err := o.layout.CheckPage(p, hashes, want); err != nil {
		return nil, err
	}
	*kept = outboardPage{p.Index, hashes}
	return hashes, nil
}

// Check reports whether content is a piece. Errors as for Piece; Untrusted if
// it is not.
func (o *Outboard) Check(piece int64, content []byte) error {
	want, err := o.Piece(piece)
	if err != nil {
		return err
	}
	return o.layout.CheckPiece(piece, content, want)
}

// CheckPiece reports whether content is the piece whose hash is want. The error
// is of kind Untrusted.
func (l Layout) CheckPiece(piece int64, content []byte, want Hash) error {
	if piece < 0 || piece >= l.Pieces() || len(content) != l.PieceLen(piece) {
		return mismatch("piece %d, of %d bytes,", piece, len(content))
	}
	var h Hasher
	h.Reset(piece)
	if _, err := h.Write(content); err != nil {
		return err
	}
	if !h.finish(l.Pieces() == 1).equal(want) {
		return mismatch("piece %d", piece)
	}
	return nil
}
