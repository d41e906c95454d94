package directory

import (
	"encoding/binary"
	"fmt"
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
// The parts are store segments of the names. An incarnation is the revision
// with which an account was made: when it is removed, its publications mean
// nothing any more, whoever takes the name next, and are purged at leisure.
const (
	userPrefix = "u/"
	filePrefix = "f/"
)

func userKey(user lonja.UserName) store.Key {
	return store.Key(userPrefix + store.Segment(user))
}

// filesKey is the prefix of an account's publications.
func filesKey(user lonja.UserName, incarnation store.Rev) store.Key {
	return store.Key(filePrefix + store.Segment(user) + "/" + strconv.FormatUint(uint64(incarnation), 10) + "/")
}

func fileKey(user lonja.UserName, incarnation store.Rev, name lonja.FileName) store.Key {
	return filesKey(user, incarnation) + store.Key(store.Segment(name))
}

// A recordName is a parsed key.
type recordName struct {
	user        lonja.UserName
	incarnation store.Rev      // of a publication
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
		return recordName{lonja.UserName(user), store.Rev(incarnation), lonja.FileName(file)}, err
	}
	return recordName{}, fmt.Errorf("key %q is not one of a directory", lonja.Printable(string(key)))
}

// recordVersion begins every value, so that later versions can say more.
const recordVersion = 1

// An account's value says nothing yet beyond its version.
func appendAccount(b []byte) []byte { return append(b, recordVersion) }

// appendPublication appends the value of a publication: the version, then the
// description with its length.
func appendPublication(b []byte, description lonja.Description) []byte {
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, uint64(len(description)))
	return append(b, description...)
}

func parsePublication(value []byte) (lonja.Description, error) {
	if len(value) == 0 || value[0] != recordVersion {
		return "", fmt.Errorf("a publication of a version that this lonja does not know")
	}
	length, n := binary.Uvarint(value[1:])
	if n <= 0 || length != uint64(len(value)-1-n) {
		return "", fmt.Errorf("a publication whose lengths do not fit")
	}
	return lonja.Description(value[1+n:]), nil
}

func checkAccount(value []byte) error {
	if len(value) == 0 || value[0] != recordVersion {
		return fmt.Errorf("an account of a version that this lonja does not know")
	}
	return nil
}
