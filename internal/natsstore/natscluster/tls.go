package natscluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// TLS is how the nodes of a cluster talk.
type TLS int

// The kinds of TLS.
const (
	NoTLS     TLS = iota
	ServerTLS     // clients check the servers
	MutualTLS     // and servers check the clients
)

func (t TLS) scheme() string {
	if t == NoTLS {
		return "nats://"
	}
	return "tls://"
}

// configure turns TLS on in the sample configuration, as an operator would.
func (t TLS) configure(text string) (string, error) {
	const off, verify = "#tls {", ", verify: true"
	if strings.Count(text, off) != 2 || strings.Count(text, verify) != 1 {
		return "", errors.New("the sample configuration has not two tls {} that are off, one of which verifies clients")
	}
	if t != NoTLS {
		text = strings.ReplaceAll(text, off, off[1:])
	}
	if t != MutualTLS {
		text = strings.Replace(text, verify, "", 1)
	}
	return text, nil
}

// Files are the paths of what a client needs: who signed the servers'
// certificates, and a certificate of its own with its key.
type Files struct {
	CA, Cert, Key string
	cert, key     string // the servers'
}

// lifetime is how long certificates hold: longer than any test.
const lifetime = 24 * time.Hour

// MakeFiles makes, in dir, an authority that signs one certificate for all
// servers, which are at hosts, and one for clients.
func MakeFiles(dir string, hosts ...string) (f Files, err error) {
	f = Files{
		CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "client.pem"), Key: filepath.Join(dir, "client.key"),
		cert: filepath.Join(dir, "server.pem"), key: filepath.Join(dir, "server.key"),
	}
	authority := &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, KeyUsage: x509.KeyUsageCertSign,
		IsCA: true, BasicConstraintsValid: true,
	}
	signer, err := sign(authority, authority, nil, f.CA, filepath.Join(dir, "ca.key"))
	if err != nil {
		return f, err
	}
	server := &x509.Certificate{
		Subject: pkix.Name{CommonName: "test server"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, // routes have two ends
	}
	for _, host := range hosts {
		server.IPAddresses = append(server.IPAddresses, net.ParseIP(host))
	}
	client := &x509.Certificate{
		Subject: pkix.Name{CommonName: "test directory"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if _, err := sign(server, authority, signer, f.cert, f.key); err != nil {
		return f, err
	}
	_, err = sign(client, authority, signer, f.Cert, f.Key)
	return f, err
}

// sign makes a key and its certificate, by authority or, without a signer, by
// itself, and writes both.
func sign(about, authority *x509.Certificate, signer *ecdsa.PrivateKey, certPath, keyPath string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if signer == nil {
		signer = key
	}
	if about.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64)); err != nil {
		return nil, err
	}
	about.NotBefore, about.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(lifetime)
	cert, err := x509.CreateCertificate(rand.Reader, about, authority, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", about.Subject.CommonName, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, errors.Join(writePEM(certPath, "CERTIFICATE", cert), writePEM(keyPath, "PRIVATE KEY", secret))
}

func writePEM(path, kind string, content []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600)
}

// clientOptions are those of a connection as the directory.
func (c *Cluster) clientOptions() []nats.Option {
	options := c.options.TLS.options(c.files)
	if c.options.Credentials {
		options = append(options, nats.UserCredentials(c.creds.user))
	}
	return options
}

// systemOptions are those of a connection as the operator.
func (c *Cluster) systemOptions() []nats.Option {
	user := nats.UserInfo("system", systemPassword)
	if c.options.Credentials {
		user = nats.UserCredentials(c.creds.system)
	}
	return append(c.options.TLS.options(c.files), user)
}

func (t TLS) options(f Files) []nats.Option {
	if t == NoTLS {
		return []nats.Option{nats.NoReconnect()}
	}
	return []nats.Option{nats.NoReconnect(), nats.RootCAs(f.CA), nats.ClientCert(f.Cert, f.Key)}
}
