package directory

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"lonja"
	"lonja/internal/statement"
	"lonja/internal/store"
)

// The keys of a directory's records:
//
//	u/<user>                      an account
//	f/<user>/<incarnation>/<name> a publication of that account
//	k/<user>/<incarnation>/keys   the keys of that account
//	i/<secret>                    an invitation, by the hash of its secret
//	r/<time>/<user>/<key>         a key that was taken back, or whose account has ended
//	a/authority                   whose certificates members have, on a shared store
//
// The parts are store segments of the names; the time is in seconds since 1970,
// with twelve digits. The keys that an account is made with are in its own
// record, which does not change: a feed tells an account's latest record only,
// and it must come before those of its publications. So keys that change are a
// record of their own, and that counts. An incarnation is a number that
// no other account of that name has, and that is larger in accounts made later:
// when an account is removed, its publications mean nothing any more, whoever
// takes the name next, and are purged at leisure.
const (
	userPrefix       = "u/"
	filePrefix       = "f/"
	keysPrefix       = "k/"
	invitationPrefix = "i/"
	revocationPrefix = "r/"
	authorityKey     = "a/authority"
)

func userKey(user lonja.UserName) store.Key {
	return store.Key(userPrefix + store.Segment(user))
}

// filesKey is the prefix of an account's publications.
func filesKey(user lonja.UserName, incarnation uint64) store.Key {
	return store.Key(filePrefix + store.Segment(user) + "/" + strconv.FormatUint(incarnation, 10) + "/")
}

func fileKey(user lonja.UserName, incarnation uint64, name lonja.FileName) store.Key {
	return filesKey(user, incarnation) + store.Key(store.Segment(name))
}

// A recordKind is what a record is of.
type recordKind uint8

const (
	accountRecord recordKind = iota
	fileRecord
	keysRecord
	invitationRecord
	revocationRecord
	authorityRecord
)

// A recordName is a parsed key.
type recordName struct {
	kind        recordKind
	user        lonja.UserName  // but of an invitation
	incarnation uint64          // of a publication, or of keys
	file        lonja.FileName  // of a publication
	invitation  invitationHash  // of an invitation
	at          int64           // of a revocation
	key         lonja.PublicKey // of a revocation
}

func parseKey(key store.Key) (recordName, error) {
	parts := strings.Split(string(key), "/")
	switch {
	case len(parts) == 2 && parts[0]+"/" == userPrefix:
		user, err := store.ParseSegment(parts[1])
		return recordName{user: lonja.UserName(user)}, err
	case len(parts) == 4 && parts[0]+"/" == filePrefix:
		user, err := store.ParseSegment(parts[1])
		if err != nil {
			return recordName{}, err
		}
		incarnation, err := strconv.ParseUint(parts[2], 10, 64)
		if err != nil {
			return recordName{}, err
		}
		file, err := store.ParseSegment(parts[3])
		return recordName{kind: fileRecord, user: lonja.UserName(user), incarnation: incarnation, file: lonja.FileName(file)}, err
	}
	if name, known, err := parseMemberKey(parts); known {
		return name, err
	}
	return recordName{}, fmt.Errorf("key %q is not one of a directory", lonja.Printable(string(key)))
}

// A value begins with a version, so that later ones can say more. An account
// of version 1 says nothing: its incarnation is the revision that made it. A
// publication of version 1 has no size. Version 3 is of the secure dialect: an
// account has its keys, a publication its proof.
const (
	recordVersion       = 2
	securedVersion      = 3
	memberRecordVersion = 1 // of keys, invitations and revocations
	endedVersion        = 2 // of the revocation of a key whose account has ended
)

// appendAccount appends the value of an account: the version, then the
// incarnation.
func appendAccount(b []byte, incarnation uint64) []byte {
	return binary.AppendUvarint(append(b, recordVersion), incarnation)
}

// appendBoundAccount appends the value of an account that is bound to keys:
// these follow the incarnation.
func appendBoundAccount(b []byte, incarnation uint64, ring []lonja.KeyRecord) ([]byte, error) {
	return statement.AppendKeys(binary.AppendUvarint(append(b, securedVersion), incarnation), ring)
}

// parseAccount returns the keys too, as statement has them; nil if there are
// none.
func parseAccount(user lonja.UserName, value []byte, rev store.Rev) (incarnation uint64, keys []byte, err error) {
	v := version(value)
	switch v {
	case 1:
		return uint64(rev), nil, nil
	case recordVersion, securedVersion:
		incarnation, n := binary.Uvarint(value[1:])
		if n <= 0 {
			return 0, nil, fmt.Errorf("an account without its incarnation")
		}
		if v == securedVersion {
			keys = value[1+n:]
			_, err = parseRing(user, keys)
		}
		return incarnation, keys, err
	}
	return 0, nil, fmt.Errorf("an account of a version that this lonja does not know")
}

// appendPublication appends the value of a publication: the version, the size
// plus one, 0 for an unknown one, then the description with its length, and the
// proof, if there is one.
func appendPublication(b []byte, p lonja.Listing) []byte {
	if p.Proof != nil {
		b = append(b, securedVersion)
	} else {
		b = append(b, recordVersion)
	}
	b = binary.AppendUvarint(b, uint64(p.Size-lonja.UnknownSize))
	b = binary.AppendUvarint(b, uint64(len(p.Description)))
	b = append(b, p.Description...)
	if p.Proof != nil {
		b = statement.AppendProof(b, p.Proof)
	}
	return b
}

func parsePublication(name lonja.FileName, value []byte) (lonja.Listing, error) {
	p := lonja.Listing{Name: name, Size: lonja.UnknownSize}
	v := version(value)
	switch v {
	case 1:
		value = value[1:]
	case recordVersion, securedVersion:
		size, n := binary.Uvarint(value[1:])
		if n <= 0 || size > math.MaxInt64 {
			return p, fmt.Errorf("a publication whose size cannot be one")
		}
		p.Size += int64(size)
		value = value[1+n:]
	default:
		return p, fmt.Errorf("a publication of a version that this lonja does not know")
	}
	length, n := binary.Uvarint(value)
	if n <= 0 || length > uint64(len(value)-n) || length > lonja.MaxDescription || v != securedVersion && length != uint64(len(value)-n) {
		return p, fmt.Errorf("a publication whose lengths do not fit")
	}
	p.Description = lonja.Description(value[n : n+int(length)])
	if v == securedVersion {
		proof, err := statement.DecodeProof(value[n+int(length):])
		if err != nil {
			return p, err
		}
		p.Proof = proof
	}
	return p, nil
}

func version(value []byte) byte {
	if len(value) == 0 {
		return 0
	}
	return value[0]
}
