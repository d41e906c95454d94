package directory

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"lonja"
	"lonja/internal/store"
)

// The keys of a directory's records:
//
//	u/<user>                      an account
//	f/<user>/<incarnation>/<name> a publication of that account
//
// The parts are store segments of the names. An incarnation is a number that
// no other account of that name has, and that is larger in accounts made later:
// when an account is removed, its publications mean nothing any more, whoever
// takes the name next, and are purged at leisure.
const (
	userPrefix = "u/"
	filePrefix = "f/"
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

// A recordName is a parsed key.
type recordName struct {
	user        lonja.UserName
	incarnation uint64         // of a publication
	file        lonja.FileName // "" in the key of an account
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
		return recordName{lonja.UserName(user), incarnation, lonja.FileName(file)}, err
	}
	return recordName{}, fmt.Errorf("key %q is not one of a directory", lonja.Printable(string(key)))
}

// A value begins with a version, so that later ones can say more. An account
// of version 1 says nothing: its incarnation is the revision that made it. A
// publication of version 1 has no size.
const recordVersion = 2

// appendAccount appends the value of an account: the version, then the
// incarnation.
func appendAccount(b []byte, incarnation uint64) []byte {
	return binary.AppendUvarint(append(b, recordVersion), incarnation)
}

func parseAccount(value []byte, rev store.Rev) (incarnation uint64, err error) {
	switch version(value) {
	case 1:
		return uint64(rev), nil
	case recordVersion:
		incarnation, n := binary.Uvarint(value[1:])
		if n <= 0 {
			return 0, fmt.Errorf("an account without its incarnation")
		}
		return incarnation, nil
	}
	return 0, fmt.Errorf("an account of a version that this lonja does not know")
}

// appendPublication appends the value of a publication: the version, the size
// plus one, 0 for an unknown one, then the description with its length.
func appendPublication(b []byte, p lonja.Listing) []byte {
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, uint64(p.Size-lonja.UnknownSize))
	b = binary.AppendUvarint(b, uint64(len(p.Description)))
	return append(b, p.Description...)
}

func parsePublication(name lonja.FileName, value []byte) (lonja.Listing, error) {
	p := lonja.Listing{Name: name, Size: lonja.UnknownSize}
	switch version(value) {
	case 1:
		value = value[1:]
	case recordVersion:
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
	if n <= 0 || length != uint64(len(value)-n) || length > lonja.MaxDescription {
		return p, fmt.Errorf("a publication whose lengths do not fit")
	}
	p.Description = lonja.Description(value[n:])
	return p, nil
}

func version(value []byte) byte {
	if len(value) == 0 {
		return 0
	}
	return value[0]
}
