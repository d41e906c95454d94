package directory

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"lonja"
	"lonja/internal/memstore"
	"lonja/internal/store"
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

// An overtaken store has others do something just before it writes, once.
type overtaken struct {
	*memstore.Store
	first atomic.Pointer[func()]
}

func (s *overtaken) Apply(ctx context.Context, batch []store.Change) (store.Rev, error) {
	if first := s.first.Swap(nil); first != nil {
		(*first)()
	}
	return s.Store.Apply(ctx, batch)
}

// TestUnregisterIsOvertaken: between the look whether somebody may remove an
// account and its removal, the name becomes another's, the key is revoked, or one
// comes: whatever is there then decides.
func TestUnregisterIsOvertaken(t *testing.T) {
	ana, phone, next := newSigner("ana", "ana"), newSigner("ana", "phone"), newSigner("ana", "next")
	for name, c := range map[string]struct {
		first func(t *testing.T, d *Directory)
		want  lonja.Kind // 0: it is removed
		ended []lonja.PublicKey
		left  lonja.Member // who has the name then
	}{
		"the name becomes another's": {
			first: func(t *testing.T, d *Directory) {
				must(t, d.UnregisterMember(t.Context(), ana.Member), d.RegisterMember(t.Context(), next.Member, ""))
			},
			want: lonja.NoSuchUser, ended: []lonja.PublicKey{ana.Key}, left: next.Member,
		},
		"the name is registered anew": {
			first: func(t *testing.T, d *Directory) {
				must(t, d.UnregisterMember(t.Context(), ana.Member), d.RegisterMember(t.Context(), ana.Member, ""))
			},
			want: lonja.NoSuchUser, ended: []lonja.PublicKey{ana.Key}, left: ana.Member,
		},
		"the key is revoked": {
			first: func(t *testing.T, d *Directory) {
				must(t, d.AddKey(t.Context(), ana.Member, ana.endorse(t, phone)), d.RevokeKey(t.Context(), ana.Member, ana.revoke(t, ana)))
			},
			want: lonja.OtherKey, left: phone.Member,
		},
		"another key comes": {
			first: func(t *testing.T, d *Directory) {
				must(t, d.AddKey(t.Context(), ana.Member, ana.endorse(t, phone)))
			},
			ended: []lonja.PublicKey{ana.Key, phone.Key},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &overtaken{Store: memstore.New()}
			d := openWith(t, s, Options{})
			must(t, d.RegisterMember(t.Context(), ana.Member, ""))
			first := func() { c.first(t, d) }
			s.first.Store(&first)
			err := d.UnregisterMember(t.Context(), ana.Member)
			if c.want == 0 && err != nil || c.want != 0 && !errors.Is(err, c.want) {
				t.Errorf("got error %v, want %v", err, c.want)
			}
			if c.left != (lonja.Member{}) {
				must(t, d.Authorize(c.left))
			} else if err := d.Authorize(ana.Member); !errors.Is(err, lonja.NoSuchUser) {
				t.Errorf("the account is there: %v", err)
			}
			all, err := d.Revocations(t.Context(), 0)
			must(t, err)
			ended := map[lonja.PublicKey]bool{}
			for _, r := range all {
				ended[r.Key] = ended[r.Key] || r.Account != 0
			}
			for _, key := range c.ended {
				if !ended[key] {
					t.Errorf("the end of the account is not told for %v", key.ID())
				}
			}
		})
	}
}
