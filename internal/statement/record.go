package statement

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"lonja"
)

// The compact forms begin with a version, so that later ones can say more.
// Numbers are varints of encoding/binary (dates zigzag), in their shortest form.
//
//	proof  1, file 32, date, key 32, signature 64, users meant: how many, then
//	       each as its length and its bytes
//	proof  2, likewise, and then of a folder: how many files, size of the list
//	keys   1, how many, then each: key 32, date, revoked, length of the label,
//	       label, endorser: 0 for none, else its place in the list counted from
//	       1, and then the signature 64
//	keys   2, likewise, but behind each signature the consent 64
//
// Whose they are is not in them: they stand in the records of that user. Keys of
// which none has a consent have version 1: so a list has one form only, and those
// with one key are read by each lonja.
const (
	recordVersion  = 1
	folderVersion  = 2 // of a proof
	consentVersion = 2 // of keys
)

// AppendProof appends the compact form of a proof that CheckForm has taken.
func AppendProof(b []byte, p *lonja.Proof) []byte {
	if p.Folder == nil {
		b = append(b, recordVersion)
	} else {
		b = append(b, folderVersion)
	}
	b = append(b, p.File[:]...)
	b = binary.AppendVarint(b, p.Date)
	b = append(b, p.Key[:]...)
	b = append(b, p.Signature[:]...)
	b = binary.AppendUvarint(b, uint64(len(p.Audience)))
	for _, user := range p.Audience {
		b = binary.AppendUvarint(b, uint64(len(user)))
		b = append(b, user...)
	}
	if f := p.Folder; f != nil {
		b = binary.AppendUvarint(b, uint64(f.Files))
		b = binary.AppendUvarint(b, uint64(f.ListSize))
	}
	return b
}

// DecodeProof is the way back. It keeps nothing of b, does not check the
// signature, and takes what AppendProof makes, and nothing else: what it takes
// is encoded to the same bytes again. The error is of kind Damaged.
func DecodeProof(b []byte) (*lonja.Proof, error) {
	r := reader{rest: b}
	var p lonja.Proof
	version := r.version(folderVersion)
	r.fixed(p.File[:])
	p.Date = r.number()
	r.fixed(p.Key[:])
	r.fixed(p.Signature[:])
	if n := r.count(MaxAudience); n > 0 {
		p.Audience = make([]lonja.UserName, n)
	}
	for i := range p.Audience {
		p.Audience[i] = lonja.UserName(r.text(lonja.MaxUserName))
	}
	if version == folderVersion {
		p.Folder = &lonja.Folder{Files: int64(r.count(math.MaxInt)), ListSize: int64(r.count(math.MaxInt))}
	}
	if r.err == nil {
		r.err = checkAudience(p.Audience)
	}
	if err := r.end(); err != nil {
		return nil, lonja.E(lonja.Damaged, "read proof", err)
	}
	return &p, nil
}

// AppendKeys appends the compact form of the keys of one user. They must be
// in such an order as CheckRing wants, or the error is of kind Untrusted;
// signatures are not checked.
func AppendKeys(b []byte, ring []lonja.KeyRecord) ([]byte, error) {
	if err := checkOrder(ring); err != nil {
		return b, untrusted("", err)
	}
	version := keysVersion(ring)
	b = binary.AppendUvarint(append(b, version), uint64(len(ring)))
	for i, r := range ring {
		b = append(b, r.Key[:]...)
		b = binary.AppendVarint(b, r.Date)
		b = binary.AppendVarint(b, r.Revoked)
		b = binary.AppendUvarint(b, uint64(len(r.Label)))
		b = append(b, r.Label...)
		b = binary.AppendUvarint(b, uint64(find(ring[:i], r.By)+1))
		if i > 0 {
			b = append(b, r.Signature[:]...)
			if version == consentVersion {
				b = append(b, r.Consent[:]...)
			}
		}
	}
	return b, nil
}

// keysVersion returns which form keys are written in.
func keysVersion(ring []lonja.KeyRecord) byte {
	if slices.ContainsFunc(ring, func(r lonja.KeyRecord) bool { return r.Consent != lonja.Signature{} }) {
		return consentVersion
	}
	return recordVersion
}

// DecodeKeys is the way back, for the keys of user; there may be none. As for
// DecodeProof, signatures are not checked, and the error is of kind Damaged.
func DecodeKeys(user lonja.UserName, b []byte) ([]lonja.KeyRecord, error) {
	r := reader{rest: b}
	version := r.version(consentVersion)
	var ring []lonja.KeyRecord
	for range r.count(lonja.MaxKeys) {
		k := lonja.KeyRecord{Endorsement: lonja.Endorsement{User: user}}
		r.fixed(k.Key[:])
		k.Date = r.number()
		k.Revoked = r.number()
		k.Label = r.text(lonja.MaxLabel)
		if by := r.count(len(ring)); by > 0 {
			k.By = ring[by-1].Key
			r.fixed(k.Signature[:])
			if version == consentVersion {
				r.fixed(k.Consent[:])
			}
		}
		ring = append(ring, k)
	}
	if r.err == nil {
		r.err = checkOrder(ring)
	}
	if r.err == nil && version != keysVersion(ring) {
		r.err = errors.New("none of the keys has a consent, and yet there is room for it")
	}
	if err := r.end(); err != nil {
		return nil, &lonja.Error{Kind: lonja.Damaged, Op: "read keys", User: user, Err: err}
	}
	return ring, nil
}

// A reader takes parts off its front; the first error stays, and everything
// after it is empty.
type reader struct {
	rest []byte
	err  error
}

var errShort = errors.New("it ends too early")

func (r *reader) take(n int) []byte {
	if r.err == nil && n > len(r.rest) {
		r.err = errShort
	}
	if r.err != nil {
		return nil
	}
	var part []byte
	part, r.rest = r.rest[:n], r.rest[n:]
	return part
}

// version reads a version that is at most most.
func (r *reader) version(most byte) byte {
	v := r.take(1)
	if r.err != nil {
		return 0
	}
	if v[0] == 0 || v[0] > most {
		r.err = fmt.Errorf("it has version %d, which this lonja does not know", v[0])
	}
	return v[0]
}

func (r *reader) fixed(to []byte) { copy(to, r.take(len(to))) }

// count reads a number that is at most most.
func (r *reader) count(most int) int {
	n, size := binary.Uvarint(r.rest)
	if !r.took(size) {
		return 0
	}
	if n > uint64(most) {
		r.err = fmt.Errorf("%d where at most %d may stand", n, most)
		return 0
	}
	return int(n)
}

func (r *reader) number() int64 {
	n, size := binary.Varint(r.rest)
	if !r.took(size) {
		return 0
	}
	return n
}

// took moves on over a number of size bytes, if it is one in its shortest form.
func (r *reader) took(size int) bool {
	switch {
	case r.err != nil:
	case size <= 0:
		r.err = errShort
	case size > 1 && r.rest[size-1] == 0:
		r.err = errors.New("a number in it is not in its shortest form")
	default:
		r.rest = r.rest[size:]
	}
	return r.err == nil
}

func (r *reader) text(most int) string { return string(r.take(r.count(most))) }

func (r *reader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		r.err = fmt.Errorf("%d bytes too many", len(r.rest))
	}
	return r.err
}
