package apiserver_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"lonja"
	"lonja/internal/apiserver/apitest"
	"lonja/internal/directory"
	"lonja/internal/directory/directorytest"
	"lonja/internal/statement"
)

// changing is a directory in which a name becomes another's once it has said who
// may act for it, and before anything is done.
type changing struct {
	*directory.Directory
	change atomic.Pointer[func()] // what happens then, once
}

func (c *changing) Authorize(m lonja.Member) error {
	err := c.Directory.Authorize(m)
	if change := c.change.Swap(nil); change != nil {
		(*change)()
	}
	return err
}

// settle gives the member of a certificate the name ana, a session and a file.
func (c *changing) settle(t *testing.T, cert tls.Certificate) lonja.Member {
	t.Helper()
	m := lonja.Member{User: "ana", Key: apitest.KeyOf(cert)}
	p, err := statement.SignPublication(lonja.Publication{Owner: "ana", Listing: lonja.Listing{
		Name: "f", Proof: &lonja.Proof{File: lonja.FileID{1}, Date: time.Now().Unix()},
	}}, cert.PrivateKey.(crypto.Signer))
	ctx := context.WithoutCancel(t.Context())
	for _, err := range []error{
		err, c.RegisterMember(ctx, m, ""), c.ConnectMember(ctx, m, here), c.Publish(ctx, "ana", p.Listing),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	return m
}

// TestNamesThatChangeHands: what somebody asks for a name that becomes another's
// while it is asked is not done to who has it then.
func TestNamesThatChangeHands(t *testing.T) {
	dir := &changing{Directory: directorytest.New(t)}
	s := site(t, apitest.Setup{Directory: dir})
	ctx := t.Context()
	for name, do := range map[string]func(lonja.Directory) error{
		"unregister": func(d lonja.Directory) error { return d.Unregister(ctx, "ana") },
		"connect":    func(d lonja.Directory) error { return d.Connect(ctx, "ana", here[0]) },
		"disconnect": func(d lonja.Directory) error { return d.Disconnect(ctx, "ana") },
		"delete":     func(d lonja.Directory) error { return d.Delete(ctx, "ana", "f") },
	} {
		t.Run(name, func(t *testing.T) {
			first, second := apitest.Certificate(t), apitest.Certificate(t)
			c := client(t, s, first)
			before := dir.settle(t, first)
			var after lonja.Member
			change := func() {
				if err := dir.UnregisterMember(ctx, before); err != nil {
					t.Error(err)
				}
				after = dir.settle(t, second)
			}
			dir.change.Store(&change)
			if err := do(c); !errors.Is(err, lonja.OtherKey) {
				t.Errorf("got error %v, want %v", err, lonja.OtherKey)
			}
			listings, err := dir.ListContent(ctx, "ana", "ana")
			if err != nil || len(listings) != 1 || listings[0].Proof.Key != after.Key {
				t.Errorf("its files are %+v, %v", listings, err)
			}
			if err := dir.RenewMember(ctx, after, nil); err != nil {
				t.Errorf("its session: %v", err)
			}
			if err := dir.UnregisterMember(ctx, after); err != nil {
				t.Errorf("its account: %v", err)
			}
		})
	}
}
