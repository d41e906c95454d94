package node

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"lonja"
	"lonja/internal/hashing"
	"lonja/internal/share"
	"lonja/internal/statement"
)

// A FolderOffer is a directory to be published as one object. The Progress of the
// Offer is told the bytes that were hashed of all files.
type FolderOffer struct {
	Offer
	Skip    func(name string) bool // what has such a name is left out; or nil
	LeftOut func(path, why string) // is told what else is; or nil
}

// OfferFolder publishes a directory as one object: its list is signed, remembered,
// and listed. Otherwise it is as Offer; the error is of kind Invalid for what is no
// directory. Symbolic links are not followed.
func (e *Errand) OfferFolder(ctx context.Context, o FolderOffer) (lonja.Listing, error) {
	return e.dialect.offerFolder(ctx, e.user, e.files, o)
}

func (d *secureDialect) offerFolder(ctx context.Context, user lonja.UserName, files *share.Set, o FolderOffer) (lonja.Listing, error) {
	local, err := o.settle(user, files)
	if err != nil {
		return lonja.Listing{}, err
	}
	if local, err = filepath.EvalSymlinks(local); err != nil {
		return lonja.Listing{}, lonja.E(lonja.Invalid, "publish", err)
	}
	draft, err := files.DraftFolder(ctx, local, share.Look{Hash: d.lookHash(o.Progress), Skip: o.Skip, LeftOut: o.LeftOut})
	if err != nil {
		return lonja.Listing{}, err
	}
	defer draft.Close()
	listing, err := d.signFolder(ctx, user, files, draft, o)
	if err != nil {
		return listing, err
	}
	return listing, d.announce(ctx, user, files, listing, func(known []lonja.Member) error {
		return files.OfferFolder(draft, share.Offering{Listing: listing, Known: known})
	})
}

// lookHash returns how the files of a folder are hashed: progress is told the sum.
func (d *secureDialect) lookHash(progress func(int64)) func(context.Context, *os.File) (lonja.FileID, fs.FileInfo, error) {
	var all atomic.Int64
	return func(ctx context.Context, f *os.File) (lonja.FileID, fs.FileInfo, error) {
		var done atomic.Int64 // of this file
		var each func(int64)
		if progress != nil {
			each = func(now int64) {
				if before := done.Swap(now); now > before {
					progress(all.Add(now - before))
				}
			}
		}
		held, err := d.hash(ctx, f, each)
		if err != nil {
			return lonja.FileID{}, nil, err
		}
		if each != nil {
			each(held.Stamp.Size) // nothing was told of what was known already
		}
		return held.ID, held.Info, nil
	}
}

// signFolder returns the listing of a folder: the one from before, if that still
// holds.
func (d *secureDialect) signFolder(ctx context.Context, user lonja.UserName, files *share.Set, draft *share.Draft, o FolderOffer) (lonja.Listing, error) {
	held, err := d.hashList(ctx, draft)
	if err != nil {
		return lonja.Listing{}, err
	}
	listing := lonja.Listing{
		Name: o.Name, Description: o.Description, Size: draft.Totals.Bytes,
		Proof: &lonja.Proof{
			File: held.ID, Date: time.Now().Unix(), Audience: slices.Compact(slices.Sorted(slices.Values(o.Audience))),
			Folder: &lonja.Folder{Files: draft.Totals.Files, ListSize: draft.Size()},
		},
	}
	if before, there := files.Listing(o.Name); there && saysTheSame(before, listing) && before.Proof.Key == d.Key.PublicKey() {
		return before, nil
	}
	signed, err := statement.SignPublication(lonja.Publication{Owner: user, Listing: listing}, d.Key)
	return signed.Listing, err
}

// hashList finds out the id of a list, and keeps the hashes of its pieces.
func (d *secureDialect) hashList(ctx context.Context, draft *share.Draft) (hashing.Result, error) {
	return d.hash(ctx, draft.List(), nil)
}
