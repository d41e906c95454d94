package statement

import (
	"encoding/binary"

	"lonja"
)

// What a statement begins with. A statement that says more, or says it
// otherwise, gets another version: an old reader must not take it for one of
// its own.
const (
	publicationPrefix = "lonja publication v1\x00"
	folderPrefix      = "lonja publication v2\x00" // what is no file says its kind at the end
	endorsementPrefix = "lonja endorsement v1\x00"
	consentPrefix     = "lonja consent v1\x00"
	revocationPrefix  = "lonja revocation v1\x00"
)

// folderKind is the kind of a publication that is a folder.
const folderKind = "folder"

// Publication returns the bytes that an owner signs of p. The Proof must be
// set; its Signature is not looked at.
func Publication(p lonja.Publication) []byte {
	b := make([]byte, 0, 512)
	folder := p.Proof.Folder
	if folder == nil {
		b = append(b, publicationPrefix...)
	} else {
		b = append(b, folderPrefix...)
	}
	b = appendField(b, p.Owner)
	b = appendField(b, p.Name)
	b = appendField(b, p.Description)
	b = appendNumber(b, p.Size)
	b = appendField(b, p.Proof.File[:])
	b = appendNumber(b, p.Proof.Date)
	b = appendLength(b, len(p.Proof.Audience))
	for _, user := range p.Proof.Audience {
		b = appendField(b, user)
	}
	b = appendField(b, p.Proof.Key[:])
	if folder == nil {
		return b
	}
	b = appendField(b, folderKind)
	b = appendNumber(b, folder.Files)
	return appendNumber(b, folder.ListSize)
}

// Endorsement returns the bytes that the key By signs of e.
func Endorsement(e lonja.Endorsement) []byte {
	b := append(make([]byte, 0, 256), endorsementPrefix...)
	b = appendField(b, e.User)
	b = appendField(b, e.Key[:])
	b = appendField(b, e.Label)
	b = appendNumber(b, e.Date)
	return appendField(b, e.By[:])
}

// Consent returns the bytes that a key signs which is to speak for the account
// of user that began with the key first.
func Consent(user lonja.UserName, first, key lonja.PublicKey) []byte {
	b := append(make([]byte, 0, 256), consentPrefix...)
	b = appendField(b, user)
	b = appendField(b, first[:])
	return appendField(b, key[:])
}

// Revocation returns the bytes that the key By signs of r.
func Revocation(r lonja.Revocation) []byte {
	b := append(make([]byte, 0, 256), revocationPrefix...)
	b = appendField(b, r.User)
	b = appendField(b, r.Key[:])
	b = appendNumber(b, r.Date)
	return appendField(b, r.By[:])
}

// appendField appends the length of a field, four bytes big-endian, and the
// field.
func appendField[T ~string | ~[]byte](b []byte, field T) []byte {
	return append(appendLength(b, len(field)), field...)
}

// appendNumber appends a number as a field of eight bytes, big-endian, in two's
// complement.
func appendNumber(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(appendLength(b, 8), uint64(n))
}

func appendLength(b []byte, n int) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }
