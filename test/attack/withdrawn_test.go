package attack_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lonja"
)

// isListed reports whether the directory has something by that name.
func (c *citizen) isListed(name lonja.FileName) bool {
	c.town.Helper()
	listings, err := c.town.rules.ListContent(c.town.Context(), c.member.User, c.member.User)
	c.town.ok(err)
	for _, l := range listings {
		if l.Name == name {
			return true
		}
	}
	return false
}

// comes fails the test if something does not happen soon.
func (v *town) comes(what string, is func() bool) {
	v.Helper()
	for deadline := time.Now().Add(patience); !is(); {
		if time.Now().After(deadline) {
			v.Fatalf("it does not happen that %s", what)
		}
	}
}

// TestDirectoryThatDeletesNothing: what an owner has unpublished is not served any
// more, whatever the directory says and also after a restart; the directory is
// told again when the node next connects.
func TestDirectoryThatDeletesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		says error
		by   func(*citizen) error
	}{
		"away": {lonja.E(lonja.Unavailable, "delete", errors.New("nobody is there")), func(c *citizen) error {
			return c.Delete(t.Context(), c.folder+"/f")
		}},
		"refuses": {lonja.E(lonja.Forbidden, "delete", errors.New("no")), func(c *citizen) error {
			return c.Delete(t.Context(), c.folder+"/f")
		}},
		"refuses an errand": {lonja.E(lonja.Forbidden, "delete", errors.New("no")), func(c *citizen) error {
			errand, err := c.Errand("ana")
			c.town.ok(err)
			_, err = errand.Withdraw(t.Context(), "f")
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			v := newTown(t)
			ana, luis := v.resident("ana"), v.resident("luis")
			file := ana.offers("f", "the content").Proof.File
			other := ana.offers("g", "another content").Proof.File
			asked := func() string {
				return asks(t, ana.way(), file, luis.certificate(v.authority, "luis", time.Hour))
			}
			if got := asked(); !strings.HasSuffix(got, "the content") {
				t.Fatalf("before: %q", got)
			}
			v.rules.keepsAll(c.says)
			err := c.by(ana)
			v.is(err, lonja.KindOf(c.says))
			if err == nil || !strings.Contains(err.Error(), "served no more") {
				t.Errorf("%v does not say that it is served no more", err)
			}
			if got := asked(); !strings.HasPrefix(got, "HTTP/1.1 404") {
				t.Errorf("once it is unpublished, one gets %q", got)
			}
			again := func() {
				t.Helper()
				v.ok(ana.Disconnect(t.Context(), "ana"))
				v.ok(ana.Connect(t.Context(), "ana"))
			}
			again()
			if got := asked(); !strings.HasPrefix(got, "HTTP/1.1 404") || !ana.isListed("f") {
				t.Errorf("after a restart one gets %q", got)
			}
			v.rules.keepsAll(nil)
			again()
			v.comes("it is listed no more", func() bool { return !ana.isListed("f") })
			if got := asks(t, ana.way(), other, luis.certificate(v.authority, "luis", time.Hour)); !strings.HasSuffix(got, "another content") {
				t.Errorf("of the other file one gets %q", got)
			}
			luis.gets("ana", "g", "another content")
		})
	}
}

// TestPublishedAgain: what is published again after the directory could not be told
// that it was not, stays.
func TestPublishedAgain(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	ana.offers("f", "the content")
	ana.offers("g", "another content")
	v.rules.keepsAll(lonja.E(lonja.Unavailable, "delete", errors.New("nobody is there")))
	for _, name := range []string{"/f", "/g"} {
		v.is(ana.Delete(t.Context(), ana.folder+name), lonja.Unavailable)
	}
	ana.offers("f", "new content")
	v.rules.keepsAll(nil)
	v.ok(ana.Disconnect(t.Context(), "ana"))
	v.ok(ana.Connect(t.Context(), "ana"))
	v.comes("the other one is listed no more", func() bool { return !ana.isListed("g") })
	luis.gets("ana", "f", "new content")
}
