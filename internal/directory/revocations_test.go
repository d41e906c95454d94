package directory

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/memstore"
)

// TestOldRevocationsAreForgotten: what no certificate can outlast is not told,
// and its records are deleted; what is later stays.
func TestOldRevocationsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		d, err := Open(t.Context(), Options{Store: s})
		must(t, err)
		defer d.Close()
		ana := newSigner("ana", "ana")
		must(t, d.RegisterMember(t.Context(), ana.Member, ""))
		revoke := func(key string) {
			other := newSigner("ana", key)
			must(t, d.AddKey(t.Context(), ana.Member, ana.endorse(t, other)), d.RevokeKey(t.Context(), ana.Member, ana.revoke(t, other)))
		}
		told := func() int {
			all, err := d.Revocations(t.Context(), 0)
			must(t, err)
			return len(all)
		}
		for i := range 5 {
			revoke(fmt.Sprint("early ", i))
		}
		time.Sleep(revocationsKept - time.Minute)
		revoke("late")
		if n := told(); n != 6 {
			t.Errorf("%d are told, want 6", n)
		}
		time.Sleep(2 * time.Minute)
		if n := told(); n != 1 {
			t.Errorf("%d are told when five are too old, want 1", n)
		}
		time.Sleep(revocationsLook)
		synctest.Wait()
		if n := len(d.ledger.revocations); n != 1 {
			t.Errorf("%d are kept, want 1", n)
		}
		again, err := Open(t.Context(), Options{Store: s})
		must(t, err)
		defer again.Close()
		if n := len(again.ledger.revocations); n != 1 {
			t.Errorf("the store holds %d, want 1", n)
		}
		keys, err := d.Keys(t.Context(), "ana")
		must(t, err)
		if len(keys) != 7 || keys[1].Revoked == 0 {
			t.Errorf("the account has the keys %+v", keys)
		}
	})
}

// FuzzRevocationCursor: a cursor that is taken is the one of what it says.
func FuzzRevocationCursor(f *testing.F) {
	f.Add(string(revocationCursor(&heldRevocation{Revocation: lonja.Revocation{User: "ana", Key: lonja.PublicKey{1}}, at: 1795000000})))
	f.Add("cgA")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRevocationCursor(lonja.Cursor(text))
		if err != nil {
			return
		}
		again, err := parseRevocationCursor(revocationCursor(&r))
		if err != nil || again != r || r.at < 0 {
			t.Errorf("got %+v, then %+v, %v", r, again, err)
		}
	})
}
