package attack_test

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/hashing"
	"lonja/internal/share"
	"lonja/internal/statement"
)

// keeps has the citizen's node, which has not connected yet, offer a file to an
// audience, as one that it remembers from before a restart.
func (c *citizen) keeps(name, content string, audience ...lonja.UserName) lonja.Listing {
	v := c.town
	v.Helper()
	path := c.write(name, content)
	f, err := os.Open(path)
	v.ok(err)
	defer f.Close()
	hash, err := hashing.File(v.Context(), f, hashing.Options{})
	v.ok(err)
	signed, err := statement.SignPublication(lonja.Publication{Owner: c.member.User, Listing: lonja.Listing{
		Name: lonja.FileName(name), Size: int64(len(content)),
		Proof: &lonja.Proof{File: hash.ID, Date: time.Now().Unix(), Audience: audience},
	}}, c.key)
	v.ok(err)
	set, err := share.Open(c.state, share.Key{Directory: v.at, User: c.member.User})
	v.ok(err)
	v.ok(set.Offer(path, signed.Listing, hash.Info))
	v.ok(c.client.Publish(v.Context(), c.member.User, signed.Listing))
	return signed.Listing
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
