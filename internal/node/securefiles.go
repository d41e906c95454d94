package node

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"lonja"
	"lonja/internal/hashing"
	"lonja/internal/share"
	"lonja/internal/statement"
)

// An Offer is a file to be published in the secure dialect.
type Offer struct {
	Path        string         // of this machine
	Name        lonja.FileName // what others see; empty: the base name
	Description lonja.Description
	Audience    []lonja.UserName // empty: every member
	Progress    func(hashed int64)
}

func (d *secureDialect) publish(ctx context.Context, s *stay, local string, description lonja.Description) error {
	_, err := d.offer(ctx, s.user, s.files, Offer{Path: local, Description: description})
	return err
}

// offer signs a file, serves it, and has it listed. AlreadyPublished if the same
// is listed already, or another file under that name.
func (d *secureDialect) offer(ctx context.Context, user lonja.UserName, files *share.Set, o Offer) (lonja.Listing, error) {
	local, err := o.settle(user, files)
	if err != nil {
		return lonja.Listing{}, err
	}
	listing, held, err := d.sign(ctx, user, files, local, o)
	if err != nil {
		return listing, err
	}
	return listing, d.announce(ctx, user, files, listing, func(known []lonja.Member) error {
		return files.Offer(local, share.Offering{Listing: listing, Seen: held.Info, Known: known})
	})
}

// settle finds out where an offer is and how it is called. The name may be that of
// nothing else.
func (o *Offer) settle(user lonja.UserName, files *share.Set) (local string, err error) {
	if local, err = filepath.Abs(o.Path); err != nil {
		return "", lonja.E(lonja.Invalid, "publish", err)
	}
	if o.Name == "" {
		o.Name = lonja.FileName(filepath.Base(local))
	}
	if _, err := lonja.ParsePublishedName(string(o.Name)); err != nil {
		return "", lonja.E(lonja.Invalid, "publish "+lonja.Printable(local), causeOf(err))
	}
	if other, there := files.PathOf(o.Name); there && !slices.Contains(files.NamesOf(local), o.Name) {
		return "", &lonja.Error{
			Kind: lonja.AlreadyPublished, Op: "publish", User: user, File: o.Name,
			Err: fmt.Errorf("%s is published by that name: unpublish it first, or give this one another name", lonja.Printable(other)),
		}
	}
	return local, nil
}

// causeOf returns what is wrong, without who says so.
func causeOf(err error) error {
	if e, ok := errors.AsType[*lonja.Error](err); ok && e.Err != nil {
		return e.Err
	}
	return err
}

// nameLocks keep two from doing something with the same name at once.
type nameLocks [64]sync.Mutex

var nameSeed = maphash.MakeSeed()

// lock locks a name, and returns what unlocks it.
func (l *nameLocks) lock(name lonja.FileName) (unlock func()) {
	mu := &l[maphash.String(nameSeed, string(name))%uint64(len(l))]
	mu.Lock()
	return mu.Unlock
}

// announce has what was signed be served, by serve, and listed.
func (d *secureDialect) announce(ctx context.Context, user lonja.UserName, files *share.Set, listing lonja.Listing,
	serve func(known []lonja.Member) error,
) error {
	known, err := d.audienceKeys(ctx, user, listing.Proof.Audience)
	if err != nil {
		return err
	}
	d.publishing.RLock()
	defer d.publishing.RUnlock()
	defer d.announcing.lock(listing.Name)()
	before, served := files.Listing(listing.Name)
	away := files.Remove // of what is not listed
	if files.IsWithdrawn(listing.Name) {
		away = files.Withdraw
	}
	if err := serve(known); err != nil {
		return err
	}
	err = d.Directory.Publish(ctx, user, listing)
	if errors.Is(err, lonja.AlreadyPublished) && !(served && before.Proof.Signature == listing.Proof.Signature) {
		// Signed just now, and listed already: another process of the user's saw it
		// here and has told the directory. If it was in the middle of that, the same
		// is said the second time.
		if err = d.Directory.Publish(ctx, user, listing); errors.Is(err, lonja.AlreadyPublished) {
			err = nil
		}
	}
	if err != nil && !errors.Is(err, lonja.AlreadyPublished) && !mayHaveHappened(err) && !served {
		return errors.Join(err, away(listing.Name)) // not listed, so not offered either
	}
	if err != nil && served && before.Proof.Signature != listing.Proof.Signature {
		d.opts.Log.Debug("the directory lists what was published before", slog.Any("name", listing.Name))
	}
	return err
}

// sign finds out a file's content and returns the listing that says it: the one
// from before, if that still holds.
func (d *secureDialect) sign(ctx context.Context, user lonja.UserName, files *share.Set, local string, o Offer) (lonja.Listing, hashing.Result, error) {
	f, err := share.OpenLocal(local)
	if err != nil {
		return lonja.Listing{}, hashing.Result{}, err
	}
	defer f.Close()
	held, err := d.hash(ctx, f, o.Progress)
	if err != nil {
		return lonja.Listing{}, held, err
	}
	listing := lonja.Listing{
		Name: o.Name, Description: o.Description, Size: held.Stamp.Size,
		Proof: &lonja.Proof{File: held.ID, Date: time.Now().Unix(), Audience: slices.Compact(slices.Sorted(slices.Values(o.Audience)))},
	}
	if before, there := files.Listing(o.Name); there && saysTheSame(before, listing) && before.Proof.Key == d.Key.PublicKey() {
		return before, held, nil
	}
	signed, err := statement.SignPublication(lonja.Publication{Owner: user, Listing: listing}, d.Key)
	return signed.Listing, held, err
}

// saysTheSame reports whether two listings differ in nothing but when and by what
// they were signed.
func saysTheSame(a, b lonja.Listing) bool {
	return a.Name == b.Name && a.Description == b.Description && a.Size == b.Size &&
		a.Proof.File == b.Proof.File && sameFolder(a.Folder(), b.Folder()) && slices.Equal(a.Proof.Audience, b.Proof.Audience)
}

func sameFolder(a, b *lonja.Folder) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

func (d *secureDialect) unpublish(ctx context.Context, s *stay, local string) error {
	_, err := d.withdraw(ctx, s.user, s.files, local)
	return err
}

// publishedNames returns the names that what a person types stands for: those of
// the file at that path, or that name itself.
func publishedNames(files *share.Set, typed string) ([]lonja.FileName, error) {
	local, err := filepath.Abs(typed)
	if err != nil {
		return nil, lonja.E(lonja.Invalid, "unpublish", err)
	}
	if names := files.NamesOf(local); len(names) > 0 {
		return names, nil
	}
	name := lonja.FileName(typed)
	if !files.Contains(name) {
		name = lonja.FileName(filepath.Base(local))
	}
	_, err = lonja.ParsePublishedName(string(name))
	return []lonja.FileName{name}, err
}
