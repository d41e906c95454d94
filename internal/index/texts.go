package index

import (
	"hash/maphash"
	"strings"
)

// Texts keeps each different text once, and counts in its tag how many hold it.
// A text is known by its place in the arena.
type texts struct {
	arena
	seed   maphash.Seed
	places set
}

func newTexts() *texts { return &texts{seed: maphash.MakeSeed()} }

// str returns a copy of a text.
func (t *texts) str(text uint32) string { return string(t.bytes(text)) }

// find returns the text that is s, or 0.
func (t *texts) find(s string) uint32 { return t.findHashed(maphash.String(t.seed, s), s) }

func (t *texts) findHashed(hash uint64, s string) uint32 {
	return t.places.find(hash, func(text uint32) bool { return string(t.bytes(text)) == s })
}

// hold returns the text that is s, which the caller now holds once more.
func (t *texts) hold(s string) uint32 {
	hash := maphash.String(t.seed, s)
	text := t.findHashed(hash, s)
	if text == 0 {
		text = t.keep(s)
		t.places.insert(hash, text)
	}
	t.setTag(text, t.tag(text)+1)
	return text
}

// release ends one hold of a text. After the last one it means nothing.
func (t *texts) release(text uint32) {
	holds := t.tag(text) - 1
	t.setTag(text, holds)
	if holds == 0 {
		t.places.remove(maphash.Bytes(t.seed, t.bytes(text)), text)
		t.drop(text)
	}
}

// A nameArena makes strings of texts that are told together, many in one
// allocation: one for each is half of what it costs to list all users.
type nameArena struct{ strings.Builder }

// nameChunk is the size of an allocation, which is kept as long as one of its
// names is.
const nameChunk = 4096

// add returns a copy of a text.
func (a *nameArena) add(text []byte) string {
	if a.Len()+len(text) > a.Cap() {
		a.Reset()
		a.Grow(nameChunk)
	}
	start := a.Len()
	a.Write(text)
	return a.String()[start:]
}
