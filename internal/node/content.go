package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"lonja"
	"lonja/internal/fileserver"
	"lonja/internal/hashing"
	"lonja/internal/outboards"
	"lonja/internal/share"
	"lonja/internal/tree"
)

// guarded are a connected user's files, and what is on its way here, for the
// members that they are for.
type guarded struct{ *membership }

// OpenContent implements fileserver.Files.
func (g guarded) OpenContent(ctx context.Context, id lonja.FileID, member lonja.Member) (fileserver.Content, error) {
	content, err := g.openFile(ctx, id, member)
	if err == nil {
		return content, nil
	}
	if content, none := g.downloads.OpenContent(ctx, id, member); none == nil {
		if errors.Is(err, lonja.Conflict) {
			g.changed(id)
		}
		return content, nil
	}
	return nil, err
}

// openFile opens what is published.
func (g guarded) openFile(ctx context.Context, id lonja.FileID, member lonja.Member) (fileserver.Content, error) {
	open := func(ctx context.Context) (*os.File, int64, error) {
		return g.files.OpenContent(id, member, func(known []lonja.PublicKey) bool {
			return member == g.member(g.user) || g.follows(ctx, member, known)
		})
	}
	f, size, err := open(ctx)
	if errors.Is(err, share.ErrTouched) {
		if err = g.recheck(ctx, id); err == nil {
			f, size, err = open(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	p, err := newServedFile(f, size, func(ctx context.Context) (outboards.Reader, error) {
		// Whoever may have it now may have its hashes: they are made once, for all.
		hashes, err := g.Outboards.Get(ctx, id, func() (*os.File, error) {
			f, _, err := open(context.WithoutCancel(ctx))
			return f, err
		})
		if errors.Is(err, lonja.Conflict) {
			g.suspect(suspect{id: id, hashed: true})
		}
		return hashes, err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// A servedFile is a file that is served, and its hashes, once they were asked
// for. It is for one request.
type servedFile struct {
	*fileserver.Whole
	hashes outboards.Reader
	hashed bool
}

// newServedFile serves f, which has that size, and which it closes. hash returns its
// hashes.
func newServedFile(f *os.File, size int64, hash func(ctx context.Context) (outboards.Reader, error)) (*servedFile, error) {
	p := &servedFile{}
	whole, err := fileserver.NewWhole(f, size, func(ctx context.Context) (_ io.ReaderAt, _ int64, err error) {
		p.hashes, err = hash(ctx)
		p.hashed = err == nil
		return p.hashes, p.hashes.Size, err
	})
	p.Whole = whole
	return p, err
}

// Close closes both.
func (p *servedFile) Close() error {
	var err error
	if p.hashed {
		err = p.hashes.Close()
	}
	return errors.Join(err, p.Whole.Close())
}

// hash finds out the content of a file, and keeps the hashes of its pieces for
// those who will ask for them, if it has to be hashed for this.
func (d *secureDialect) hash(ctx context.Context, f *os.File, progress func(int64)) (hashing.Result, error) {
	stamp, err := hashing.StampOf(f)
	if err != nil {
		return hashing.Result{}, err
	}
	opts := hashing.Options{Progress: progress}
	if _, known := d.Hashes.Get(stamp); known || stamp.Size <= tree.PieceSize {
		return d.Hashes.ID(ctx, f, opts, d.notRemembered)
	}
	return d.hashAnew(ctx, f, opts)
}

func (d *secureDialect) notRemembered(err error) {
	d.opts.Log.Warn("hashes are not remembered", slog.Any("error", err))
}

// hashAnew is hash for a file of which nothing is believed to be known.
func (d *secureDialect) hashAnew(ctx context.Context, f *os.File, opts hashing.Options) (hashing.Result, error) {
	draft, err := d.Outboards.Draft()
	if err != nil {
		d.notRemembered(err)
		return d.Hashes.ID(ctx, f, opts, d.notRemembered)
	}
	opts.Outboard = draft
	held, err := d.Hashes.ID(ctx, f, opts, d.notRemembered)
	if err != nil {
		draft.Drop()
		return held, err
	}
	if err := draft.Keep(held.ID, held.Stamp.Size); err != nil {
		d.notRemembered(err)
	}
	return held, nil
}
