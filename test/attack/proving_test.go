package attack_test

import (
	"crypto/tls"
	"testing"
	"time"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/authority"
)

// whoHas returns a client of the directory that shows this certificate.
func (v *town) whoHas(certificate tls.Certificate) *apiclient.Client {
	v.Helper()
	config := authority.DirectoryClientConfig(authority.DirectoryOptions{
		Pinned: []lonja.PeerID{v.authority.Fingerprint()}, Certificate: certificate,
	})
	c := apiclient.New(apiclient.Options{Addresses: []string{v.at}, TLS: config, DialTimeout: patience})
	v.Cleanup(func() { _ = c.Close() })
	return c
}

// TestCertificatesAtTheDirectory: a directory takes a client's certificate for
// nothing but a proof of the key in it. Who signed it, for whom, and until when,
// neither helps nor harms: whose the key is, and whether it still is, the
// directory knows itself.
func TestCertificatesAtTheDirectory(t *testing.T) {
	v := newTown(t)
	ana, eve := v.resident("ana"), v.resident("eve")
	real, past, foreign := v.authority, v.yesterday(48*time.Hour), v.foreign()
	directory, err := v.authority.ServerConfig(nil).GetCertificate(nil)
	v.ok(err)
	withChain := func(c tls.Certificate) tls.Certificate {
		c.Certificate = append(c.Certificate, directory.Certificate[1:]...)
		return c
	}
	for name, shows := range map[string]func(c *citizen) tls.Certificate{
		"signed by itself":    (*citizen).own,
		"valid":               func(c *citizen) tls.Certificate { return c.certificate(real, "ana", time.Hour) },
		"valid, with a chain": func(c *citizen) tls.Certificate { return withChain(c.certificate(real, "ana", time.Hour)) },
		"expired":             func(c *citizen) tls.Certificate { return c.certificate(past, "ana", time.Hour) },
		"foreign":             func(c *citizen) tls.Certificate { return c.certificate(foreign, "ana", time.Hour) },
		"wrong name":          func(c *citizen) tls.Certificate { return c.certificate(real, "eve", time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			v := *v
			v.T = t
			for _, c := range []struct {
				*citizen
				as   lonja.UserName
				want error
			}{{ana, "ana", nil}, {ana, "eve", lonja.OtherKey}, {eve, "eve", nil}, {eve, "ana", lonja.OtherKey}} {
				client := v.whoHas(shows(c.citizen))
				_, err := client.ListContent(t.Context(), c.as, c.as)
				if kind := lonja.KindOf(err); c.want == nil && err != nil || c.want != nil && kind != c.want {
					t.Errorf("with the key of %s, as %s: got %v, want %v", c.member.User, c.as, err, c.want)
				}
			}
		})
	}
	t.Run("revoked", func(t *testing.T) {
		v := *v
		v.T = t
		client := v.whoHas(ana.issued())
		v.ok(client.Authorize(ana.member))
		valid := ana.issued()
		ana.revoke()
		for name, c := range map[string]*apiclient.Client{"a connection of before": client, "with a valid certificate": v.whoHas(valid), "with its own": v.whoHas(ana.own())} {
			_, err := c.ListContent(t.Context(), "ana", "ana")
			v.is(err, lonja.OtherKey)
			v.is(c.Authorize(ana.member), lonja.OtherKey)
			if _, err := c.Certificate(t.Context(), ana.member); lonja.KindOf(err) != lonja.OtherKey {
				t.Errorf("%s: a certificate is issued for a revoked key: %v", name, err)
			}
		}
	})
}
