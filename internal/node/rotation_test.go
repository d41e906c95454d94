package node

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"lonja"
	"lonja/internal/authority"
	"lonja/internal/fileapi"
)

// follows has the node follow the directory's authority from what was pinned when it
// was started, as the program does.
func follows(c *citizen, pinned lonja.PeerID) func(*authority.Set) error {
	return func(set *authority.Set) error {
		if _, err := set.FollowsFrom([]lonja.PeerID{pinned}, time.Now()); err != nil {
			c.proved.Store(nil)
			return err
		}
		c.proved.Store(set)
		return nil
	}
}

// follower is a resident that follows its directory's authority.
func (v *town) follower(user lonja.UserName) *citizen {
	v.Helper()
	pinned := v.authority.Fingerprint()
	c := v.citizen(user, nil)
	c.Close()
	c.set = func(o *Options) { o.Secure.Follow = follows(c, pinned) }
	c.start()
	v.ok(c.Register(v.Context(), user))
	v.ok(c.Connect(v.Context(), user))
	return c
}

// issuer is who has signed the certificate that the citizen shows to peers.
func (c *citizen) issuer() string {
	m := c.current().keeps
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(m.certificate.Leaf.AuthorityKeyId)
}

// TestAuthorityRotates while nodes are connected: they learn it, and have new
// certificates, over the connections that they have.
func TestAuthorityRotates(t *testing.T) {
	v := newTown(t)
	ana, luis := v.follower("ana"), v.follower("luis")
	v.ok(ana.Publish(t.Context(), ana.write("f", "content"), ""))
	before := ana.issuer()
	v.ok(v.authority.Rotate(authority.DefaultOverlap))
	for _, c := range []*citizen{ana, luis} {
		v.until(string(c.user)+" follows", func() bool {
			set := c.proved.Load()
			return set != nil && set.Fingerprint() == v.authority.Fingerprint() && c.issuer() != before
		})
		if s := c.status().Session; s.Grant.Node != "first" || !s.Connected {
			t.Errorf("the session of %s: %+v", c.user, s)
		}
	}
	luis.gets("ana", "f", "content")
}

// TestStolenAuthority: one that was rotated without an overlap proves nothing to
// nodes that are running, not even over a connection that they had before.
func TestStolenAuthority(t *testing.T) {
	v := newTown(t)
	ana, luis := v.follower("ana"), v.follower("luis")
	v.ok(ana.Publish(t.Context(), ana.write("f", "content"), ""))
	listings, err := luis.ListContent(t.Context(), "ana")
	v.ok(err)
	thief := luis.current().keeps.peers() // with a certificate of the old authority, which it trusts
	old, err := thief.Certificate()
	v.ok(err)
	set := luis.proved.Load()
	thief.Certificate = func() (*tls.Certificate, error) { return old, nil }
	thief.Set = func() *authority.Set { return set }
	config := authority.PeerClientConfig(thief, authority.Expected{User: "ana", Keys: []lonja.PublicKey{ana.key.PublicKey()}})
	at := ana.status().Ways[0].String()
	conn, err := tls.Dial("tcp", at, config)
	v.ok(err)
	defer conn.Close()
	running := newRequester(v, conn, fileapi.Path(listings[0].Proof.File))
	if status := running.ask(); status != http.StatusOK {
		t.Fatalf("before: got status %d", status)
	}
	v.ok(v.authority.Rotate(0))
	v.until("the nodes trust the old one no more", func() bool { return ana.proved.Load() == nil && luis.proved.Load() == nil })
	if status := running.ask(); status != http.StatusForbidden {
		t.Errorf("over the running connection: got status %d", status)
	}
	if again, err := tls.Dial("tcp", at, config); err == nil {
		defer again.Close()
		v.ok(again.SetDeadline(time.Now().Add(patience)))
		if _, err := again.Read(make([]byte, 1)); err == nil {
			t.Error("a new connection is taken")
		}
	}
	if _, err := luis.fetch("ana", "f"); err == nil {
		t.Error("a node still trusts what the old authority has signed")
	}
	v.until("that is said", func() bool { return luis.status().Session.Trouble != nil })
	v.is(luis.status().Session.Trouble, lonja.Untrusted)
}
