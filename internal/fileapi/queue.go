package fileapi

import (
	"strconv"
	"strings"
)

// The headers of the queue of those who are served one after the other.
const (
	// PlaceHeader says at which place of the queue whoever asks is, from 1 on; 0
	// says that it is its turn.
	PlaceHeader = "Lonja-Queue-Place"
	// WaitHeader asks, of Have, to be answered when it is one's turn, or after so
	// many seconds: "wait=10" (RFC 7240 section 4.3).
	WaitHeader = "Prefer"
)

// maxPlace is beyond any queue, and maxWait, in seconds, beyond any patience.
const (
	maxPlace = 1_000_000
	maxWait  = 3600
)

// FormatPlace returns what stands in a PlaceHeader.
func FormatPlace(place int) string { return strconv.Itoa(place) }

// ParsePlace is the way back; false for anything else.
func ParsePlace(text string) (place int, ok bool) {
	place, ok = digits(text)
	return place, ok && place <= maxPlace
}

// FormatWait returns what stands in a WaitHeader.
func FormatWait(seconds int) string { return "wait=" + strconv.Itoa(seconds) }

// ParseWait returns how many seconds a WaitHeader asks to wait, at most an hour,
// and whether it asks for that: other preferences may stand beside it.
func ParseWait(text string) (seconds int, ok bool) {
	for preference := range strings.SplitSeq(text, ",") {
		preference, _, _ = strings.Cut(preference, ";")
		name, value, _ := strings.Cut(preference, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		if seconds, ok = digits(strings.TrimSpace(value)); ok {
			return min(seconds, maxWait), true
		}
	}
	return 0, false
}

// ParseRetryAfter returns the seconds that a Retry-After (RFC 9110 section 10.2.3)
// says, at most an hour; false if it is no number. A date, which it may be too,
// is never sent.
func ParseRetryAfter(text string) (seconds int, ok bool) {
	seconds, ok = digits(text)
	return min(seconds, maxWait), ok
}

// digits reads a number without a sign.
func digits(text string) (int, bool) {
	if len(text) == 0 || len(text) > 9 || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}
