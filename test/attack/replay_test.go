package attack_test

import (
	"testing"

	"lonja"
)

// TestReplayedConnections: the bytes of a session, sent once more, do nothing:
// the directory's part of the handshake is another one each time.
func TestReplayedConnections(t *testing.T) {
	v := newTown(t)
	p := v.tap(v.at)
	ana := v.citizenBy("ana", p.at)
	ctx := t.Context()
	v.ok(ana.Register(ctx, "ana"))
	v.ok(ana.Connect(ctx, "ana"))
	ana.offers("f", "the content")
	v.ok(ana.Delete(ctx, "f"))
	ana.Close()
	_ = ana.client.Close()
	before, err := v.rules.ContentDigest(ctx, "ana")
	v.ok(err)
	recorded := p.heard()
	if len(recorded) == 0 || len(recorded[0]) < 1000 {
		t.Fatalf("%d connections were heard", len(recorded))
	}
	for _, said := range recorded {
		v.replays(v.at, said)
	}
	after, err := v.rules.ContentDigest(ctx, "ana")
	v.ok(err)
	if before != after {
		t.Errorf("a replay has changed what is published: %+v, before %+v", after, before)
	}
	if users, err := v.rules.ListUsers(ctx, "ana"); err == nil && users.Len() > 0 {
		t.Errorf("a replay has connected %v", users)
	}
}

// TestReplayedPublications: a publication that was signed once is of no use to
// anybody but its owner.
func TestReplayedPublications(t *testing.T) {
	v := newTown(t)
	ana, luis, eve := v.resident("ana"), v.resident("luis"), v.resident("eve")
	ctx := t.Context()
	old := ana.offers("f", "the first content")
	var holders []lonja.Holder
	v.rules.lies(nil, func(all []lonja.Holder) []lonja.Holder { holders = all; return all })
	luis.gets("ana", "f", "the first content")
	v.rules.lies(nil, nil)

	v.is(eve.client.Publish(ctx, "eve", old), lonja.Untrusted) // it says ana
	v.is(eve.client.Publish(ctx, "ana", old), lonja.OtherKey)  // who says so must be her
	v.ok(ana.Delete(ctx, "f"))
	v.is(eve.client.Publish(ctx, "ana", old), lonja.OtherKey)
	v.is(eve.client.Publish(ctx, "eve", old), lonja.Untrusted)
	if listings, err := v.rules.ListContent(ctx, "luis", "ana"); err != nil || len(listings) > 0 {
		t.Errorf("a withdrawn publication is listed again: %v, %v", listings, err)
	}
	// A directory can keep what was withdrawn, and the owner's node does not
	// serve it any more; nor what was replaced.
	stale := func([]lonja.Holder) []lonja.Holder { return holders }
	v.rules.lies(nil, stale)
	_, err := luis.fetch("ana", "f")
	v.is(err, lonja.NoSuchFile)
	v.rules.lies(nil, nil)
	ana.offers("f", "the second content")
	v.rules.lies(nil, stale)
	_, err = luis.fetch("ana", "f")
	v.is(err, lonja.NoSuchFile)
	v.rules.lies(nil, nil)
	luis.gets("ana", "f", "the second content")
}
