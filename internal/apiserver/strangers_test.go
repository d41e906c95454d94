package apiserver_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"lonja"
	"lonja/internal/apiserver/apitest"
	"lonja/internal/dirclient"
	"lonja/internal/dirserver"
	"lonja/internal/limits"
)

// TestStrangersSpendNothingOfOthers: whoever asks in a name that is bound to
// another's key uses up no operation of that user's, in neither dialect, and
// leaves no line that says that the user has asked.
func TestStrangersSpendNothingOfOthers(t *testing.T) {
	var out lines
	var mu sync.Mutex
	var records []lonja.OperationRecord
	s := site(t, apitest.Setup{Port: dirserver.Options{
		Limits:   limits.New(limits.Options{OperationsPerUser: 1, Loopback: true}, time.Now()),
		Announce: &out, Record: func(r lonja.OperationRecord) {
			mu.Lock()
			defer mu.Unlock()
			records = append(records, r)
		},
	}})
	ctx := t.Context()
	cert := apitest.Certificate(t)
	ana, stranger := client(t, s, cert), client(t, s, apitest.Certificate(t))
	classic := dirclient.New(dirclient.Options{Address: s.Address})
	member := lonja.Member{User: "ana", Key: apitest.KeyOf(cert)}
	if err := ana.RegisterMember(ctx, member, ""); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := stranger.Delete(ctx, "ana", "/f"); !errors.Is(err, lonja.OtherKey) {
			t.Fatalf("a stranger deletes: got %v", err)
		}
		if err := stranger.RegisterMember(ctx, lonja.Member{User: "ana", Key: stranger.Key()}, ""); !errors.Is(err, lonja.NameInUse) {
			t.Fatalf("a stranger registers: got %v", err)
		}
		if err := classic.Delete(ctx, "ana", "/f"); !errors.Is(err, lonja.Refused) {
			t.Fatalf("a classic client deletes: got %v", err)
		}
	}
	if err := ana.Authorize(member); err != nil {
		t.Errorf("the user herself: got %v", err)
	}
	s.Stop()
	if n := strings.Count(out.text.String(), "DELETE FROM ana AT "); n != 20 {
		t.Errorf("%d lines say that ana deletes, want the 20 of the classic dialect", n)
	}
	mu.Lock()
	defer mu.Unlock()
	registered := 0
	for _, r := range records {
		if r.User == "ana" && r.Operation == "REGISTER" {
			registered++
		}
	}
	if registered != 1 {
		t.Errorf("the operation log says %d times that ana registers, want 1", registered)
	}
}
