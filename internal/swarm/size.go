package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"lonja"
	"lonja/internal/fileclient"
	"lonja/internal/tree"
)

// ProveSize has a holder show that a content has the size that is said, and returns
// nil if it does: with the last piece of it. That lies at the right edge of the tree
// whose root is the FileID, and how far from the left is hashed with it; so in a
// content of another size nothing stands for it. All other pieces may be those of a
// bigger one too.
//
// The error is of kind Untrusted if the holder sends something else, and otherwise
// that of a fileclient.Client. It waits for its turn there as long as ctx lets it.
func ProveSize(ctx context.Context, c Content, from Holder, opts Options) error {
	layout, err := tree.LayoutOf(c.Size)
	if err != nil {
		return err
	}
	s := &Swarm{content: c, layout: layout, opts: opts.withDefaults()}
	h := newHolder(s, from, 0)
	client := fileclient.New(c.ID, fileclient.Options{Dial: h.noting(h.dial), Conns: 1, StallTimeout: s.opts.StallTimeout})
	defer client.Close()
	want, err := s.lastHash(ctx, client)
	if err != nil {
		return h.judge(err)
	}
	for {
		err := h.judge(s.fetchLast(ctx, client, want))
		queued, ok := errors.AsType[*fileclient.Queued](err)
		if !ok {
			return err
		}
		select {
		case <-time.After(min(queued.After, s.opts.MostPause)): // who asks again by then keeps the place
		case <-ctx.Done():
			return err
		}
	}
}

// lastHash fetches the hash of the last piece, by way of those above it.
func (s *Swarm) lastHash(ctx context.Context, client *fileclient.Client) (tree.Hash, error) {
	want := tree.Hash(s.content.ID)
	last := s.layout.Pieces() - 1
	if last == 0 {
		return want, nil
	}
	chain := pagesAbove(s.layout, last)
	for i := len(chain) - 1; i >= 0; i-- {
		page, _, err := fetchPage(ctx, client, s.layout, chain[i], want)
		if err != nil {
			return want, err
		}
		want = page[len(page)-1]
	}
	return want, nil
}

// fetchLast fetches the last piece and reports whether it is the one with that hash.
func (s *Swarm) fetchLast(ctx context.Context, client *fileclient.Client, want tree.Hash) error {
	last := s.layout.Pieces() - 1
	body, err := client.Open(ctx, s.layout.Size(), last*tree.PieceSize, s.layout.Size())
	if err != nil {
		return err
	}
	defer body.Close()
	piece := make([]byte, s.layout.PieceLen(last))
	if _, err := io.ReadFull(body, piece); err != nil {
		return fileclient.Broken(ctx, fmt.Errorf("in the last piece: %w", err))
	}
	if err := s.layout.CheckPiece(last, piece, want); err != nil {
		return lonja.E(lonja.Untrusted, "", fmt.Errorf("the last piece that it sent %w", errWrongPiece))
	}
	return nil
}
