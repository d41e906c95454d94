package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"time"

	"lonja"
	"lonja/internal/authority"
	"lonja/internal/filefetch"
	"lonja/internal/hashing"
	"lonja/internal/share"
	"lonja/internal/statement"
	"lonja/internal/transport"
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
	local, err := filepath.Abs(o.Path)
	if err != nil {
		return lonja.Listing{}, lonja.E(lonja.Invalid, "publish", err)
	}
	if o.Name == "" {
		o.Name = lonja.FileName(filepath.Base(local))
	}
	if _, err := lonja.ParsePublishedName(string(o.Name)); err != nil {
		return lonja.Listing{}, err
	}
	if other, there := files.PathOf(o.Name); there && !slices.Contains(files.NamesOf(local), o.Name) {
		return lonja.Listing{}, &lonja.Error{
			Kind: lonja.AlreadyPublished, Op: "publish", User: user, File: o.Name,
			Err: fmt.Errorf("%s is published by that name: unpublish it first, or give this one another name", lonja.Printable(other)),
		}
	}
	listing, held, err := d.sign(ctx, user, files, local, o)
	if err != nil {
		return listing, err
	}
	before, served := files.Listing(o.Name)
	if err := files.Offer(local, listing, held.Info); err != nil {
		return listing, err
	}
	err = d.Directory.Publish(ctx, user, listing)
	if err != nil && !errors.Is(err, lonja.AlreadyPublished) && !mayHaveHappened(err) && !served {
		return listing, errors.Join(err, files.Remove(o.Name)) // not listed, so not offered either
	}
	if err != nil && served && before.Proof.Signature != listing.Proof.Signature {
		d.opts.Log.Debug("the directory lists what was published before", slog.Any("name", o.Name))
	}
	return listing, err
}

// sign finds out a file's content and returns the listing that says it: the one
// from before, if that still holds.
func (d *secureDialect) sign(ctx context.Context, user lonja.UserName, files *share.Set, local string, o Offer) (lonja.Listing, hashing.Result, error) {
	f, err := share.OpenLocal(local)
	if err != nil {
		return lonja.Listing{}, hashing.Result{}, err
	}
	defer f.Close()
	held, err := d.Hashes.ID(ctx, f, hashing.Options{Progress: o.Progress}, func(err error) {
		d.opts.Log.Warn("hashes are not remembered", slog.Any("error", err))
	})
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
		a.Proof.File == b.Proof.File && slices.Equal(a.Proof.Audience, b.Proof.Audience)
}

func (d *secureDialect) unpublish(ctx context.Context, s *stay, local string) error {
	names, err := publishedNames(s.files, local)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		err := d.Directory.Delete(ctx, s.user, name)
		if err == nil || errors.Is(err, lonja.NotPublished) {
			err = errors.Join(err, s.files.Remove(name))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
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

func (d *secureDialect) fetchFile(ctx context.Context, s *stay, owner lonja.UserName, f fetch) error {
	holders, err := d.holders(ctx, s.user, wanted(f.remote))
	if err != nil {
		return d.heed(s, err)
	}
	holders = slices.DeleteFunc(holders, func(h lonja.Holder) bool {
		return h.User != owner || h.Name != f.remote && (h.Proof == nil || h.Proof.File.String() != string(f.remote))
	})
	if len(holders) == 0 {
		return d.heed(s, d.whyNot(ctx, s.user, owner, f.remote))
	}
	return d.fetchFrom(ctx, s, holders[0], f)
}

// wanted is what somebody wants who typed that: the content with that id, or
// whatever has that base name.
func wanted(typed lonja.FileName) lonja.Wanted {
	if id, err := lonja.ParseFileID(string(typed)); err == nil {
		return lonja.Wanted{File: id}
	}
	return lonja.Wanted{Name: typed}
}

// mostHolders bounds how many holders are looked at.
const mostHolders = 10 * lonja.MaxPage

func (d *secureDialect) holders(ctx context.Context, user lonja.UserName, w lonja.Wanted) (all []lonja.Holder, err error) {
	for after := lonja.Cursor(""); len(all) < mostHolders; {
		page, next, err := d.Directory.HoldersPage(ctx, user, w, after, lonja.MaxPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if next == "" {
			break
		}
		after = next
	}
	return all, nil
}

// whyNot is the error for a file that its owner does not offer: it may not be
// there, or not connected.
func (d *secureDialect) whyNot(ctx context.Context, user, owner lonja.UserName, name lonja.FileName) error {
	for after := lonja.Cursor(""); ; {
		page, next, err := d.Directory.UsersPage(ctx, user, after, lonja.MaxPage)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(page, func(p lonja.Peer) bool { return p.User == owner }) {
			return &lonja.Error{Kind: lonja.NoSuchFile, Op: opFetchFile, User: owner, File: name}
		}
		if next == "" {
			return notThere(owner)
		}
		after = next
	}
}

// fetchFrom fetches a content from one holder, whose word is checked: that the
// owner has signed it, with a key that is the owner's.
func (d *secureDialect) fetchFrom(ctx context.Context, s *stay, h lonja.Holder, f fetch) error {
	config, err := d.trusted(ctx, s, h)
	if err != nil {
		return err
	}
	ways := transport.Order(h.Reach.Ways, s.keeps.networks())
	_, err = filefetch.Fetch(ctx, filefetch.File{ID: h.Proof.File, Size: h.Size, Owner: h.User, Name: h.Name}, f.local, filefetch.Options{
		Dial: func(ctx context.Context) (net.Conn, error) {
			conn, err := d.dialer.Dial(ctx, ways, config)
			if err != nil {
				return nil, err
			}
			return conn, nil
		},
		Progress: f.progress,
		Sync:     true,
	})
	return err
}

// trusted checks what a directory says of a holder, and returns how to speak to
// it.
func (d *secureDialect) trusted(ctx context.Context, s *stay, h lonja.Holder) (*tls.Config, error) {
	if h.Proof == nil || h.Reach == nil {
		return nil, &lonja.Error{
			Kind: lonja.Untrusted, Op: opFetchFile, User: h.User, File: h.Name,
			Err: errors.New("it is published in the classic protocol: nothing proves whose it is, and it would come unencrypted; with --classic you can have it all the same"),
		}
	}
	if err := statement.VerifyPublication(h.Publication()); err != nil {
		return nil, &lonja.Error{
			Kind: lonja.Untrusted, Op: opFetchFile, User: h.User, File: h.Name,
			Err: fmt.Errorf("its owner has not signed what the directory says of it: %w", err),
		}
	}
	ring, err := d.Directory.Keys(ctx, h.User)
	if err != nil {
		return nil, err
	}
	for _, key := range []lonja.PublicKey{h.Proof.Key, h.Reach.Key} {
		if err := d.Pins.CheckUser(h.User, ring, key); err != nil {
			return nil, err
		}
	}
	return authority.PeerClientConfig(s.keeps.peers(), authority.Expected{User: h.User, Keys: []lonja.PublicKey{h.Reach.Key}}), nil
}

// networks returns those that this machine is in.
func (m *membership) networks() []netip.Prefix { return localNetworks(m.opts.Log) }

func localNetworks(log *slog.Logger) (networks []netip.Prefix) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		log.Debug("cannot look at the interfaces", slog.Any("error", err))
	}
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			networks = append(networks, prefix.Masked())
		}
	}
	return networks
}

// fetchMulti tries the holders of a name one after the other, which must all
// mean one content.
func (d *secureDialect) fetchMulti(ctx context.Context, s *stay, f fetch) error {
	holders, err := d.holders(ctx, s.user, wanted(f.remote))
	if err != nil {
		return d.heed(s, err)
	}
	if len(holders) == 0 {
		return &lonja.Error{Kind: lonja.NoHolder, Op: lonja.OpHolders.String(), User: s.user, File: lonja.FileName(path.Base(string(f.remote)))}
	}
	if err := oneContent(holders, f.remote); err != nil {
		return err
	}
	var errs []error
	for _, h := range holders {
		err := d.fetchFrom(ctx, s, h, f)
		if err == nil || ctx.Err() != nil || errors.Is(err, lonja.LocalFile) {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// mostContents is how many contents of one name are told.
const mostContents = 20

// oneContent returns an error of kind Disagreement, with what to choose from, if
// holders have different contents.
func oneContent(holders []lonja.Holder, name lonja.FileName) error {
	users := make(map[lonja.FileID][]lonja.UserName)
	var ids []lonja.FileID
	for _, h := range holders {
		id := lonja.FileID{}
		if h.Proof != nil {
			id = h.Proof.File
		}
		if users[id] == nil {
			ids = append(ids, id)
		}
		users[id] = append(users[id], h.User)
	}
	if len(ids) < 2 {
		return nil
	}
	text := "it stands for several contents: ask for one of them by its id"
	for _, id := range ids[:min(len(ids), mostContents)] {
		shown := id.String()
		if id.IsZero() {
			shown = "of unknown content (classic)"
		}
		text += fmt.Sprintf("\n  %s  %d with it, %s among them", shown, len(users[id]), lonja.Printable(string(users[id][0])))
	}
	return &lonja.Error{Kind: lonja.Disagreement, Op: lonja.OpHolders.String(), File: name, Err: errors.New(text)}
}
