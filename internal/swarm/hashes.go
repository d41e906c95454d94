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
	var chain []tree.Page
	top, _ := h.layout.Top()
	p, _ := tree.PageOf(piece)
	for chain = append(chain, p); p != top; chain = append(chain, p) {
		p, _ = p.Above()
	}
	want := tree.Hash(h.id)
	for i := len(chain) - 1; i >= 0; i-- {
		page, err := h.fetchPage(ctx, c, chain[i], want)
		if err != nil {
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

func (h *hashes) fetchPage(ctx context.Context, c *fileclient.Client, p tree.Page, want tree.Hash) ([]tree.Hash, error) {
	offset := h.layout.Offset(p)
	length := int64(h.layout.PageLen(p) * len(tree.Hash{}))
	b, err := c.Tree(ctx, h.layout.OutboardSize(), offset, offset+length)
	if err != nil {
		return nil, err
	}
	page, err := tree.ParsePage(b)
	if err == nil {
		err = h.layout.CheckPage(p, page, want)
	}
	if err != nil {
		return nil, lonja.E(lonja.Untrusted, "", fmt.Errorf("it sends other hashes: %w", err))
	}
	_, err = h.kept.WriteAt(b, offset)
	return page, err
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
