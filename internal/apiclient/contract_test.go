package apiclient_test

import (
	"crypto/tls"
	"net/netip"
	"testing"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/apiserver/apitest"
	"lonja/internal/directory/directorytest"
	"lonja/internal/dirtest"
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
