package lonja

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
)

// A PublicKey is the Ed25519 public key (RFC 8032) that a node acts with. The
// zero PublicKey stands for none.
type PublicKey [ed25519.PublicKeySize]byte

// IsZero reports whether there is no key.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// ID returns the identity that a key proves.
func (k PublicKey) ID() PeerID {
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(k[:]))
	if err != nil {
		panic(err) // it cannot fail for a key of this size
	}
	return sha256.Sum256(der)
}

// String returns the key in base64, the form that ParsePublicKey takes.
func (k PublicKey) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// ParsePublicKey is the way back. The error is of kind Invalid.
func ParsePublicKey(s string) (k PublicKey, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil && len(b) != len(k) {
		err = fmt.Errorf("a public key of %d bytes, not %d", len(b), len(k))
	}
	if err != nil {
		return k, E(Invalid, "parse", err)
	}
	return PublicKey(b), nil
}

// LogValue shows the identity, not the key.
func (k PublicKey) LogValue() slog.Value { return k.ID().LogValue() }

// A NodeID tells apart the running programs that have one key: a copied laptop, a
// restored backup, a container that was started twice. It is left to chance when a
// program begins to be connected; nobody proves it, and it decides nothing but whose
// session is whose among those that hold the key. The zero NodeID stands for a
// program that does not tell.
type NodeID [16]byte

// NewNodeID returns one that no other program has.
func NewNodeID() (id NodeID) {
	_, _ = rand.Read(id[:]) // never fails: it ends the program instead
	return id
}

// IsZero reports whether it stands for none.
func (id NodeID) IsZero() bool { return id == NodeID{} }

// IsOther reports whether the two are known to be of different programs.
func (id NodeID) IsOther(than NodeID) bool { return !id.IsZero() && !than.IsZero() && id != than }

// LogValue shows as much of it as tells few apart.
func (id NodeID) LogValue() slog.Value { return slog.StringValue(hex.EncodeToString(id[:4])) }

// A PeerID is an identity: the SHA-256 of a public key in the form that
// certificates carry it in (SubjectPublicKeyInfo, RFC 5280 section 4.1). It
// stays the same when certificates are renewed, and common tools show it.
type PeerID [sha256.Size]byte

// String returns the whole identity in hexadecimal.
func (id PeerID) String() string { return hex.EncodeToString(id[:]) }

// LogValue shows as much of the identity as tells few apart.
func (id PeerID) LogValue() slog.Value { return slog.StringValue(id.String()[:16]) }

// A FileID is the identity of a content: its BLAKE3 hash, the one that b3sum
// prints. The zero FileID stands for an unknown content.
type FileID [32]byte

// IsZero reports whether the content is unknown.
func (id FileID) IsZero() bool { return id == FileID{} }

// String returns the id in hexadecimal.
func (id FileID) String() string { return hex.EncodeToString(id[:]) }

// ParseFileID is the way back. The error is of kind Invalid.
func ParseFileID(s string) (id FileID, err error) {
	b, err := hex.DecodeString(s)
	if err == nil && len(b) != len(id) {
		err = errors.New("a file id has 64 hexadecimal digits")
	}
	if err != nil {
		return id, E(Invalid, "parse", err)
	}
	return FileID(b), nil
}

// A Signature is one of Ed25519 (RFC 8032). What is signed, byte for byte, is
// in package statement.
type Signature [ed25519.SignatureSize]byte

// A Proof makes a listing more than a line in a list: it says which content is
// meant, and is signed by the owner, so that a directory can hide it but not
// forge it.
type Proof struct {
	File FileID
	Date int64 // when it was published, by the owner's clock: seconds since 1970, UTC
	// Audience is who may know of it and fetch it, beside its owner: in the
	// order of their bytes, each once. Empty: every member.
	Audience  []UserName
	Key       PublicKey // the owner's, which signed
	Signature Signature
	// Folder is nil for a file. Otherwise File is the list of a folder, as package
	// folder has it, and the size of the listing that of all files in it.
	Folder *Folder
}

// A Folder is what the owner signs of a publication that is a folder, beside what
// it signs of each. It is not changed once it is made.
type Folder struct {
	Files    int64 // in it, at any depth
	ListSize int64 // of the list, in bytes
}

// A Publication is a listing and whose it is.
type Publication struct {
	Owner UserName
	Listing
}

// A KeyRecord is one of the keys of an account. The first one came with the
// account, or with a claim of it, and is endorsed by none; each further one is
// endorsed by an earlier one: who trusts that one can trust this.
type KeyRecord struct {
	Endorsement
	// Revoked is when the key was taken back, in seconds since 1970, or 0.
	// Nothing is accepted from a revoked key.
	Revoked int64
}

// An Endorsement says that a key speaks for a user: another device, say. It is
// signed by a key that does so already.
type Endorsement struct {
	User      UserName
	Key       PublicKey
	Label     string    // what the owner calls the device, at most MaxLabel bytes
	Date      int64     // seconds since 1970
	By        PublicKey // zero for the first key of an account
	Signature Signature // by By
	// Consent is by Key: that it is to speak for this account of the user, which
	// is known by its first key. Nobody can have a key speak for him that is
	// another's. Zero for the first key of an account; one of a further key means
	// that it does not speak.
	Consent Signature
}

// MaxLabel bounds the Label of an Endorsement, in bytes.
const MaxLabel = 63

// MaxKeys bounds the keys of an account, revoked ones included.
const MaxKeys = 32

// A Revocation takes a key back. It is signed by another key of the same
// account, or by the key itself. Or an account has ended: then the directory says
// so itself, and nobody signs.
type Revocation struct {
	User      UserName
	Key       PublicKey
	Date      int64 // seconds since 1970
	By        PublicKey
	Signature Signature
	// Account is 0, or the number of the account that has ended, and By and
	// Signature are zero. What was issued for that account, or an earlier one, is
	// good no more; the same key may begin another account of that name, whose
	// number is larger.
	Account uint64
}
