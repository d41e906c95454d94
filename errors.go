package lonja

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
)

// A Kind says what sort of failure an Error is. Kinds are stable: programs act
// on them and they go over the wire in their own encodings, so new ones are
// only ever appended. A Kind is itself an error, so that
// errors.Is(err, lonja.NotConnected) asks for one.
type Kind uint8

// The kinds of failure.
const (
	Internal         Kind = iota // a fault of ours; nothing the caller can mend
	Invalid                      // the request is malformed or over a limit
	NoSuchUser                   // the asking user has no account
	NameInUse                    // the account exists already
	AlreadyConnected             // the user is connected already
	NotConnected                 // the asking user is not connected
	AlreadyPublished             // the user lists that file already
	NotPublished                 // the user does not list that file
	NoSuchOwner                  // the user asked about has no account
	NoHolder                     // no connected user has that file
	NoSuchFile                   // the peer does not have, or not offer, that file
	Unavailable                  // the other side cannot be reached or broke off
	Refused                      // the other side answered with an unnamed error
	Malformed                    // the other side does not keep to the protocol
	Disagreement                 // holders have different files under one name
	LocalFile                    // a file on this machine cannot be read or written
	Canceled                     // the caller gave up, or its time ran out
	NodeInUse                    // this node is connected as a user already
	Conflict                     // something has changed since it was looked at
	Damaged                      // stored data is not what was written
	Limited                      // more than one may ask for, or have
	OtherKey                     // the name is bound to a key that the asking node does not hold
	Forbidden                    // not allowed to whoever asks
	Untrusted                    // a key, certificate or signature is not the expected one
	TakenOver                    // another program with the same key has the session now
	kindCount
)

var kindTexts = [kindCount]string{
	Internal:         "internal error",
	Invalid:          "invalid request",
	NoSuchUser:       "user does not exist",
	NameInUse:        "user name is in use",
	AlreadyConnected: "user is already connected",
	NotConnected:     "user is not connected",
	AlreadyPublished: "file is already published",
	NotPublished:     "file is not published",
	NoSuchOwner:      "owner does not exist",
	NoHolder:         "no connected user has the file",
	NoSuchFile:       "the peer does not offer the file",
	Unavailable:      "cannot be reached",
	Refused:          "refused",
	Malformed:        "answer does not follow the protocol",
	Disagreement:     "holders have different files",
	LocalFile:        "local file",
	Canceled:         "canceled",
	NodeInUse:        "a user is connected here already",
	Conflict:         "changed meanwhile",
	Damaged:          "stored data is damaged",
	Limited:          "over a limit",
	OtherKey:         "the name belongs to another key",
	Forbidden:        "not allowed",
	Untrusted:        "identity cannot be trusted",
	TakenOver:        "another program with the same key has taken the session over; connect again to take it back",
}

// Kinds returns every kind, for tables that must be complete.
func Kinds() []Kind {
	kinds := make([]Kind, kindCount)
	for i := range kinds {
		kinds[i] = Kind(i)
	}
	return kinds
}

// Error returns the kind in words.
func (k Kind) Error() string {
	if k < kindCount {
		return kindTexts[k]
	}
	return kindTexts[Internal]
}

// An Error is a failure of a known kind. Op says what was attempted (a verb,
// or an operation's name), User and File on what; each may be empty. Err is
// the cause, or nil when the kind says it all. The cause is for the log and
// for the person at this machine; a stranger on the network learns the kind
// only.
type Error struct {
	Kind Kind
	Op   string
	User UserName
	File FileName
	Err  error
}

// E builds an *Error from a kind, what was attempted, and a cause or nil.
func E(kind Kind, op string, cause error) *Error {
	return &Error{Kind: kind, Op: op, Err: cause}
}

// Error gives the parts that are set, outermost first.
func (e *Error) Error() string {
	parts := make([]string, 0, 5)
	for _, s := range []string{e.Op, string(e.User), string(e.File)} {
		if s != "" {
			parts = append(parts, Printable(s))
		}
	}
	if e.Err == nil || e.Kind == NoSuchFile || e.Kind == Disagreement {
		parts = append(parts, e.Kind.Error())
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, kind) true for an error of that kind.
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind)
	return ok && kind == e.Kind
}

// KindOf returns the kind of err: that of the first *Error or Kind in its
// chain. Anything else is Internal, but for what ends a context or a
// connection, which KindOfIO knows.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	if kind, ok := errors.AsType[Kind](err); ok {
		return kind
	}
	return KindOfIO(err)
}

// KindOfIO is the one place where the errors of contexts and of the network
// become kinds: Canceled for a context that ended, Unavailable for a
// connection that failed, ended early or was too slow, else Internal.
func KindOfIO(err error) Kind {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Canceled
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Unavailable
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return Unavailable
	}
	return Internal
}
