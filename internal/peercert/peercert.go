// Package peercert knows what the certificates of the secure dialect say: whose
// key it is, and of which member, or that it is the directory's. Names of hosts
// mean nothing in it.
//
// It reads what has been proved already and proves nothing: authority does.
package peercert

import (
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/url"

	"lonja"
	"lonja/internal/statement"
)

// The URIs that certificates carry (subjectAltName, RFC 5280 section 4.2.1.6).
const (
	scheme        = "lonja"
	memberHost    = "member"
	directoryHost = "directory"
)

// MemberURI returns what a certificate of user carries:
// lonja://member/ and the name, with all that is no plain letter escaped.
func MemberURI(user lonja.UserName) *url.URL {
	return &url.URL{Scheme: scheme, Host: memberHost, Path: "/" + string(user)}
}

// DirectoryURI returns what the certificate of a directory itself carries, so
// that no member can pass for it.
func DirectoryURI() *url.URL { return &url.URL{Scheme: scheme, Host: directoryHost} }

// KeyOf returns the key of a certificate: only Ed25519 ones are taken, and none
// that anybody can sign with. The error is of kind Untrusted.
func KeyOf(cert *x509.Certificate) (lonja.PublicKey, error) {
	k, ok := cert.PublicKey.(ed25519.PublicKey)
	if !ok || len(k) != ed25519.PublicKeySize {
		return lonja.PublicKey{}, untrusted(fmt.Errorf("its key is of the kind %v, and only Ed25519 is taken", cert.PublicKeyAlgorithm))
	}
	return lonja.PublicKey(k), statement.CheckKey(lonja.PublicKey(k))
}

// MemberOf returns the member that a certificate is for. The error is of kind
// Untrusted.
func MemberOf(cert *x509.Certificate) (lonja.Member, error) {
	key, err := KeyOf(cert)
	if err != nil {
		return lonja.Member{}, err
	}
	uri, err := soleURI(cert)
	if err != nil {
		return lonja.Member{}, err
	}
	name := ""
	if len(uri.Path) > 0 {
		name = uri.Path[1:]
	}
	user, err := lonja.ParseMemberName(name)
	if err != nil || uri.String() != MemberURI(user).String() {
		return lonja.Member{}, untrusted(fmt.Errorf("it is for %q, which is no member", uri))
	}
	return lonja.Member{User: user, Key: key}, nil
}

// The serial number of a member's certificate (RFC 5280 section 4.1.2.2) is the
// number of its account, in the eight bytes above twelve random ones: so it tells
// apart what was issued for two accounts that had the same name, one after the
// other, and the same key. No clock could: those of a directory's nodes differ.
const randomBits = 12 * 8

// MaxAccount is the largest number of an account: a serial number has at most 20
// bytes, and is positive.
const MaxAccount = math.MaxInt64

// SerialNumber returns that of a certificate for an account, whose number is at
// most MaxAccount; 0 is none.
func SerialNumber(account uint64, random [12]byte) *big.Int {
	n := new(big.Int).SetUint64(account)
	n.Lsh(n, randomBits).Or(n, new(big.Int).SetBytes(random[:]))
	if n.Sign() == 0 {
		n.SetInt64(1) // it has to be positive
	}
	return n
}

// AccountOf returns the number of the account that a member's certificate was
// issued for. One of before they had it has some smaller number than any account.
func AccountOf(cert *x509.Certificate) uint64 {
	n := new(big.Int).Rsh(cert.SerialNumber, randomBits)
	if !n.IsUint64() {
		return 0
	}
	return n.Uint64()
}

// CheckDirectory returns nil if the certificate is that of a directory. The
// error is of kind Untrusted.
func CheckDirectory(cert *x509.Certificate) error {
	uri, err := soleURI(cert)
	if err == nil && uri.String() != DirectoryURI().String() {
		err = untrusted(fmt.Errorf("it is for %q, which is no directory", uri))
	}
	return err
}

// soleURI returns the one name of a certificate: a second one, of whatever
// sort, could mean something to somebody else.
func soleURI(cert *x509.Certificate) (*url.URL, error) {
	if len(cert.URIs) != 1 || len(cert.DNSNames)+len(cert.IPAddresses)+len(cert.EmailAddresses) > 0 {
		return nil, untrusted(errors.New("it does not name one member, or the directory, and nothing else"))
	}
	return cert.URIs[0], nil
}

func untrusted(err error) error { return lonja.E(lonja.Untrusted, "read certificate", err) }
