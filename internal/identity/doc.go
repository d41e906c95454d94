// Package identity keeps the key that a node acts with: an Ed25519 key in one
// file of the user's own, made at first use, sealed with a passphrase if the
// user wants it so. It shows the key's fingerprint and makes the certificate by
// which a node proves its key to a directory.
//
// The file is PEM: a PKCS #8 "PRIVATE KEY" as openssl has it, or, sealed, that
// in an armored age file (age-encryption.org/v1, scrypt), which "age -d" opens.
//
// Nothing here prints a secret: Key and Passphrase show what they are, not what
// is in them. Which keys of others are trusted is trust's business.
package identity
