// Package fileapi is what two peers say to each other over HTTP: the paths of a
// content, which pieces of it somebody has, and which status stands for which
// kind of failure. docs/protocol.md shows requests and their answers.
//
// Package fileserver answers with it, fileclient asks with it. It knows the words
// only: no connection, no request.
package fileapi

import (
	"encoding/hex"
	"strings"

	"lonja"
)

// prefix is what the path of each content begins with.
const prefix = "/v1/files/"

// A Part is what is asked for of a content.
type Part uint8

// The parts. Each has a path of its own.
const (
	File    Part = iota // its bytes
	Tree                // the hashes of its pieces: an outboard, as package tree has it
	Have                // which pieces of it are there: AppendHave
	Entries             // of a folder, which of its list's entries are there, likewise
	parts
)

// endings are what the paths of the parts have behind the id.
var endings = [parts]string{Tree: "/tree", Have: "/have", Entries: "/entries"}

// Path returns the path of the bytes of a content.
func Path(id lonja.FileID) string { return File.Path(id) }

// Path returns the path of that part of a content.
func (p Part) Path(id lonja.FileID) string { return prefix + id.String() + endings[p] }

// ParsePath is the way back; false for anything that Path does not return.
func ParsePath(path string) (id lonja.FileID, part Part, ok bool) {
	rest, ok := strings.CutPrefix(path, prefix)
	length := hex.EncodedLen(len(id))
	if !ok || len(rest) < length || rest[:length] != strings.ToLower(rest[:length]) {
		return id, 0, false
	}
	if _, err := hex.Decode(id[:], []byte(rest[:length])); err != nil {
		return id, 0, false
	}
	for p, ending := range endings {
		if rest[length:] == ending {
			return id, Part(p), true
		}
	}
	return id, 0, false
}

// ETag returns the entity tag of a content and of its tree (RFC 9110 section
// 8.8.3): the id, since what belongs to an id never changes.
func ETag(id lonja.FileID) string { return `"` + id.String() + `"` }

// The statuses of failures (RFC 9110 section 15).
const (
	badRequest     = 400
	forbidden      = 403
	notFound       = 404
	conflict       = 409
	gone           = 410
	notSatisfiable = 416
	tooMany        = 429
	serverError    = 500
	unavailable    = 503
)

// Status returns the HTTP status for a failure of this kind. A stranger learns
// no more than that: why a file is not there for somebody looks the same as that
// it is not there.
//
// Between peers, NoHolder says that who was asked does not hold what was asked
// for of a content, at least not yet; others may. NoSuchFile says that it holds
// nothing of it.
func Status(kind lonja.Kind) int {
	switch kind {
	case lonja.Invalid, lonja.Malformed:
		return badRequest
	case lonja.Forbidden, lonja.Untrusted, lonja.OtherKey, lonja.NoSuchUser:
		return forbidden
	case lonja.NoSuchFile, lonja.NotPublished:
		return notFound
	case lonja.NoHolder:
		return notSatisfiable
	case lonja.Conflict:
		return conflict
	case lonja.Limited:
		return unavailable
	}
	return serverError
}

// Kind returns what a status other than success stands for.
func Kind(status int) lonja.Kind {
	switch status {
	case badRequest:
		return lonja.Invalid
	case forbidden:
		return lonja.Forbidden
	case notFound:
		return lonja.NoSuchFile
	case notSatisfiable:
		return lonja.NoHolder
	case conflict, gone:
		return lonja.Conflict
	case tooMany, unavailable:
		return lonja.Limited
	}
	return lonja.Refused
}
