package natsstore

import (
	"fmt"
	"strings"

	"lonja"
	"lonja/internal/store"
)

// Subjects of one directory, each below its name:
//
//	NAME.k.…      the records, in the stream
//	NAME.mark     marks, in the stream: see mark.go
//	NAME.l.…      both of these again, as the stream takes them in
//	NAME.m.…      messages, kept nowhere
//
// A key's '/' becomes the '.' between the tokens of a subject, so that the
// keys with a prefix that ends in '/' are what one wildcard matches. Two things
// that keys may have and subjects may not are written with signs that no key
// has: '.' as ',' and nothing between two '/' as '~'.
const (
	recordSubject  = ".k."
	markSubject    = ".mark"
	liveSubject    = ".l."
	messageSubject = ".m."
)

var (
	toToken   = strings.NewReplacer(".", ",", "/", ".")
	fromToken = strings.NewReplacer(",", ".", ".", "/", "~", "")
)

// subject returns the subject of a key that store.Check takes.
func (s *Store) subject(key store.Key) string {
	return s.name + recordSubject + tokens(key)
}

// tokens returns a key as the tokens of a subject.
func tokens(key store.Key) string {
	k := string(key)
	if strings.HasPrefix(k, "/") {
		k = "~" + k
	}
	if strings.HasSuffix(k, "/") {
		k += "~"
	}
	for strings.Contains(k, "//") {
		k = strings.ReplaceAll(k, "//", "/~/")
	}
	return toToken.Replace(k)
}

// key is the way back. A subject that is none of ours has an error of kind
// Damaged.
func (s *Store) key(subject string) (store.Key, error) {
	k, ok := strings.CutPrefix(subject, s.name+recordSubject)
	if !ok {
		return "", lonja.E(lonja.Damaged, "read record", fmt.Errorf("a message of subject %.200q", subject))
	}
	return store.Key(fromToken.Replace(k)), nil
}
