package node

import (
	"testing"

	"lonja"
)

// TestRevocations: a key that was taken back is so for good; an account that has
// ended is, and those before it, but none that comes later. Neither displaces the
// other.
func TestRevocations(t *testing.T) {
	var r revocations
	ana, other := lonja.Member{User: "ana", Key: lonja.PublicKey{1}}, lonja.Member{User: "eva", Key: lonja.PublicKey{1}}
	is := func(who lonja.Member, account uint64, want bool) {
		t.Helper()
		if got := r.has(who, account); got != want {
			t.Errorf("%s, account %d: got %t, want %t", who.User, account, got, want)
		}
	}
	is(ana, 0, false)
	r.add(ana, 7)
	r.add(ana, 5) // told late
	for account, want := range map[uint64]bool{0: true, 5: true, 7: true, 8: false} {
		is(ana, account, want)
		is(other, account, false)
	}
	r.add(other, 0)
	is(other, 1<<60, true)
	for i := range mostRevoked + 1 {
		r.add(lonja.Member{User: "x", Key: lonja.PublicKey{1, byte(i), byte(i >> 8), byte(i >> 16)}}, 9)
	}
	is(other, 1<<60, true)
	if len(r.ended) > mostRevoked {
		t.Errorf("%d are remembered", len(r.ended))
	}
}
