package node

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
)

func strange(i int) lonja.Member {
	m := lonja.Member{User: "stranger"}
	binary.BigEndian.PutUint64(m.Key[:], uint64(i)+1)
	return m
}

// TestManyRevocations: however many keys are revoked, those of users that matter are
// remembered, and of the others the latest.
func TestManyRevocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRevocations(func() map[lonja.UserName]bool { return map[lonja.UserName]bool{"luis": true} })
		stolen := lonja.Member{User: "luis", Key: lonja.PublicKey{1}}
		r.add(stolen, 0)
		for i := range 3 * mostRevoked {
			if i%1024 == 0 {
				time.Sleep(time.Second) // synthetic
			}
			r.add(strange(i), 0)
		}
		if !r.has(stolen, 0) {
			t.Error("the key of a user who matters is forgotten")
		}
		for i := 2*mostRevoked + mostRevoked/4; i < 3*mostRevoked; i++ {
			if !r.has(strange(i), 0) {
				t.Fatalf("the revocation %d of %d is forgotten", i, 3*mostRevoked)
			}
		}
		if n := len(r.keys); n > mostRevoked {
			t.Errorf("%d are remembered", n)
		}
	})
}

// TestTooManyThatMatter: even those are bounded, and the oldest go.
func TestTooManyThatMatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRevocations(func() map[lonja.UserName]bool { return map[lonja.UserName]bool{"stranger": true} })
		r.add(strange(0), 0)
		time.Sleep(time.Second) // synthetic
		for i := range mostRevoked {
			r.add(strange(i+1), 0)
		}
		if n := len(r.keys); n > mostRevoked || r.has(strange(0), 0) || !r.has(strange(mostRevoked), 0) {
			t.Errorf("%d are remembered, the first %t", n, r.has(strange(0), 0))
		}
	})
}

// TestOldRevocations run out with the certificates of their keys, and go first.
func TestOldRevocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRevocations(func() map[lonja.UserName]bool { return map[lonja.UserName]bool{"luis": true} })
		old := lonja.Member{User: "luis", Key: lonja.PublicKey{1}}
		r.add(old, 0)
		time.Sleep(certificateLife + time.Second) // synthetic
		for i := range mostRevoked {
			r.add(strange(i), 0)
		}
		if r.has(old, 0) {
			t.Error("what has run out is remembered")
		}
		if !r.has(strange(0), 0) {
			t.Error("what has not run out is forgotten, though there was room")
		}
	})
}

// TestWhoMatters: who may have a file that not everybody may, and who was met.
func TestWhoMatters(t *testing.T) {
	v := newTown(t)
	ana, luis, eva := v.resident("ana"), v.resident("luis"), v.resident("eva")
	v.resident("stranger")
	errand, err := ana.Errand("ana")
	v.ok(err)
	_, err = errand.Offer(t.Context(), Offer{Path: ana.write("f", "for luis"), Audience: []lonja.UserName{luis.user}})
	v.ok(err)
	v.ok(eva.Publish(t.Context(), eva.write("g", "of eva"), ""))
	ana.gets("eva", "g", "of eva")
	got := ana.current().keeps.concerns()
	if !got["luis"] || !got["eva"] || got["stranger"] {
		t.Errorf("got %v", got)
	}
}

// TestRevocations: a key that was taken back is so for good; an account that has
// ended is, and those before it, but none that comes later. Neither displaces the
// other.
func TestRevocations(t *testing.T) {
	r := newRevocations(func() map[lonja.UserName]bool { return nil })
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
