// Package tlstest makes throw-away identities for tests of what runs over mutual
// TLS: an authority, and certificates of it for users. The real ones are made
// and checked elsewhere; packages that carry files take what they need of them
// as functions.
package tlstest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lonja"
)

// An Authority signs certificates.
type Authority struct {
	key  ed25519.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

// New makes an Authority.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{pool: x509.NewCertPool()}
	der, key := certificate(t, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.key, a.cert = key, cert
	a.pool.AddCert(cert)
	return a
}

// certificate makes a key, and a certificate for it that a signs, or the key itself.
func certificate(t testing.TB, a *Authority, template *x509.Certificate) ([]byte, ed25519.PrivateKey) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// Config returns what user's node listens and dials with: TLS 1.3, with a
// certificate for the user, and asking for one of the same Authority.
func (a *Authority) Config(t testing.TB, user lonja.UserName) *tls.Config {
	t.Helper()
	der, key := certificate(t, a, &x509.Certificate{
		Subject: pkix.Name{CommonName: string(user)}, DNSNames: []string{"node"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	})
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: a.pool, RootCAs: a.pool, ServerName: "node",
		MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
	}
}

// WritePEM writes what another program needs to be user's node to files in dir:
// its certificate, its key, and the authority's certificate.
func (a *Authority) WritePEM(t testing.TB, user lonja.UserName, dir string) (cert, key, ca string) {
	t.Helper()
	own := a.Config(t, user).Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", own.Certificate[0]), write("key.pem", "PRIVATE KEY", der),
		write("ca.pem", "CERTIFICATE", a.cert.Raw)
}

// Who returns the member whose certificate the other side of a connection has
// shown.
func Who(state *tls.ConnectionState) (m lonja.Member, err error) {
	if len(state.PeerCertificates) == 0 {
		return m, errors.New("it showed no certificate")
	}
	cert := state.PeerCertificates[0]
	key, ok := cert.PublicKey.(ed25519.PublicKey)
	if !ok || len(key) != len(m.Key) {
		return m, errors.New("its key is none of ours")
	}
	return lonja.Member{User: lonja.UserName(cert.Subject.CommonName), Key: lonja.PublicKey(key)}, nil
}
