package attack_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/node"
	"lonja/internal/statement"
)

// keeps has the citizen's node offer a file to an audience, connected or not.
func (c *citizen) keeps(name, content string, audience ...lonja.UserName) lonja.Listing {
	v := c.town
	v.Helper()
	errand, err := c.Errand(c.member.User)
	v.ok(err)
	listing, err := errand.Offer(v.Context(), node.Offer{Path: c.write(name, content), Audience: audience})
	v.ok(err)
	return listing
}

// TestOutsideTheAudience: who is not meant to have a file does not find it, and
// learns nothing from the owner's node, which it can ask directly: the answer is
// the one for a content that was never published.
func TestOutsideTheAudience(t *testing.T) {
	v := newTown(t)
	ana := v.citizen("ana")
	v.ok(ana.Register(t.Context(), "ana"))
	luis, eve := v.resident("luis"), v.resident("eve")
	secret := ana.keeps("secret", "for luis only", "luis")
	v.ok(ana.Connect(t.Context(), "ana"))
	luis.gets("ana", "secret", "for luis only")

	_, err := eve.fetch("ana", "secret")
	v.is(err, lonja.NoSuchFile)
	_, err = eve.fetch("ana", lonja.FileName(secret.Proof.File.String()))
	v.is(err, lonja.NoSuchFile)
	listings, err := eve.ListContent(t.Context(), "ana")
	if v.ok(err); len(listings) > 0 {
		t.Errorf("it is listed for eve: %v", listings)
	}
	page, err := eve.Search(t.Context(), lonja.Query{Words: "secret"})
	if v.ok(err); len(page.Found) > 0 {
		t.Errorf("eve finds it: %v", page)
	}

	asked := func(c *citizen, id lonja.FileID) string {
		return asks(t, ana.way(), id, c.certificate(v.authority, c.member.User, time.Hour))
	}
	if got := asked(luis, secret.Proof.File); !strings.HasSuffix(got, "for luis only") {
		t.Fatalf("luis gets %q", got)
	}
	var unknown lonja.FileID
	_, _ = rand.Read(unknown[:])
	got, want := asked(eve, secret.Proof.File), asked(eve, unknown)
	want = strings.ReplaceAll(want, unknown.String(), secret.Proof.File.String())
	if got != want || !strings.HasPrefix(want, "HTTP/1.1 404") {
		t.Errorf("for a secret the node answers\n%q\nand for what it does not have\n%q", got, want)
	}
	// The directory cannot lead her there either.
	v.rules.lies(nil, func([]lonja.Holder) []lonja.Holder {
		return []lonja.Holder{{
			User: "ana", Name: secret.Name, Description: secret.Description, Size: secret.Size, Proof: secret.Proof,
			Reach: &lonja.Reach{Key: ana.member.Key, Ways: []lonja.Endpoint{endpoint(ana.way())}},
		}}
	})
	luis.gets("ana", "secret", "for luis only")
	_, err = eve.fetch("ana", "secret")
	v.is(err, lonja.NoSuchFile)
}

// TestNameWithoutTheKey: a directory that issues a certificate for the name of
// somebody in the audience, or of the owner, with a key of its own, does not get
// what is for them. Other keys of theirs do, as far as those vouch for them that
// were known when it was published; also when the node has been restarted.
func TestNameWithoutTheKey(t *testing.T) {
	v := newTown(t)
	ana := v.citizen("ana")
	v.ok(ana.Register(t.Context(), "ana"))
	luis, device, directory := v.resident("luis"), v.citizen("luis"), v.citizen("evil")
	file := ana.keeps("secret", "for luis only", "luis").Proof.File
	key := func(user lonja.UserName, key lonja.PublicKey) lonja.KeyRecord {
		return lonja.KeyRecord{Endorsement: lonja.Endorsement{User: user, Key: key, Date: 1}}
	}
	vouched := func(whose, by *citizen) lonja.KeyRecord {
		e, err := statement.SignEndorsement(lonja.Endorsement{User: "luis", Key: whose.member.Key, Date: 2}, by.key)
		v.ok(err)
		e.Consent, err = statement.SignConsent("luis", by.member.Key, whose.key)
		v.ok(err)
		return lonja.KeyRecord{Endorsement: e}
	}
	claimed := vouched(device, luis)
	claimed.Signature[0] ^= 1
	unasked := vouched(directory, luis)
	unasked.Consent = lonja.Signature{}
	hers := key("luis", luis.member.Key)
	for name, c := range map[string]struct {
		as   *citizen
		user lonja.UserName
		ring []lonja.KeyRecord // what the directory says; nil: the truth
		want bool
	}{
		"luis":                             {luis, "luis", nil, true},
		"ana":                              {ana, "ana", nil, true},
		"another key of luis":              {device, "luis", []lonja.KeyRecord{hers, vouched(device, luis)}, true},
		"another key as luis":              {directory, "luis", nil, false},
		"another key as ana":               {directory, "ana", nil, false},
		"luis as ana":                      {luis, "ana", nil, false},
		"another key in the place of his":  {directory, "luis", []lonja.KeyRecord{key("luis", directory.member.Key)}, false},
		"another key before his":           {directory, "luis", []lonja.KeyRecord{key("luis", directory.member.Key), vouched(luis, directory)}, false},
		"one that he has not signed":       {device, "luis", []lonja.KeyRecord{hers, claimed}, false},
		"one that has not agreed":          {directory, "luis", []lonja.KeyRecord{hers, unasked}, false},
		"another key in the place of hers": {directory, "ana", []lonja.KeyRecord{key("ana", directory.member.Key)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			v := *v
			v.T = t
			v.rules.lies(nil, nil)
			v.ok(ana.Connect(t.Context(), "ana"))
			defer ana.Close()
			if c.ring != nil {
				v.rules.lies(func([]lonja.KeyRecord) []lonja.KeyRecord { return c.ring }, nil)
			}
			got := asks(t, ana.way(), file, c.as.certificate(v.authority, c.user, time.Hour))
			if c.want != strings.HasSuffix(got, "for luis only") || !c.want && !strings.HasPrefix(got, "HTTP/1.1 404") {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestAudienceThatTheDirectoryMakesUp: to publish for somebody who was met
// before, the directory has to tell that user's keys.
func TestAudienceThatTheDirectoryMakesUp(t *testing.T) {
	v := newTown(t)
	ana, luis, eve := v.resident("ana"), v.resident("luis"), v.resident("eve")
	luis.offers("f", "the content")
	ana.gets("luis", "f", "the content") // from here on his key is pinned
	errand, err := ana.Errand("ana")
	v.ok(err)
	path := ana.write("secret", "for luis only")
	tells := func(user lonja.UserName, key lonja.PublicKey) func([]lonja.KeyRecord) []lonja.KeyRecord {
		return func(truth []lonja.KeyRecord) []lonja.KeyRecord {
			if len(truth) == 0 || truth[0].User != user {
				return truth
			}
			return []lonja.KeyRecord{{Endorsement: lonja.Endorsement{User: user, Key: key, Date: 1}}}
		}
	}
	for _, user := range []lonja.UserName{"luis", "ana"} {
		v.rules.lies(tells(user, eve.member.Key), nil)
		_, err = errand.Offer(t.Context(), node.Offer{Path: path, Audience: []lonja.UserName{"luis"}})
		v.is(err, lonja.Untrusted)
	}
	v.rules.lies(nil, nil)
	_, err = errand.Offer(t.Context(), node.Offer{Path: path, Audience: []lonja.UserName{"nobody"}})
	v.is(err, lonja.NoSuchOwner)
	if _, there := errand.PathOf("secret"); there {
		t.Error("it is served to nobody knows whom")
	}
	_, err = errand.Offer(t.Context(), node.Offer{Path: path, Audience: []lonja.UserName{"luis"}})
	v.ok(err)
	luis.gets("ana", "secret", "for luis only")
}

// TestAccountBeganWithItsKey: a directory that says that another key has vouched
// for that of the owner does not get what is for some only with the other one.
func TestAccountBeganWithItsKey(t *testing.T) {
	v := newTown(t)
	ana, luis, directory := v.resident("ana"), v.resident("luis"), v.citizen("evil")
	e, err := statement.SignEndorsement(lonja.Endorsement{User: "ana", Key: ana.member.Key, Date: 2}, directory.key)
	v.ok(err)
	e.Consent, err = statement.SignConsent("ana", directory.member.Key, ana.key) // as if she had been tricked
	v.ok(err)
	v.rules.lies(func(truth []lonja.KeyRecord) []lonja.KeyRecord {
		if truth[0].User != "ana" {
			return truth
		}
		return []lonja.KeyRecord{{Endorsement: lonja.Endorsement{User: "ana", Key: directory.member.Key, Date: 1}}, {Endorsement: e}}
	}, nil)
	file := ana.keeps("secret", "for luis only", "luis").Proof.File
	if got := asks(t, ana.way(), file, directory.certificate(v.authority, "ana", time.Hour)); !strings.HasPrefix(got, "HTTP/1.1 404") {
		t.Errorf("with the other key one gets %q", got)
	}
	v.rules.lies(nil, nil)
	luis.gets("ana", "secret", "for luis only")
}
