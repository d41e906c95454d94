package directory

import (
	"testing"
	"testing/synctest"

	"lonja/internal/memstore"
)

// TestAccountsOfOneSecond: of accounts that end within one second, one after the
// other, the last one is told, whose number is the largest.
func TestAccountsOfOneSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openWith(t, memstore.New(), Options{})
		defer func() { must(t, d.Close()) }()
		ana := newSigner("ana", "ana")
		var last uint64
		for range 3 {
			must(t, d.RegisterMember(t.Context(), ana.Member, ""))
			number, err := d.Account(t.Context(), ana.Member)
			must(t, err)
			if number <= last {
				t.Errorf("the account after %d has number %d", last, number)
			}
			last = number
			must(t, d.Unregister(t.Context(), "ana"))
		}
		all, err := d.Revocations(t.Context(), 0)
		must(t, err)
		if len(all) != 1 || all[0].Account != last || all[0].Key != ana.Key {
			t.Errorf("got %+v, want the end of account %d", all, last)
		}
	})
}
