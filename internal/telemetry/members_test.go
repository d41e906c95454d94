package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"lonja"
)

// A failingMembers ends every operation with err.
type failingMembers struct {
	failing
	lonja.Pages
	lonja.Watcher
}

func (f failingMembers) Authorize(lonja.Member) error { return f.err }
func (f failingMembers) Account(context.Context, lonja.Member) (uint64, error) {
	return 0, f.err
}
func (f failingMembers) UnregisterMember(context.Context, lonja.Member) error { return f.err }
func (f failingMembers) ConnectWithoutKey(context.Context, lonja.Member, lonja.Endpoint) error {
	return f.err
}
func (f failingMembers) DisconnectMember(context.Context, lonja.Member) error { return f.err }
func (f failingMembers) DeleteMember(context.Context, lonja.Member, lonja.FileName) error {
	return f.err
}

func (f failingMembers) Bound(u lonja.UserName) bool { return u == "bound" }

func (f failingMembers) RegisterMember(context.Context, lonja.Member, lonja.Invitation) error {
	return f.err
}
func (f failingMembers) Claim(context.Context, lonja.Member, netip.Addr) error { return f.err }
func (f failingMembers) Keys(context.Context, lonja.UserName) ([]lonja.KeyRecord, error) {
	return nil, f.err
}

func (f failingMembers) AddKey(context.Context, lonja.Member, lonja.Endorsement) error { return f.err }

func (f failingMembers) RevokeKey(context.Context, lonja.Member, lonja.Revocation) error {
	return f.err
}

func (f failingMembers) Revocations(context.Context, int64) ([]lonja.Revocation, error) {
	return nil, f.err
}

func (f failingMembers) ConnectMember(context.Context, lonja.Member, []lonja.Endpoint) error {
	return f.err
}

func (f failingMembers) RenewMember(context.Context, lonja.Member, []lonja.Endpoint) error {
	return f.err
}

func (f failingMembers) Fetching(context.Context, lonja.Member, []lonja.FileID) error { return f.err }

func (f failingMembers) ContentDigest(context.Context, lonja.UserName) (lonja.ContentDigest, error) {
	return lonja.ContentDigest{}, f.err
}

func (f failingMembers) UsersPage(context.Context, lonja.UserName, lonja.Cursor, int) ([]lonja.Peer, lonja.Cursor, error) {
	return nil, "", f.err
}

func (f failingMembers) ContentPage(context.Context, lonja.UserName, lonja.UserName, lonja.Cursor, int) ([]lonja.Listing, lonja.Cursor, error) {
	return nil, "", f.err
}

func (f failingMembers) HoldersPage(context.Context, lonja.UserName, lonja.Wanted, lonja.Cursor, int) ([]lonja.Holder, lonja.Cursor, error) {
	return nil, "", f.err
}

func (f failingMembers) RevocationsPage(context.Context, int64, lonja.Cursor, int) ([]lonja.Revocation, lonja.Cursor, error) {
	return nil, "", f.err
}

func (f failingMembers) Watch(context.Context, lonja.Member, lonja.EventFilter, func(lonja.Event) error) error {
	return f.err
}

func performAllMembers(ctx context.Context, dir lonja.MemberDirectory) []error {
	var m lonja.Member
	errs := []error{
		dir.RegisterMember(ctx, m, ""), dir.Claim(ctx, m, netip.Addr{}), dir.AddKey(ctx, m, lonja.Endorsement{}),
		dir.RevokeKey(ctx, m, lonja.Revocation{}), dir.ConnectMember(ctx, m, nil), dir.RenewMember(ctx, m, nil),
		dir.Fetching(ctx, m, nil), dir.Watch(ctx, m, lonja.EventFilter{}, nil),
	}
	_, keys := dir.Keys(ctx, "")
	_, revocations := dir.Revocations(ctx, 0)
	_, digest := dir.ContentDigest(ctx, "")
	_, _, users := dir.UsersPage(ctx, "", "", 0)
	_, _, content := dir.ContentPage(ctx, "", "", "", 0)
	_, _, holders := dir.HoldersPage(ctx, "", lonja.Wanted{}, "", 0)
	return append(errs, keys, revocations, digest, users, content, holders)
}

// TestOperationsOfMembersAreCounted: each once, by how it ended, and what the
// directory answers comes through.
func TestOperationsOfMembersAreCounted(t *testing.T) {
	for _, want := range []error{nil, lonja.E(lonja.OtherKey, "x", nil)} {
		m := NewMetrics("v1")
		dir := m.InstrumentMembers(failingMembers{failing: failing{want}})
		for i, got := range performAllMembers(t.Context(), dir) {
			if !errors.Is(got, want) {
				t.Errorf("operation %d: got error %v, want %v", i, got, want)
			}
		}
		if err := dir.Authorize(lonja.Member{}); !errors.Is(err, want) {
			t.Errorf("authorize: got error %v, want %v", err, want)
		}
		if err := dir.Register(t.Context(), "x"); !errors.Is(err, want) {
			t.Errorf("register: got error %v, want %v", err, want)
		}
		status := statusOK
		if want != nil {
			status = statusNames[lonja.OtherKey]
		}
		for _, name := range append(memberOperationNames[:], "REGISTER") {
			wantLines(t, m, fmt.Sprintf(`lonja_operations_total{operation="%s",status="%s"} 1`, name, status))
		}
	}
}

// TestOperationsOnNamesOfMembersAreCounted as the operations that they are, whoever
// asks for the name.
func TestOperationsOnNamesOfMembersAreCounted(t *testing.T) {
	for status, want := range map[string]error{statusOK: nil, statusNames[lonja.OtherKey]: lonja.E(lonja.OtherKey, "x", nil)} {
		m := NewMetrics("v1")
		dir, ctx := m.InstrumentMembers(failingMembers{failing: failing{want}}), t.Context()
		for op, got := range map[lonja.Operation]error{
			lonja.OpConnect:    dir.ConnectWithoutKey(ctx, lonja.Member{}, lonja.Endpoint{}),
			lonja.OpDisconnect: dir.DisconnectMember(ctx, lonja.Member{}),
			lonja.OpDelete:     dir.DeleteMember(ctx, lonja.Member{}, ""),
			lonja.OpUnregister: dir.UnregisterMember(ctx, lonja.Member{}),
		} {
			if !errors.Is(got, want) {
				t.Errorf("%v: got error %v, want %v", op, got, want)
			}
			wantLines(t, m, fmt.Sprintf(`lonja_operations_total{operation="%v",status="%s"} 1`, op, status))
		}
	}
}

func TestBoundComesThrough(t *testing.T) {
	m := NewMetrics("v1")
	for dir, want := range map[lonja.Directory]bool{
		m.Instrument(failingMembers{}): true, m.InstrumentMembers(failingMembers{}): true, m.Instrument(failing{}): false,
	} {
		if got := dir.(interface{ Bound(lonja.UserName) bool }).Bound("bound"); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}
