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
	"slices"
	"syscall"

	"lonja"
	"lonja/internal/authority"
	"lonja/internal/statement"
	"lonja/internal/transport"
)

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
	if holders[0].Publication().Folder() != nil {
		return folderNotFile(f.remote, holders[0].Proof.File)
	}
	if err := checkFree(opFetchFile, f.local); err != nil {
		return err
	}
	f.from = owner
	return d.fetchWatched(ctx, s, holders[:1], f)
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
	err = eachPage(func(after lonja.Cursor) (lonja.Cursor, bool, error) {
		page, next, err := d.Directory.HoldersPage(ctx, user, w, after, lonja.MaxPage)
		all = append(all, page...)
		return next, len(all) >= mostHolders, err
	})
	return all, err
}

// whyNot is the error for a file that its owner does not offer: it may not be
// there, or not connected.
func (d *secureDialect) whyNot(ctx context.Context, user, owner lonja.UserName, name lonja.FileName) error {
	there := false
	err := eachPage(func(after lonja.Cursor) (lonja.Cursor, bool, error) {
		page, next, err := d.Directory.UsersPage(ctx, user, after, lonja.MaxPage)
		there = slices.ContainsFunc(page, func(p lonja.Peer) bool { return p.User == owner })
		return next, there, err
	})
	switch {
	case err != nil:
		return err
	case !there:
		return notThere(owner)
	}
	return &lonja.Error{Kind: lonja.NoSuchFile, Op: opFetchFile, User: owner, File: name}
}

// silences are why a way fails on which a router lets nobody in.
var silences = []error{transport.ErrSilent, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH}

// unreached adds to the error of a peer that does not answer what can be done
// about it: as a rule it is behind a router that lets nobody in. Where something
// answers that nobody listens there, no router is to blame.
func unreached(user lonja.UserName, ways []lonja.Endpoint, err error) error {
	isWhy := func(reason error) bool { return errors.Is(err, reason) }
	if !errors.Is(err, lonja.Unavailable) || len(ways) == 0 || !slices.ContainsFunc(silences, isWhy) {
		return err
	}
	return fmt.Errorf("%w\nIf %s is behind a router, that must let others in: switch on UPnP or NAT-PMP in it, or have it forward TCP port %d to that machine; \"lonja who --me\" there tells more",
		err, lonja.Printable(string(user)), ways[0].Port())
}

// An asking is who fetches something, and how it proves itself to others.
type asking struct {
	user  lonja.UserName
	peers authority.PeerOptions
}

func (s *stay) asks() asking { return asking{s.user, s.keeps.peers()} }

// errUnsigned is why what is published in the classic protocol is not fetched.
var errUnsigned = errors.New("it is published in the classic protocol: nothing proves whose it is, and it would come unencrypted; with \"lonja client --classic\" you can have it all the same")

// trusted checks what a directory says of a holder of what was asked for: that it
// is that, that its owner has signed it, and with a key that is the owner's. It
// returns how to speak to it.
func (d *secureDialect) trusted(ctx context.Context, as asking, h lonja.Holder, asked lonja.FileName) (*tls.Config, error) {
	if h.Proof == nil || h.Reach == nil {
		return nil, &lonja.Error{Kind: lonja.Untrusted, Op: opFetchFile, User: h.User, File: h.Name, Err: errUnsigned}
	}
	err := statement.VerifyPublication(h.Publication())
	if w := wanted(asked); err == nil && h.Proof.File != w.File && h.Name.Base() != w.Name.Base() {
		err = errors.New("it is another file than was asked for")
	}
	if err != nil {
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
	return authority.PeerClientConfig(as.peers, authority.Expected{User: h.User, Keys: []lonja.PublicKey{h.Reach.Key}}), nil
}

// localNetworks returns those that this machine is in.
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

// fetchMulti fetches what a name stands for from all who have it, which must be
// one content.
func (d *secureDialect) fetchMulti(ctx context.Context, s *stay, f fetch) error {
	holders, err := d.holders(ctx, s.user, wanted(f.remote))
	if err != nil {
		return d.heed(s, err)
	}
	if len(holders) == 0 {
		return &lonja.Error{Kind: lonja.NoHolder, Op: lonja.OpHolders.String(), User: s.user, File: lonja.FileName(path.Base(string(f.remote)))}
	}
	choices := d.choices(ctx, s.asks(), holders, f.remote)
	if len(choices) > 1 {
		return disagreement(f.remote, choices)
	}
	if err := checkFree(lonja.OpHolders.String(), f.local); err != nil {
		return err
	}
	if choices[0].IsFolder() {
		return folderNotFile(f.remote, choices[0].ID)
	}
	return d.fetchWatched(ctx, s, choices[0].Holders, f)
}
