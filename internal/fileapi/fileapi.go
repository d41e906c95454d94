// Package fileapi is what two peers say to each other over HTTP: the path of a
// file, and which status stands for which kind of failure. docs/protocol.md
// shows a request and its answer.
//
// Package fileserver answers with it, filefetch asks with it. It knows the words
// only: no connection, no request.
package fileapi

import (
	"encoding/hex"
	"strings"

	"lonja"
)

// prefix is what the path of each file begins with.
const prefix = "/v1/files/"

// Path returns the path of a file.
func Path(id lonja.FileID) string { return prefix + id.String() }

// ParsePath is the way back; false for anything that Path does not return.
func ParsePath(path string) (id lonja.FileID, ok bool) {
	digits, ok := strings.CutPrefix(path, prefix)
	if !ok || len(digits) != hex.EncodedLen(len(id)) || digits != strings.ToLower(digits) {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(digits))
	return id, err == nil
}

// ETag returns the entity tag of a file (RFC 9110 section 8.8.3): its id, since
// the content of an id never changes.
func ETag(id lonja.FileID) string { return `"` + id.String() + `"` }

// The statuses of failures (RFC 9110 section 15).
const (
	badRequest  = 400
	forbidden   = 403
	notFound    = 404
	conflict    = 409
	gone        = 410
	tooMany     = 429
	serverError = 500
	unavailable = 503
)

// Status returns the HTTP status for a failure of this kind. A stranger learns
// no more than that: why a file is not there for somebody looks the same as that
// it is not there.
func Status(kind lonja.Kind) int {
	switch kind {
	case lonja.Invalid, lonja.Malformed:
		return badRequest
	case lonja.Forbidden, lonja.Untrusted, lonja.OtherKey, lonja.NoSuchUser:
		return forbidden
	case lonja.NoSuchFile, lonja.NotPublished:
		return notFound
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
	case conflict, gone:
		return lonja.Conflict
	case tooMany, unavailable:
		return lonja.Limited
	}
	return lonja.Refused
}
