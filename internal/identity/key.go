package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"lonja"
)

// A Key is a private Ed25519 key. It is a crypto.Signer and may be used by any
// number of goroutines. However it is printed, it shows its identity only.
type Key struct{ secret hidden[ed25519.PrivateKey] }

func (k Key) private() ed25519.PrivateKey { return k.secret.value() }

// NewKey makes a key.
func NewKey() (Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("make key: %w", err)
	}
	return Key{hide(private)}, nil
}

// Public returns the public key, as crypto.Signer wants it.
func (k Key) Public() crypto.PublicKey { return k.private().Public() }

// PublicKey returns the public key.
func (k Key) PublicKey() (public lonja.PublicKey) {
	copy(public[:], k.private().Public().(ed25519.PublicKey))
	return public
}

// Sign signs a message, as crypto.Signer has it for Ed25519: the message is
// whole, and opts say that it is not hashed.
func (k Key) Sign(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.private().Sign(random, message, opts)
}

// Equal reports whether both are the same key.
func (k Key) Equal(other Key) bool { return k.private().Equal(other.private()) }

// Format prints whose key it is, whatever the verb.
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.shown()) }

// LogValue shows likewise.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.shown()) }

func (k Key) shown() string {
	if len(k.private()) == 0 {
		return "no private key"
	}
	return "private key of " + k.PublicKey().ID().String()[:16]
}

const pemType = "PRIVATE KEY"

// PEM returns the key as PKCS #8 (RFC 5958, RFC 8410) in PEM, unsealed.
func (k Key) PEM() Secret {
	der, err := x509.MarshalPKCS8PrivateKey(k.private())
	if err != nil {
		panic(err) // it cannot fail for a key of this kind
	}
	return secretOf(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}))
}

// ParseKey is the way back. The error is of kind Damaged, and says nothing of
// what was read.
func ParseKey(text []byte) (Key, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != pemType || len(block.Headers) > 0 {
		return Key{}, damaged("it is no private key in PEM")
	}
	if len(rest) > 0 {
		return Key{}, damaged("something follows the private key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, damaged("the private key is not whole")
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Key{}, damaged("the private key is not an Ed25519 one")
	}
	return Key{hide(private)}, nil
}

func damaged(why string) error { return lonja.E(lonja.Damaged, "read key", errors.New(why)) }

// A Secret is bytes that do not print. Bytes gives them to who writes them to
// where they belong.
type Secret struct{ bytes hidden[[]byte] }

func secretOf(b []byte) Secret { return Secret{hide(b)} }

// Bytes returns what is secret.
func (s Secret) Bytes() []byte { return s.bytes.value() }

// Format prints that there is something, whatever the verb.
func (s Secret) Format(to fmt.State, _ rune) { _, _ = io.WriteString(to, "[secret]") }

// LogValue shows likewise.
func (s Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }
