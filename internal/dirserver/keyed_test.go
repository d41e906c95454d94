package dirserver_test

import (
	"crypto/ed25519"
	"testing"
	"time"

	"lonja"
	"lonja/internal/classic"
	"lonja/internal/directory"
	"lonja/internal/directory/directorytest"
	"lonja/internal/dirserver"
	"lonja/internal/memstore"
	"lonja/internal/statement"
	"lonja/internal/telemetry"
)

// requestsFor is one request of each operation that a user asks.
func requestsFor(user string) map[lonja.Operation]string {
	return map[lonja.Operation]string{
		lonja.OpRegister:    "REGISTER\x00t\x00" + user + "\x00",
		lonja.OpUnregister:  "UNREGISTER\x00t\x00" + user + "\x00",
		lonja.OpConnect:     "CONNECT\x00t\x00" + user + "\x004000\x00",
		lonja.OpDisconnect:  "DISCONNECT\x00t\x00" + user + "\x00",
		lonja.OpPublish:     "PUBLISH\x00t\x00" + user + "\x00/f\x00about\x00",
		lonja.OpDelete:      "DELETE\x00t\x00" + user + "\x00/f\x00",
		lonja.OpListUsers:   "LIST_USERS\x00t\x00" + user + "\x00",
		lonja.OpListContent: "LIST_CONTENT\x00t\x00" + user + "\x00ana\x00",
		lonja.OpHolders:     "GET_MULTIFILE\x00t\x00" + user + "\x00f\x00",
		lonja.OpSearch:      "SEARCH\x00t\x00" + user + "\x00f\x00\x00\x000\x000\x00\x000\x0010\x00\x00",
	}
}

// TestNamesWithKeysAreClosed: whatever the classic protocol asks for a name that
// is bound to a key, connected or not, is refused, and nothing happens; all else
// goes on.
func TestNamesWithKeysAreClosed(t *testing.T) {
	dir := directorytest.New(t)
	ctx := t.Context()
	member := lonja.Member{User: "ana", Key: lonja.PublicKey{31: 0x40, 0: 5}}
	for _, err := range []error{
		dir.RegisterMember(ctx, member, ""), dir.Register(ctx, "old"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	server := start(t, dirserver.Options{Directory: telemetry.NewMetrics("v1").Instrument(dir)})
	requests := requestsFor("ana")
	for _, connected := range []bool{false, true} {
		if connected {
			if err := dir.ConnectMember(ctx, member, nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, op := range lonja.Operations() {
			want := string([]byte{classic.OtherStatus(op)})
			if op == lonja.OpRegister {
				want = "\x01"
			}
			if got := ask(t, server.addr, requests[op]); got != want {
				t.Errorf("connected %v: %v: got %q, want %q", connected, op, got, want)
			}
		}
	}
	if err := dir.Authorize(member); err != nil {
		t.Errorf("the account is gone: %v", err)
	}
	if _, err := dir.ListUsers(ctx, "ana"); err != nil {
		t.Errorf("its session has ended: %v", err)
	}
	if got := ask(t, server.addr, requestsFor("old")[lonja.OpConnect]); got != "\x00" {
		t.Errorf("a name without a key: got %q, want status 0", got)
	}
}

// TestRegistrationIsClosed: REGISTER asks for no invitation, so a directory that
// wants one refuses it.
func TestRegistrationIsClosed(t *testing.T) {
	for _, registration := range []directory.Registration{directory.RegisterInvited, directory.RegisterNobody} {
		dir, err := directory.Open(t.Context(), directory.Options{Store: memstore.New(), Registration: registration})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = dir.Close() })
		server := start(t, dirserver.Options{Directory: dir})
		want := string([]byte{classic.OtherStatus(lonja.OpRegister)})
		if got := ask(t, server.addr, requestsFor("ana")[lonja.OpRegister]); got != want {
			t.Errorf("registration %v: got %q, want %q", registration, got, want)
		}
	}
}

// unbound is a directory that says of each name that it is bound to no key: as if
// it had been asked before the name was.
type unbound struct{ *directory.Directory }

func (unbound) Bound(lonja.UserName) bool { return false }

// TestNamesThatAreBoundMeanwhile: what the classic protocol asks for a name that
// becomes bound to a key meanwhile does not take away what is the key's.
func TestNamesThatAreBoundMeanwhile(t *testing.T) {
	dir := directorytest.New(t)
	ctx := t.Context()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	member := lonja.Member{User: "ana", Key: lonja.PublicKey(key.Public().(ed25519.PublicKey))}
	p, err := statement.SignPublication(lonja.Publication{Owner: "ana", Listing: lonja.Listing{
		Name: "f", Proof: &lonja.Proof{File: lonja.FileID{1}, Date: time.Now().Unix()},
	}}, key)
	for _, err := range []error{err, dir.RegisterMember(ctx, member, "")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	server := start(t, dirserver.Options{Directory: unbound{dir}})
	requests := requestsFor("ana")
	if got, want := ask(t, server.addr, requests[lonja.OpConnect]), string([]byte{classic.OtherStatus(lonja.OpConnect)}); got != want {
		t.Errorf("CONNECT: got %q, want %q", got, want)
	}
	if peers, err := dir.ListUsers(ctx, "ana"); err != nil || peers.Len() != 0 {
		t.Errorf("connected are %v, %v", peers, err)
	}
	for _, err := range []error{dir.ConnectMember(ctx, member, nil), dir.Publish(ctx, "ana", p.Listing)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	requests[lonja.OpDelete] = "DELETE\x00t\x00ana\x00f\x00"
	for _, op := range []lonja.Operation{lonja.OpDelete, lonja.OpDisconnect, lonja.OpUnregister} {
		if got, want := ask(t, server.addr, requests[op]), string([]byte{classic.OtherStatus(op)}); got != want {
			t.Errorf("%v: got %q, want %q", op, got, want)
		}
	}
	if listings, err := dir.ListContent(ctx, "ana", "ana"); err != nil || len(listings) != 1 {
		t.Errorf("listed are %+v, %v", listings, err)
	}
	if err := dir.RenewMember(ctx, member, nil); err != nil {
		t.Errorf("its session: %v", err)
	}
}
