package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

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
// piece that is on it, and is checked against the FileID before it is used. Of those
// who need the same page one asks for it and the others wait; but not for long: a
// holder that is slow with it holds nobody else up.
type hashes struct {
	id       lonja.FileID
	layout   tree.Layout
	kept     outboard
	patience time.Duration // for one page and those above it

	mu     sync.Mutex // guards all below, and is not held while anything comes over the network
	board  *tree.Outboard
	asking map[tree.Page]*asking
}

// An asking is a page that is being fetched, once or more.
type asking struct {
	times   int
	last    time.Time     // when the latest one began
	changed chan struct{} // closed when one has ended
}

// askToo is how long it is waited for a page that somebody else has asked for: then
// one more of those who wait asks its own holder.
const askToo = time.Second

func newHashes(id lonja.FileID, layout tree.Layout, kept outboard, patience time.Duration) *hashes {
	return &hashes{id: id, layout: layout, kept: kept, patience: patience, asking: make(map[tree.Page]*asking)}
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

// has reports whether the hash of a piece is there. mu is held.
func (h *hashes) has(piece int64) (bool, error) {
	if err := h.open(); err != nil {
		return false, err
	}
	_, err := h.board.Piece(piece)
	if kind := lonja.KindOf(err); kind == lonja.Malformed || kind == lonja.Untrusted {
		return false, nil // not there yet, or not whole since a crash
	}
	return err == nil, err
}

// fetch makes sure that the hash of a piece is there.
func (h *hashes) fetch(ctx context.Context, c *fileclient.Client, piece int64) error {
	for {
		wait, ask, err := h.begin(piece)
		switch {
		case err != nil:
			return err
		case ask:
			return h.ask(ctx, c, piece)
		case wait == nil:
			return nil
		}
		again := time.NewTimer(askToo)
		select {
		case <-wait:
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return lonja.E(lonja.Canceled, "", ctx.Err())
		}
		again.Stop()
	}
}

// begin reports whether to ask for the page with the hash of a piece now; whoever does
// calls end. Otherwise it is here already, or wait is closed when somebody has asked.
func (h *hashes) begin(piece int64) (wait <-chan struct{}, ask bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if has, err := h.has(piece); has || err != nil {
		return nil, false, err
	}
	p, _ := tree.PageOf(piece)
	a := h.asking[p]
	if a == nil {
		a = &asking{changed: make(chan struct{})}
		h.asking[p] = a
	}
	now := time.Now()
	if a.times > 0 && now.Sub(a.last) < askToo {
		return a.changed, false, nil
	}
	a.times, a.last = a.times+1, now
	return nil, true, nil
}

// end has those look again who wait for the page.
func (h *hashes) end(p tree.Page) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.asking[p]
	close(a.changed)
	a.changed = make(chan struct{})
	if a.times--; a.times == 0 {
		delete(h.asking, p)
	}
}

// errSlowHashes is why a holder is not waited for.
var errSlowHashes = errors.New("the hashes of pieces come too slowly from it")

// ask fetches the page with the hash of a piece, and those above it.
func (h *hashes) ask(ctx context.Context, c *fileclient.Client, piece int64) error {
	chain := pagesAbove(h.layout, piece)
	defer h.end(chain[0])
	bounded, cancel := context.WithTimeoutCause(ctx, h.patience, errSlowHashes)
	defer cancel()
	want := tree.Hash(h.id)
	for i := len(chain) - 1; i >= 0; i-- {
		page, b, err := fetchPage(bounded, c, h.layout, chain[i], want)
		if err != nil && ctx.Err() == nil && context.Cause(bounded) == errSlowHashes {
			return lonja.E(lonja.Unavailable, "", errSlowHashes)
		}
		if err == nil {
			err = h.keep(b, h.layout.Offset(chain[i]))
		}
		if err != nil {
			return err
		}
		if i > 0 {
			_, place := chain[i-1].Above()
			want = page[place]
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.board.Piece(piece)
	return err
}

func (h *hashes) keep(b []byte, offset int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.kept.WriteAt(b, offset)
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
