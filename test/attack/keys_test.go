package attack_test

import (
	"testing"
	"time"

	"lonja"
	"lonja/internal/statement"
)

// endorses signs that a key speaks for the citizen's name, with that consent.
func (c *citizen) endorses(key lonja.PublicKey, consent lonja.Signature) lonja.Endorsement {
	c.town.Helper()
	e, err := statement.SignEndorsement(lonja.Endorsement{User: c.member.User, Key: key, Date: time.Now().Unix() - 10}, c.key)
	c.town.ok(err)
	e.Consent = consent
	return e
}

// TestForeignKey: nobody has somebody else's key speak for a name, not even with
// what that key has signed for another name, or for that name when it was another's.
func TestForeignKey(t *testing.T) {
	v := newTown(t)
	ctx := t.Context()
	luis, eve, tablet := v.resident("luis"), v.resident("eve"), v.citizen("luis")
	own, err := statement.SignConsent("luis", luis.member.Key, tablet.key) // the tablet is his
	v.ok(err)
	hers, err := statement.SignConsent("eve", eve.member.Key, eve.key)
	v.ok(err)
	refused := func(what string, by *citizen, consent lonja.Signature) {
		t.Helper()
		if err := by.client.AddKey(ctx, by.member, by.endorses(tablet.member.Key, consent)); lonja.KindOf(err) != lonja.Untrusted {
			t.Errorf("%s: got error %v, want %v", what, err, lonja.Untrusted)
		}
	}
	refused("without any consent", eve, lonja.Signature{})
	refused("with her own", eve, hers)
	refused("with one for his name", eve, own)
	v.is(tablet.client.Authorize(lonja.Member{User: "eve", Key: tablet.member.Key}), lonja.OtherKey)

	v.ok(luis.Disconnect(ctx, "luis"))
	v.ok(luis.Unregister(ctx, "luis"))
	next := v.citizen("luis")
	v.ok(next.Register(ctx, "luis"))
	refused("with one for who had the name before", next, own)
	v.is(tablet.client.Authorize(tablet.member), lonja.OtherKey)

	v.ok(next.Unregister(ctx, "luis"))
	v.ok(luis.Register(ctx, "luis"))
	v.ok(luis.client.AddKey(ctx, luis.member, luis.endorses(tablet.member.Key, own)))
	v.ok(tablet.client.Authorize(tablet.member))
}
