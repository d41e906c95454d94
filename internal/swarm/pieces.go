package swarm

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/tree"
	"lonja/internal/unfinished"
)

// Pieces are what a Swarm has of its content, as package fileserver serves it:
// fileserver.Pieces. Its methods may be called by any number of goroutines at once,
// until the File that the Swarm fetches into is closed.
type Pieces struct {
	*unfinished.File
	layout tree.Layout
	pages  *checkedPages
}

// Pieces returns what there is of the content, now and as it grows.
func (s *Swarm) Pieces() *Pieces {
	return &Pieces{s.dst, s.layout, &checkedPages{
		id: s.content.ID, layout: s.layout, kept: s.dst.Outboard(), good: s.dst.Good, here: make(map[tree.Page]bool),
	}}
}

// Size returns the size of all of the content, in bytes.
func (p *Pieces) Size() int64 { return p.layout.Size() }

// Have returns the pieces that are here, nil for all.
func (p *Pieces) Have() *roaring.Bitmap {
	good := p.Good()
	if good.GetCardinality() == uint64(p.layout.Pieces()) {
		return nil
	}
	return good
}

// Outboard returns the hashes of the pieces, as far as they are here: what it reads
// Holds says. The error is of kind NoHolder if there are none.
func (p *Pieces) Outboard(context.Context) (io.ReaderAt, int64, error) {
	if p.Good().IsEmpty() {
		return nil, 0, lonja.E(lonja.NoHolder, "serve", errNoHashes)
	}
	return p.pages, p.layout.OutboardSize(), nil
}

var errNoHashes = errors.New("not all of these hashes are here yet")

// A checkedPages reads the pages of hashes that a download has, and no others: a page
// that a crash has spoiled must not go out, since whoever sends it would be a liar. Those
// above a good piece were there when it was checked.
type checkedPages struct {
	id     lonja.FileID
	layout tree.Layout
	kept   io.ReaderAt
	good   func() *roaring.Bitmap

	mu    sync.Mutex // guards below
	board *tree.Outboard
	here  map[tree.Page]bool
}

// ReadAt reads as io.ReaderAt says, from pages that are here; the error is of kind
// NoHolder for anything else.
func (c *checkedPages) ReadAt(b []byte, offset int64) (int, error) {
	if last := min(offset+int64(len(b)), c.layout.OutboardSize()) - 1; !c.Holds(offset, last) {
		return 0, lonja.E(lonja.NoHolder, "serve", errNoHashes)
	}
	return c.kept.ReadAt(b, offset)
}

// Holds reports whether all of the bytes from first up to last, included, are here.
func (c *checkedPages) Holds(first, last int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var good *roaring.Bitmap
	for level := range c.layout.Levels() {
		begin := c.layout.Offset(tree.Page{Level: level})
		const size = tree.PageHashes * int64(len(tree.Hash{}))
		for index := max(0, first-begin) / size; index < c.layout.Pages(level) && begin+index*size <= last; index++ {
			p := tree.Page{Level: level, Index: index}
			if c.here[p] {
				continue
			}
			if good == nil {
				good = c.good()
			}
			if !c.check(p, good) {
				return false
			}
		}
	}
	return true
}

// check looks whether a page is here and right; mu is held.
func (c *checkedPages) check(p tree.Page, good *roaring.Bitmap) bool {
	piece := p.Index
	for range p.Level + 1 {
		piece *= tree.PageHashes
	}
	first := good.NextValue(uint32(piece))
	if first < 0 {
		return false
	}
	under, _ := tree.PageOf(first)
	for under.Level < p.Level {
		under, _ = under.Above()
	}
	if under != p {
		return false
	}
	if c.board == nil {
		board, err := tree.OpenOutboard(c.kept, c.id)
		if err != nil {
			return false
		}
		c.board = board
	}
	if _, err := c.board.Piece(first); err != nil {
		return false
	}
	c.here[p] = true
	return true
}
