package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"lonja"
	"lonja/internal/fileclient"
	"lonja/internal/tree"
)

// An outboard is where the pages of hashes are kept.
type outboard interface {
	io.ReaderAt
	io.WriterAt
}

// hashes are those of the pieces. A page is fetched from whoever is to send a
// piece that is on it, and is checked against the FileID before it is used.
type hashes struct {
	id     lonja.FileID
	layout tree.Layout
	kept   outboard

	mu    sync.Mutex // guards board, and is held while a page is fetched: the others need it too
	board *tree.Outboard
}

func newHashes(id lonja.FileID, layout tree.Layout, kept outboard) *hashes {
	return &hashes{id: id, layout: layout, kept: kept}
}

// open opens the outboard, which has the size of the content from the beginning:
// that is not for holders to say. mu is held.
func (h *hashes) open() error {
	if h.board != nil {
		return nil
	}
	board, err := tree.OpenOutboard(h.kept, h.id)
	h.board = board
	return err
}

// fetch makes sure that the hash of a piece is there.
func (h *hashes) fetch(ctx context.Context, c *fileclient.Client, piece int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.open(); err != nil {
		return err
	}
	_, err := h.board.Piece(piece)
	if kind := lonja.KindOf(err); err == nil || kind != lonja.Malformed && kind != lonja.Untrusted {
		return err
	}
	// Not there yet, or not whole since a crash.
	chain := pagesAbove(h.layout, piece)
	want := tree.Hash(h.id)
	for i := len(chain) - 1; i >= 0; i-- {
		page, b, err := fetchPage(ctx, c, h.layout, chain[i], want)
		if err != nil {
			return err
		}
		if _, err := h.kept.WriteAt(b, h.layout.Offset(chain[i])); err != nil {
			return err
		}
		if i > 0 {
			_, place := chain[i-1].Above()
			want = page[place]
		}
	}
	_, err = h.board.Piece(piece)
	return err
}

// pagesAbove returns the pages from that of a piece up to the topmost one.
func pagesAbove(l tree.Layout, piece int64) (chain []tree.Page) {
	top, _ := l.Top()
	p, _ := tree.PageOf(piece)
	for chain = append(chain, p); p != top; chain = append(chain, p) {
		p, _ = p.Above()
	}
	return chain
}

// fetchPage fetches a page and checks that it is the one with that hash; b is the
// same as it is kept.
func fetchPage(ctx context.Context, c *fileclient.Client, l tree.Layout, p tree.Page, want tree.Hash) (page []tree.Hash, b []byte, err error) {
	offset := l.Offset(p)
	length := int64(l.PageLen(p) * len(tree.Hash{}))
	if b, err = c.Tree(ctx, l.OutboardSize(), offset, offset+length); err != nil {
		return nil, nil, err
	}
	page, err = tree.ParsePage(b)
	if err == nil {
		err = l.CheckPage(p, page, want)
	}
	if err != nil {
		return nil, nil, lonja.E(lonja.Untrusted, "", fmt.Errorf("it sends other hashes: %w", err))
	}
	return page, b, nil
}

// errWrongPiece is the cause for a piece that is not the content's.
var errWrongPiece = errors.New("is not that of the file")

// check reports whether what was hashed is the piece. The error is of kind
// Untrusted.
func (h *hashes) check(piece int64, hasher *tree.Hasher) error {
	h.mu.Lock()
	want, err := h.board.Piece(piece)
	h.mu.Unlock()
	if err != nil { // it was there before: no fault of the holder's
		return lonja.E(lonja.LocalFile, "read the hashes of pieces", err)
	}
	got := hasher.Sum
	if h.layout.Pieces() == 1 {
		got = hasher.Root
	}
	if got() != want {
		return lonja.E(lonja.Untrusted, "", fmt.Errorf("piece %d that it sent %w", piece, errWrongPiece))
	}
	return nil
}

// checkContent reports whether content is a piece, as far as its hash is here.
func (h *hashes) checkContent(piece int64, content []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.open(); err != nil {
		return err
	}
	return h.board.Check(piece, content)
}
