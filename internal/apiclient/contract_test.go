package apiclient_test

import (
	"crypto/ed25519"
	"crypto/tls"
	"net/netip"
	"testing"
	"time"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/apiserver/apitest"
	"lonja/internal/directory"
	"lonja/internal/directory/directorytest"
	"lonja/internal/dirtest"
	"lonja/internal/memstore"
)

// client returns a client of the site with that certificate; it ends with the test.
func client(t *testing.T, site *apitest.Site, certificates ...tls.Certificate) *apiclient.Client {
	t.Helper()
	return clientOf(t, apiclient.Options{Addresses: []string{site.Address}, TLS: site.TLS(certificates...)})
}

func clientOf(t *testing.T, opts apiclient.Options) *apiclient.Client {
	t.Helper()
	c := apiclient.New(opts)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestContract: over the network it is a directory like the rules in process.
func TestContract(t *testing.T) {
	dirtest.Run(t, netip.MustParseAddr("127.0.0.1"), func(t *testing.T) lonja.Directory {
		site := apitest.Start(t, apitest.Setup{Directory: directorytest.New(t)})
		return client(t, site, apitest.Certificate(t))
	})
}

// TestMemberContract: each key over a connection of its own.
func TestMemberContract(t *testing.T) {
	dirtest.RunMembers(t, func(t *testing.T, opts dirtest.MemberOptions) dirtest.MemberDirectory {
		o := directory.Options{Store: memstore.New(), SessionLease: time.Hour}
		switch {
		case opts.Closed:
			o.Registration = directory.RegisterNobody
		case opts.Invited:
			o.Registration = directory.RegisterInvited
		}
		dir, err := directory.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = dir.Close() })
		site := apitest.Start(t, apitest.Setup{Directory: dir})
		clients := make(map[string]lonja.MemberDirectory)
		return dirtest.MemberDirectory{
			As: func(_ lonja.UserName, key ed25519.PrivateKey) lonja.MemberDirectory {
				if clients[string(key)] == nil {
					clients[string(key)] = client(t, site, apitest.CertificateOf(t, key))
				}
				return clients[string(key)]
			},
			Classic: dir, // the classic dialect has no word for Forbidden
			Invite: func(uses int, until int64) lonja.Invitation {
				invitation, err := dir.CreateInvitation(t.Context(), uses, until, "")
				if err != nil {
					t.Fatal(err)
				}
				return invitation
			},
			Addr: netip.MustParseAddr("127.0.0.1"),
		}
	})
}
