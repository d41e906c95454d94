package downloads

import (
	"crypto/rand"
	"strings"
)

// IDs are of these characters, none of which looks like another one.
const (
	idCharacters = "23456789abcdefghjkmnpqrstuvwxyz"
	idLength     = 6
)

// newID returns an id that none of the others begins with the first two characters
// of, as long as that is possible: so that these are enough to type.
func newID(taken func(prefix string) bool) string {
	for range 20 {
		if id := randomID(); !taken(id[:2]) {
			return id
		}
	}
	for {
		if id := randomID(); !taken(id) {
			return id
		}
	}
}

func randomID() string {
	b := make([]byte, idLength)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = idCharacters[int(b[i])%len(idCharacters)]
	}
	return string(b)
}

func isID(s string) bool { return len(s) == idLength && strings.Trim(s, idCharacters) == "" }
