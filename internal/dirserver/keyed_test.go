package dirserver_test

import (
	"testing"

	"lonja"
	"lonja/internal/classic"
	"lonja/internal/directory"
	"lonja/internal/directory/directorytest"
	"lonja/internal/dirserver"
	"lonja/internal/memstore"
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
