package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"filippo.io/age"
	"filippo.io/age/armor"

	"lonja"
)

// A Passphrase opens a sealed key. It does not print.
type Passphrase struct{ text hidden[string] }

// NewPassphrase takes what somebody typed. An empty one stands for none.
func NewPassphrase(text string) Passphrase { return Passphrase{hide(text)} }

func (p Passphrase) typed() string { return p.text.value() }

// Format prints that there is one, whatever the verb.
func (p Passphrase) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[passphrase]") }

// LogValue shows likewise.
func (p Passphrase) LogValue() slog.Value { return slog.StringValue("[passphrase]") }

// The cost of trying a passphrase, as the logarithm of the N of scrypt (RFC
// 7914): what age itself takes (256 MiB and about a second), and the most that a
// file from elsewhere may ask for (1 GiB).
const (
	workFactor    = 18
	maxWorkFactor = 20
)

// testOnlyWorkFactor makes tests of what does not depend on it cheap.
var testOnlyWorkFactor = workFactor

// sealed reports whether a file is in armor.
func sealed(text []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(text), []byte(armor.Header)) }

// Seal returns the key as an armored age file that the passphrase opens. The
// error is of kind Invalid for an empty one.
func Seal(k Key, p Passphrase) (Secret, error) {
	if p.typed() == "" {
		return Secret{}, lonja.E(lonja.Invalid, "seal key", errors.New("the passphrase is empty"))
	}
	recipient, err := age.NewScryptRecipient(p.typed())
	if err != nil {
		return Secret{}, fmt.Errorf("seal key: %w", err)
	}
	recipient.SetWorkFactor(testOnlyWorkFactor)
	var text bytes.Buffer
	armored := armor.NewWriter(&text)
	w, err := age.Encrypt(armored, recipient)
	if err != nil {
		return Secret{}, fmt.Errorf("seal key: %w", err)
	}
	_, err = w.Write(k.PEM().Bytes())
	if err := errors.Join(err, w.Close(), armored.Close()); err != nil {
		return Secret{}, fmt.Errorf("seal key: %w", err)
	}
	return secretOf(text.Bytes()), nil
}

// unseal opens what Seal made. Forbidden if it is another passphrase, Damaged.
func unseal(text []byte, p Passphrase) (Key, error) {
	identity, err := age.NewScryptIdentity(p.typed())
	if err != nil {
		return Key{}, lonja.E(lonja.Forbidden, "open key", errors.New("the key is sealed with a passphrase, and none was given"))
	}
	identity.SetMaxWorkFactor(maxWorkFactor)
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(text)), identity)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return Key{}, lonja.E(lonja.Forbidden, "open key", errors.New("this is not its passphrase"))
	}
	var plain []byte
	if err == nil {
		plain, err = io.ReadAll(io.LimitReader(r, maxPlain))
	}
	if err != nil {
		return Key{}, lonja.E(lonja.Damaged, "open key", err)
	}
	defer clear(plain)
	return ParseKey(plain)
}

// maxPlain bounds what is in a sealed file: a key has 119 bytes.
const maxPlain = 4096
