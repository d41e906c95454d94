package telemetry

import (
	"context"
	"net/netip"
	"time"

	"lonja"
)

// A memberOperation is one of what members ask beside the operations of the
// classic dialect.
type memberOperation uint8

const (
	opRegisterMember memberOperation = iota
	opClaim
	opKeys
	opAddKey
	opRevokeKey
	opRevocations
	opConnectMember
	opRenewMember
	opFetching
	opContentDigest
	opUsersPage
	opContentPage
	opHoldersPage
	opWatch
	memberOperationCount
)

// memberOperationNames are the values of the label, after those of
// lonja.Operation.
var memberOperationNames = [memberOperationCount]string{
	opRegisterMember: "REGISTER_MEMBER",
	opClaim:          "CLAIM",
	opKeys:           "LIST_KEYS",
	opAddKey:         "ADD_KEY",
	opRevokeKey:      "REVOKE_KEY",
	opRevocations:    "LIST_REVOCATIONS",
	opConnectMember:  "CONNECT_MEMBER",
	opRenewMember:    "RENEW_MEMBER",
	opFetching:       "FETCHING",
	opContentDigest:  "CONTENT_DIGEST",
	opUsersPage:      "USERS_PAGE",
	opContentPage:    "CONTENT_PAGE",
	opHoldersPage:    "HOLDERS_PAGE",
	opWatch:          "WATCH",
}

// memberMetrics holds the counters of each memberOperation.
type memberMetrics []operationMetric

// InstrumentMembers is Instrument for a directory that speaks the secure dialect
// too. Authorize is not counted: it is asked beside everything else.
func (m *Metrics) InstrumentMembers(dir lonja.MemberDirectory) lonja.MemberDirectory {
	return &instrumentedMembers{instrumented{dir, m.operations}, dir, m.members}
}

type instrumentedMembers struct {
	instrumented
	dir     lonja.MemberDirectory
	metrics memberMetrics
}

// Authorize implements lonja.Members.
func (i *instrumentedMembers) Authorize(member lonja.Member) error { return i.dir.Authorize(member) }

// Account implements lonja.Members. It is not counted, as Authorize is not.
func (i *instrumentedMembers) Account(ctx context.Context, member lonja.Member) (uint64, error) {
	return i.dir.Account(ctx, member)
}

// UnregisterMember implements lonja.Members. It counts as Unregister, and the three
// below as Connect, Disconnect and Delete.
func (i *instrumentedMembers) UnregisterMember(ctx context.Context, member lonja.Member) error {
	start := time.Now()
	err := i.dir.UnregisterMember(ctx, member)
	i.instrumented.metrics[lonja.OpUnregister].done(start, err)
	return err
}

// ConnectWithoutKey implements lonja.Members.
func (i *instrumentedMembers) ConnectWithoutKey(ctx context.Context, member lonja.Member, at lonja.Endpoint) error {
	start := time.Now()
	err := i.dir.ConnectWithoutKey(ctx, member, at)
	i.instrumented.metrics[lonja.OpConnect].done(start, err)
	return err
}

// DisconnectMember implements lonja.Members.
func (i *instrumentedMembers) DisconnectMember(ctx context.Context, member lonja.Member) error {
	start := time.Now()
	err := i.dir.DisconnectMember(ctx, member)
	i.instrumented.metrics[lonja.OpDisconnect].done(start, err)
	return err
}

// DeleteMember implements lonja.Members.
func (i *instrumentedMembers) DeleteMember(ctx context.Context, member lonja.Member, name lonja.FileName) error {
	start := time.Now()
	err := i.dir.DeleteMember(ctx, member, name)
	i.instrumented.metrics[lonja.OpDelete].done(start, err)
	return err
}

// RegisterMember implements lonja.Members.
func (i *instrumentedMembers) RegisterMember(ctx context.Context, member lonja.Member, invitation lonja.Invitation) error {
	start := time.Now()
	err := i.dir.RegisterMember(ctx, member, invitation)
	i.metrics[opRegisterMember].done(start, err)
	return err
}

// Claim implements lonja.Members.
func (i *instrumentedMembers) Claim(ctx context.Context, member lonja.Member, from netip.Addr) error {
	start := time.Now()
	err := i.dir.Claim(ctx, member, from)
	i.metrics[opClaim].done(start, err)
	return err
}

// Keys implements lonja.Members.
func (i *instrumentedMembers) Keys(ctx context.Context, of lonja.UserName) ([]lonja.KeyRecord, error) {
	start := time.Now()
	keys, err := i.dir.Keys(ctx, of)
	i.metrics[opKeys].done(start, err)
	return keys, err
}

// AddKey implements lonja.Members.
func (i *instrumentedMembers) AddKey(ctx context.Context, member lonja.Member, endorsement lonja.Endorsement) error {
	start := time.Now()
	err := i.dir.AddKey(ctx, member, endorsement)
	i.metrics[opAddKey].done(start, err)
	return err
}

// RevokeKey implements lonja.Members.
func (i *instrumentedMembers) RevokeKey(ctx context.Context, member lonja.Member, revocation lonja.Revocation) error {
	start := time.Now()
	err := i.dir.RevokeKey(ctx, member, revocation)
	i.metrics[opRevokeKey].done(start, err)
	return err
}

// Revocations implements lonja.Members.
func (i *instrumentedMembers) Revocations(ctx context.Context, since int64) ([]lonja.Revocation, error) {
	start := time.Now()
	revocations, err := i.dir.Revocations(ctx, since)
	i.metrics[opRevocations].done(start, err)
	return revocations, err
}

// ConnectMember implements lonja.Members.
func (i *instrumentedMembers) ConnectMember(ctx context.Context, member lonja.Member, ways []lonja.Endpoint) error {
	start := time.Now()
	err := i.dir.ConnectMember(ctx, member, ways)
	i.metrics[opConnectMember].done(start, err)
	return err
}

// RenewMember implements lonja.Members.
func (i *instrumentedMembers) RenewMember(ctx context.Context, member lonja.Member, ways []lonja.Endpoint) error {
	start := time.Now()
	err := i.dir.RenewMember(ctx, member, ways)
	i.metrics[opRenewMember].done(start, err)
	return err
}

// Fetching implements lonja.Members.
func (i *instrumentedMembers) Fetching(ctx context.Context, member lonja.Member, files []lonja.FileID) error {
	start := time.Now()
	err := i.dir.Fetching(ctx, member, files)
	i.metrics[opFetching].done(start, err)
	return err
}

// ContentDigest implements lonja.Members.
func (i *instrumentedMembers) ContentDigest(ctx context.Context, owner lonja.UserName) (lonja.ContentDigest, error) {
	start := time.Now()
	digest, err := i.dir.ContentDigest(ctx, owner)
	i.metrics[opContentDigest].done(start, err)
	return digest, err
}

// UsersPage implements lonja.Pages.
func (i *instrumentedMembers) UsersPage(ctx context.Context, user lonja.UserName, after lonja.Cursor, limit int) ([]lonja.Peer, lonja.Cursor, error) {
	start := time.Now()
	peers, next, err := i.dir.UsersPage(ctx, user, after, limit)
	i.metrics[opUsersPage].done(start, err)
	return peers, next, err
}

// ContentPage implements lonja.Pages.
func (i *instrumentedMembers) ContentPage(ctx context.Context, user, owner lonja.UserName, after lonja.Cursor, limit int) ([]lonja.Listing, lonja.Cursor, error) {
	start := time.Now()
	listings, next, err := i.dir.ContentPage(ctx, user, owner, after, limit)
	i.metrics[opContentPage].done(start, err)
	return listings, next, err
}

// HoldersPage implements lonja.Pages.
func (i *instrumentedMembers) HoldersPage(ctx context.Context, user lonja.UserName, wanted lonja.Wanted, after lonja.Cursor, limit int) ([]lonja.Holder, lonja.Cursor, error) {
	start := time.Now()
	holders, next, err := i.dir.HoldersPage(ctx, user, wanted, after, limit)
	i.metrics[opHoldersPage].done(start, err)
	return holders, next, err
}

// RevocationsPage implements lonja.Pages. It counts as what it is a part of.
func (i *instrumentedMembers) RevocationsPage(ctx context.Context, since int64, after lonja.Cursor, limit int) ([]lonja.Revocation, lonja.Cursor, error) {
	start := time.Now()
	revocations, next, err := i.dir.RevocationsPage(ctx, since, after, limit)
	i.metrics[opRevocations].done(start, err)
	return revocations, next, err
}

// Watch implements lonja.Watcher. It is counted when it ends, and not timed: how
// long somebody watches says nothing about the directory.
func (i *instrumentedMembers) Watch(ctx context.Context, member lonja.Member, filter lonja.EventFilter, told func(lonja.Event) error) error {
	err := i.dir.Watch(ctx, member, filter, told)
	i.metrics[opWatch].count(err)
	return err
}
