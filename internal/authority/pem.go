package authority

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"lonja"
)

const (
	certificateType = "CERTIFICATE"
	keyType         = "PRIVATE KEY"
)

// A state is an authority at one moment. It is not changed once it is made.
type state struct {
	set  *Set
	key  ed25519.PrivateKey // of the set's present certificate
	text []byte             // as it is on disk
}

// The file is the Set, as PEM writes it, and then the private key: what is cut
// short has none.
func newState(set *Set, key ed25519.PrivateKey) *state {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err) // it cannot fail for a key of this kind
	}
	return &state{set, key, append(set.PEM(), pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: der})...)}
}

// parseState is the way back. The error is of kind Damaged and says nothing of
// what was read.
func parseState(text []byte) (*state, error) {
	certs, rest, err := parseCertificates(text)
	if err != nil {
		return nil, damaged(err)
	}
	set, err := newSet(certs)
	if err != nil {
		return nil, damaged(err)
	}
	block, after := pem.Decode(rest)
	if block == nil || block.Type != keyType || len(bytes.TrimSpace(after)) > 0 {
		return nil, damaged(errors.New("it does not end with a private key"))
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, damaged(errors.New("its private key cannot be read"))
	}
	if !key.Public().(ed25519.PublicKey).Equal(set.current.PublicKey) {
		return nil, damaged(errors.New("its private key is not that of its certificate"))
	}
	return &state{set, key, bytes.Clone(text)}, nil
}

func damaged(err error) error {
	return lonja.E(lonja.Damaged, "read authority", fmt.Errorf(
		`%w; nothing is made anew in its place, since members would take that for an attack: `+
			`put back a copy ("lonja server ca import")`, err))
}

// parseCertificates reads the certificates that text begins with, at most those
// of a Set, and returns what follows them.
func parseCertificates(text []byte) (certs []*x509.Certificate, rest []byte, err error) {
	for len(certs) < maxCertificates {
		block, after := pem.Decode(text)
		if block == nil || block.Type != certificateType {
			return certs, bytes.TrimSpace(text), nil
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("a certificate in it cannot be read: %w", err)
		}
		certs, text = append(certs, c), after
	}
	return nil, nil, errors.New("it has too many certificates")
}
