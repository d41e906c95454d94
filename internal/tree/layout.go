package tree

import (
	"fmt"

	"lonja"
)

// A Layout says how the content of one size is divided: into pieces, and the
// hashes of those into pages. It is a value; the zero Layout is that of the
// empty content.
type Layout struct{ size int64 }

// LayoutOf returns the Layout for a size in bytes. The error is of kind Invalid
// if no content has that size.
func LayoutOf(size int64) (Layout, error) {
	if size < 0 || size > MaxSize {
		return Layout{}, lonja.E(lonja.Invalid, "divide", fmt.Errorf("no file has %d bytes", size))
	}
	return Layout{size}, nil
}

// Size returns the size of the content in bytes.
func (l Layout) Size() int64 { return l.size }

// Pieces returns the number of pieces, at least 1.
func (l Layout) Pieces() int64 { return max(1, (l.size+PieceSize-1)/PieceSize) }

// PieceLen returns the length of a piece in bytes.
func (l Layout) PieceLen(piece int64) int {
	return int(min(PieceSize, l.size-piece*PieceSize))
}

// Levels returns how many levels of pages there are: none for a single piece.
// Level 0 has the hashes of the pieces, each further one those of the pages
// below it, and the last one has one page.
func (l Layout) Levels() int {
	levels := 0
	for n := l.Pieces(); n > 1; n = pagesFor(n) {
		levels++
	}
	return levels
}

func pagesFor(hashes int64) int64 { return (hashes + PageHashes - 1) / PageHashes }

// hashes returns how many hashes there are on a level.
func (l Layout) hashes(level int) int64 {
	n := l.Pieces()
	for range level {
		n = pagesFor(n)
	}
	return n
}

// Pages returns how many pages there are on a level.
func (l Layout) Pages(level int) int64 { return pagesFor(l.hashes(level)) }

// A Page names one page: its level, and its place there counted from 0.
type Page struct {
	Level int
	Index int64
}

// PageOf returns the page that the hash of a piece is on, and its place there.
func PageOf(piece int64) (p Page, place int) {
	return Page{0, piece >> pageBits}, int(piece % PageHashes)
}

// Above returns the page that the hash of p is on, and its place there.
func (p Page) Above() (above Page, place int) {
	return Page{p.Level + 1, p.Index >> pageBits}, int(p.Index % PageHashes)
}

// Has reports whether there is such a page.
func (l Layout) Has(p Page) bool {
	return p.Level >= 0 && p.Level < l.Levels() && p.Index >= 0 && p.Index < l.Pages(p.Level)
}

// Top returns the topmost page, whose hash is the FileID; false if there are no
// pages.
func (l Layout) Top() (Page, bool) { return Page{Level: l.Levels() - 1}, l.Levels() > 0 }

// PageLen returns how many hashes are on a page.
func (l Layout) PageLen(p Page) int {
	return int(min(PageHashes, l.hashes(p.Level)-p.Index*PageHashes))
}

// Offset returns where a page stands in an outboard, in bytes: the size of the
// content comes first, then the topmost page, then the pages below it in order.
// So an outboard can be checked while it comes.
func (l Layout) Offset(p Page) int64 {
	at := int64(sizeLen)
	for level := l.Levels() - 1; level > p.Level; level-- {
		at += l.hashes(level) * hashLen
	}
	return at + p.Index*PageHashes*hashLen
}

// OutboardSize returns how long an outboard is, in bytes.
func (l Layout) OutboardSize() int64 {
	return l.Offset(Page{Level: 0}) + l.lowest()*hashLen
}

// lowest is how many hashes of pieces an outboard has: that of a single piece
// is the FileID and not written.
func (l Layout) lowest() int64 {
	if l.Levels() == 0 {
		return 0
	}
	return l.Pieces()
}

const (
	sizeLen = 8
	hashLen = 32
)
