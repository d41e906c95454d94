package directory

import (
	"context"
	"crypto/ed25519"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"lonja"
	"lonja/internal/dirtest"
	"lonja/internal/memstore"
	"lonja/internal/store"
)

var loopback = netip.MustParseAddr("127.0.0.1")

func memberOptions(opts dirtest.MemberOptions) Options {
	switch {
	case opts.Closed:
		return Options{Registration: RegisterNobody}
	case opts.Invited:
		return Options{Registration: RegisterInvited}
	}
	return Options{}
}

// asMembers returns a directory as the suite uses it.
func asMembers(t *testing.T, dir lonja.MemberDirectory, d *Directory) dirtest.MemberDirectory {
	return dirtest.MemberDirectory{
		As:      func(lonja.UserName, ed25519.PrivateKey) lonja.MemberDirectory { return dir },
		Classic: dir,
		Invite: func(uses int, until int64) lonja.Invitation {
			secret, err := d.CreateInvitation(t.Context(), uses, until, "a note")
			if err != nil {
				t.Fatal(err)
			}
			return secret
		},
		Addr: loopback,
	}
}

func openWith(t *testing.T, s store.Store, opts Options) *Directory {
	t.Helper()
	opts.Store = s
	d, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestMemberContract(t *testing.T) {
	dirtest.RunMembers(t, func(t *testing.T, opts dirtest.MemberOptions) dirtest.MemberDirectory {
		d := openWith(t, memstore.New(), memberOptions(opts))
		return asMembers(t, d, d)
	})
}

// TestMemberContractOnSeveralNodes: three nodes together are one directory.
func TestMemberContractOnSeveralNodes(t *testing.T) {
	dirtest.RunMembers(t, func(t *testing.T, opts dirtest.MemberOptions) dirtest.MemberDirectory {
		o := memberOptions(opts)
		o.Store, o.Shared, o.testOnlyBeat = memstore.New(), true, 20*time.Millisecond
		nodes := openNodesWith(t, o, 3)
		return asMembers(t, anyNode{t, nodes, new(atomic.Int64)}, nodes[0])
	})
}

// TestClassicContractWithMembers: the classic rules hold as before for names
// without keys where others have some.
func TestClassicContractWithMembers(t *testing.T) {
	dirtest.Run(t, loopback, func(t *testing.T) lonja.Directory {
		d := openWith(t, memstore.New(), Options{SessionLease: time.Hour})
		return d
	})
}

func (a anyNode) Authorize(m lonja.Member) error { return a.next().Authorize(m) }

func (a anyNode) Account(ctx context.Context, m lonja.Member) (uint64, error) {
	return a.next().Account(ctx, m)
}

func (a anyNode) ConnectWithoutKey(ctx context.Context, m lonja.Member, at lonja.Endpoint) error {
	return a.next().ConnectWithoutKey(ctx, m, at)
}

func (a anyNode) UnregisterMember(ctx context.Context, m lonja.Member) error {
	return a.next().UnregisterMember(ctx, m)
}

func (a anyNode) DisconnectMember(ctx context.Context, m lonja.Member) error {
	return a.next().DisconnectMember(ctx, m)
}

func (a anyNode) DeleteMember(ctx context.Context, m lonja.Member, name lonja.FileName) error {
	return a.next().DeleteMember(ctx, m, name)
}

func (a anyNode) RegisterMember(ctx context.Context, m lonja.Member, i lonja.Invitation) error {
	return a.next().RegisterMember(ctx, m, i)
}

func (a anyNode) Claim(ctx context.Context, m lonja.Member, from netip.Addr) error {
	return a.next().Claim(ctx, m, from)
}

func (a anyNode) Keys(ctx context.Context, of lonja.UserName) ([]lonja.KeyRecord, error) {
	return a.next().Keys(ctx, of)
}

func (a anyNode) AddKey(ctx context.Context, m lonja.Member, e lonja.Endorsement) error {
	return a.next().AddKey(ctx, m, e)
}

func (a anyNode) RevokeKey(ctx context.Context, m lonja.Member, r lonja.Revocation) error {
	return a.next().RevokeKey(ctx, m, r)
}

func (a anyNode) Revocations(ctx context.Context, since int64) ([]lonja.Revocation, error) {
	return a.next().Revocations(ctx, since)
}

func (a anyNode) ConnectMember(ctx context.Context, m lonja.Member, ways []lonja.Endpoint) error {
	return a.next().ConnectMember(ctx, m, ways)
}

func (a anyNode) RenewMember(ctx context.Context, m lonja.Member, ways []lonja.Endpoint) error {
	d := a.next()
	err := d.RenewMember(ctx, m, ways)
	d.told(ctx) // the session of another node has come here
	return err
}

func (a anyNode) Fetching(ctx context.Context, m lonja.Member, files []lonja.FileID) error {
	d := a.next()
	err := d.Fetching(ctx, m, files)
	d.told(ctx)
	return err
}

func (a anyNode) ContentDigest(ctx context.Context, owner lonja.UserName) (lonja.ContentDigest, error) {
	return a.next().ContentDigest(ctx, owner)
}

func (a anyNode) UsersPage(ctx context.Context, u lonja.UserName, after lonja.Cursor, n int) ([]lonja.Peer, lonja.Cursor, error) {
	return a.next().UsersPage(ctx, u, after, n)
}

func (a anyNode) ContentPage(ctx context.Context, u, o lonja.UserName, after lonja.Cursor, n int) ([]lonja.Listing, lonja.Cursor, error) {
	return a.next().ContentPage(ctx, u, o, after, n)
}

func (a anyNode) HoldersPage(ctx context.Context, u lonja.UserName, w lonja.Wanted, after lonja.Cursor, n int) ([]lonja.Holder, lonja.Cursor, error) {
	return a.next().HoldersPage(ctx, u, w, after, n)
}

func (a anyNode) RevocationsPage(ctx context.Context, since int64, after lonja.Cursor, n int) ([]lonja.Revocation, lonja.Cursor, error) {
	return a.next().RevocationsPage(ctx, since, after, n)
}

func (a anyNode) Watch(ctx context.Context, m lonja.Member, f lonja.EventFilter, told func(lonja.Event) error) error {
	return a.next().Watch(ctx, m, f, told)
}
