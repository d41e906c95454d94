package frames

import (
	"errors"
	"strings"

	"lonja"
)

// Tell returns what a stranger may know of an error: its kind and, for people, a
// sentence. The cause of a failure that is none of the caller's stays here.
func Tell(err error) (lonja.Kind, string) {
	kind := lonja.KindOf(err)
	switch kind {
	case lonja.Invalid, lonja.Limited, lonja.Forbidden, lonja.Untrusted:
		if e, ok := errors.AsType[*lonja.Error](err); ok && e.Err != nil {
			return kind, clip(lonja.Printable(e.Err.Error()))
		}
	case lonja.NoSuchOwner: // of several, maybe: the caller has named them
		if e, ok := errors.AsType[*lonja.Error](err); ok && e.User != "" {
			return kind, lonja.Printable(string(e.User)) + ": " + kind.Error()
		}
	}
	return kind, kind.Error()
}

func clip(s string) string {
	if len(s) > maxSentence {
		s = strings.ToValidUTF8(s[:maxSentence], "")
	}
	return s
}

// Told is the way back: an error of that kind, with the sentence as its cause if
// it says more than the kind.
func Told(number uint32, sentence string) *lonja.Error {
	kind := lonja.Internal
	if number < uint32(len(lonja.Kinds())) {
		kind = lonja.Kind(number)
	}
	sentence = lonja.Printable(clip(sentence))
	if sentence == "" || sentence == kind.Error() {
		return lonja.E(kind, "", nil)
	}
	return lonja.E(kind, "", errors.New(sentence))
}

func appendFailure(b []byte, request uint32, err error) []byte {
	kind, sentence := Tell(err)
	return appendFrame(b, header{kind: kindFailure, request: request, value: uint32(kind)}, []byte(sentence))
}
