package tree

import (
	"errors"
	"fmt"

	"lonja"
)

// A Builder makes the pages of a content, and its FileID, from the hashes of
// its pieces, which may come in any order. It keeps a page for each level, and
// what came before its turn: who adds pieces bounds how far they run ahead of
// Next. It is for one goroutine.
type Builder struct {
	layout Layout
	emit   func(p Page, hashes []Hash) error
	next   int64          // the piece whose turn it is
	early  map[int64]Hash // pieces behind next
	levels [][]Hash       // the page that grows on each level
	pages  []int64        // how many are done on each level
	root   Hash
}

// NewBuilder returns a Builder. If emit is not nil it gets each page once, when
// it is whole: those of a level in order, and the topmost page last. It must not
// keep hashes.
func NewBuilder(l Layout, emit func(p Page, hashes []Hash) error) *Builder {
	if emit == nil {
		emit = func(Page, []Hash) error { return nil }
	}
	return &Builder{
		layout: l, emit: emit, early: make(map[int64]Hash),
		levels: make([][]Hash, l.Levels()), pages: make([]int64, l.Levels()),
	}
}

// Next returns the first piece that was not added yet; all are in when that is
// Pieces of the layout.
func (b *Builder) Next() int64 { return b.next }

// Add takes the hash of a piece: its Sum, or the Root if it is the only one. The
// errors are those of emit, and Internal for a piece that there is not, or that
// was added before.
func (b *Builder) Add(piece int64, hash Hash) error {
	if _, twice := b.early[piece]; twice || piece < b.next || piece >= b.layout.Pieces() {
		return lonja.E(lonja.Internal, "hash", fmt.Errorf("piece %d makes no sense here", piece))
	}
	if piece != b.next {
		b.early[piece] = hash
		return nil
	}
	for {
		if err := b.add(hash); err != nil {
			return err
		}
		var more bool
		if hash, more = b.early[b.next]; !more {
			return nil
		}
		delete(b.early, b.next)
	}
}

// add takes the piece whose turn it is.
func (b *Builder) add(hash Hash) error {
	b.next++
	for level := range b.levels {
		b.levels[level] = append(b.levels[level], hash)
		p := Page{level, b.pages[level]}
		if len(b.levels[level]) < b.layout.PageLen(p) {
			return nil
		}
		if err := b.emit(p, b.levels[level]); err != nil {
			return err
		}
		top, _ := b.layout.Top()
		hash = Join(b.levels[level], p == top)
		b.levels[level] = b.levels[level][:0]
		b.pages[level]++
	}
	b.root = hash
	return nil
}

// FileID returns the id of the content. The error is of kind Internal while
// pieces are missing.
func (b *Builder) FileID() (lonja.FileID, error) {
	if b.next < b.layout.Pieces() {
		return lonja.FileID{}, lonja.E(lonja.Internal, "hash", errors.New("pieces are missing"))
	}
	return lonja.FileID(b.root), nil
}
