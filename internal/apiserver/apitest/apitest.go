// Package apitest gives tests a directory's port, with both dialects, and keys to
// speak to it with. Only tests import it.
package apitest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"lonja"
	"lonja/internal/apiserver"
	"lonja/internal/dirserver"
	"lonja/internal/limits"
)

// patience bounds what a test waits for; nothing takes that long.
const patience = 30 * time.Second

// Certificate makes a key and a certificate of it that it has signed itself.
func Certificate(t testing.TB) tls.Certificate {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return CertificateOf(t, private)
}

// CertificateOf makes such a certificate of that key.
func CertificateOf(t testing.TB, private ed25519.PrivateKey) tls.Certificate {
	t.Helper()
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"directory"},
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf}
}

// KeyOf returns the key of such a certificate.
func KeyOf(cert tls.Certificate) lonja.PublicKey {
	return lonja.PublicKey(cert.Leaf.PublicKey.(ed25519.PublicKey))
}

// Setup is what Start starts.
type Setup struct {
	Directory lonja.MemberDirectory
	Secure    apiserver.Options // Directory and TLS are set by Start
	Port      dirserver.Options // likewise Directory and TLS
	Listener  net.Listener      // nil: a free port of the loopback address
}

// A Site is a running directory's port.
type Site struct {
	Address string
	Server  *apiserver.Server
	own     tls.Certificate
	stop    context.CancelFunc
	done    chan struct{}
	end     sync.Once
	t       testing.TB
}

// Start starts a port. It ends with the test.
func Start(t testing.TB, setup Setup) *Site {
	t.Helper()
	s := &Site{own: Certificate(t), done: make(chan struct{}), t: t}
	var port *dirserver.Server
	secure := setup.Secure
	secure.Directory = setup.Directory
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{s.own}, ClientAuth: tls.RequestClientCert}
	secure.Journal = journal{&port}
	secure.Classic = !setup.Port.ClassicOff
	secure.Limits = setup.Port.Limits
	secure.Record = setup.Port.Record
	s.Server = apiserver.New(secure)
	options := setup.Port
	options.Directory = setup.Directory
	options.TLS = s.Server.ServeConn
	port = dirserver.New(options)
	ln := setup.Listener
	if ln == nil {
		var err error
		if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	s.Address = ln.Addr().String()
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	go func() {
		defer close(s.done)
		if err := port.Serve(ctx, ln); err != nil {
			t.Errorf("serve: %v", err)
		}
	}()
	t.Cleanup(s.Stop)
	return s
}

// journal is that of the port, which is made after who writes in it.
type journal struct{ port **dirserver.Server }

func (j journal) Announce(operation string, user lonja.UserName, timestamp string) {
	(*j.port).Announce(operation, user, timestamp)
}

func (j journal) Failed(operation string, err error)          { (*j.port).Failed(operation, err) }
func (j journal) Refused(reason limits.Reason, from net.Addr) { (*j.port).Refused(reason, from) }

// Stop stops the port and waits until nothing of it is left.
func (s *Site) Stop() {
	s.end.Do(func() {
		s.stop()
		select {
		case <-s.done:
		case <-time.After(patience):
			s.t.Error("the port does not end")
		}
	})
}

// TLS is the configuration of a client with that certificate, or with none.
func (s *Site) TLS(certificates ...tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(s.own.Leaf)
	return &tls.Config{RootCAs: roots, ServerName: "directory", Certificates: certificates}
}
