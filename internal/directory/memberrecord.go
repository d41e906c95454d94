package directory

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"lonja"
	"lonja/internal/operator"
	"lonja/internal/statement"
	"lonja/internal/store"
)

// keysName ends the key of a record of keys, so that none is the beginning of
// another.
const keysName = "keys"

func keysKey(user lonja.UserName, incarnation uint64) store.Key {
	return store.Key(keysPrefix + store.Segment(user) + "/" + strconv.FormatUint(incarnation, 10) + "/" + keysName)
}

func invitationKey(hash invitationHash) store.Key {
	return store.Key(invitationPrefix + hex.EncodeToString(hash[:]))
}

func revocationKey(at int64, user lonja.UserName, key lonja.PublicKey) store.Key {
	return store.Key(fmt.Sprintf("%s%012d/%s/%s", revocationPrefix, at, store.Segment(user), hex.EncodeToString(key[:])))
}

// maxTime is the latest time that a revocation's key has room for.
const maxTime = 1e12 - 1

// parseMemberKey parses the parts of a key of the secure dialect; known is false
// if it is none.
func parseMemberKey(parts []string) (name recordName, known bool, err error) {
	switch {
	case len(parts) == 4 && parts[0]+"/" == keysPrefix && parts[3] == keysName:
		name.kind = keysRecord
		name.user, err = parseUserSegment(parts[1])
		if err == nil {
			name.incarnation, err = strconv.ParseUint(parts[2], 10, 64)
		}
	case len(parts) == 2 && parts[0]+"/" == invitationPrefix:
		name.kind = invitationRecord
		err = parseHex(name.invitation[:], parts[1])
	case len(parts) == 4 && parts[0]+"/" == revocationPrefix:
		name.kind = revocationRecord
		if name.at, err = strconv.ParseInt(parts[1], 10, 64); err == nil {
			name.user, err = parseUserSegment(parts[2])
		}
		if err == nil {
			err = parseHex(name.key[:], parts[3])
		}
	case strings.Join(parts, "/") == authorityKey:
		name.kind = authorityRecord
	default:
		return name, false, nil
	}
	return name, true, err
}

func parseUserSegment(s string) (lonja.UserName, error) {
	user, err := store.ParseSegment(s)
	return lonja.UserName(user), err
}

// parseHex fills b from its hexadecimal digits, as keys have them.
func parseHex(b []byte, s string) error {
	if len(s) != hex.EncodedLen(len(b)) || strings.ToLower(s) != s {
		return errors.New("a part of a key has not the digits that it should")
	}
	_, err := hex.Decode(b, []byte(s))
	return err
}

// parseRing reads the keys of a user, of which there must be some.
func parseRing(user lonja.UserName, keys []byte) ([]lonja.KeyRecord, error) {
	ring, err := statement.DecodeKeys(user, keys)
	if err == nil && len(ring) == 0 {
		err = errors.New("there are no keys")
	}
	return ring, err
}

// appendKeys appends the value of a record of keys.
func appendKeys(b []byte, ring []lonja.KeyRecord) ([]byte, error) {
	return statement.AppendKeys(append(b, memberRecordVersion), ring)
}

func parseKeys(user lonja.UserName, value []byte) (keys []byte, ring []lonja.KeyRecord, err error) {
	if version(value) != memberRecordVersion {
		return nil, nil, errors.New("keys of a version that this lonja does not know")
	}
	ring, err = parseRing(user, value[1:])
	return value[1:], ring, err
}

// appendInvitation appends the value of an invitation: the version, how often it
// may be used and has been, its end and when it was made, in seconds since 1970,
// then the note.
func appendInvitation(b []byte, i operator.Invitation) []byte {
	b = append(b, memberRecordVersion)
	b = binary.AppendUvarint(b, uint64(i.Uses))
	b = binary.AppendUvarint(b, uint64(i.Used))
	b = binary.AppendVarint(b, i.Until)
	b = binary.AppendVarint(b, i.Made)
	return append(b, i.Note...)
}

func parseInvitation(hash invitationHash, value []byte) (operator.Invitation, error) {
	i := operator.Invitation{ID: hex.EncodeToString(hash[:])}
	if version(value) != memberRecordVersion {
		return i, errors.New("an invitation of a version that this lonja does not know")
	}
	value = value[1:]
	var numbers [4]int64
	for n := range numbers {
		var size int
		if n < 2 {
			var u uint64
			u, size = binary.Uvarint(value)
			numbers[n] = int64(min(u, math.MaxInt64))
		} else {
			numbers[n], size = binary.Varint(value)
		}
		if size <= 0 {
			return i, errors.New("an invitation that ends too early")
		}
		value = value[size:]
	}
	if numbers[0] > operator.MaxUses || numbers[1] > numbers[0] || len(value) > operator.MaxNote {
		return i, errors.New("an invitation whose numbers cannot be right")
	}
	i.Uses, i.Used, i.Until, i.Made, i.Note = int(numbers[0]), int(numbers[1]), numbers[2], numbers[3], operator.Text(value)
	return i, nil
}

// appendRevocation appends the value of a revocation: the version, its date, who
// signed it, and the signature; or, because an account has ended, another version,
// the date, and the account's incarnation.
func appendRevocation(b []byte, r lonja.Revocation) []byte {
	if r.Account != 0 {
		b = binary.AppendVarint(append(b, endedVersion), r.Date)
		return binary.AppendUvarint(b, r.Account)
	}
	b = binary.AppendVarint(append(b, memberRecordVersion), r.Date)
	return append(append(b, r.By[:]...), r.Signature[:]...)
}

func parseRevocation(name recordName, value []byte) (lonja.Revocation, error) {
	r := lonja.Revocation{User: name.user, Key: name.key}
	if version(value) == endedVersion {
		return parseEnded(r, value[1:])
	}
	if version(value) != memberRecordVersion {
		return r, errors.New("a revocation of a version that this lonja does not know")
	}
	date, n := binary.Varint(value[1:])
	if n <= 0 || len(value) != 1+n+len(r.By)+len(r.Signature) {
		return r, errors.New("a revocation whose lengths do not fit")
	}
	r.Date = date
	copy(r.By[:], value[1+n:])
	copy(r.Signature[:], value[1+n+len(r.By):])
	return r, nil
}

// parseEnded reads the revocation of a key whose account has ended.
func parseEnded(r lonja.Revocation, value []byte) (lonja.Revocation, error) {
	date, n := binary.Varint(value)
	if n <= 0 {
		return r, errors.New("the end of an account has no date")
	}
	account, size := binary.Uvarint(value[n:])
	if size <= 0 || account == 0 || n+size != len(value) {
		return r, errors.New("the end of an account does not say of which")
	}
	r.Date, r.Account = date, account
	return r, nil
}
