package index

import (
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/RoaringBitmap/roaring/v2"
)

// Begins knows, for beginnings that many words share, the documents that have
// one of these words: to gather them anew for each search would take too long.
// A beginning of one or two letters is always among them, a longer one if it
// has more than manyWords words, and then those of one letter more are counted.
type begins map[string]*begin

type begin struct {
	words int
	docs  *roaring.Bitmap // nil while there are few words
}

const (
	// manyWords is up to how many words a search gathers.
	manyWords = 512
	// shortBegin is up to how many letters a beginning always has its documents.
	shortBegin = 2
)

// firstLetters returns the first letters of w, and whether it has so many.
func firstLetters(w string, letters int) (string, bool) {
	end := 0
	for range letters {
		if end == len(w) {
			return "", false
		}
		_, size := utf8.DecodeRuneInString(w[end:])
		end += size
	}
	return w[:end], true
}

// isExtension reports whether w is one: nobody asks for the beginning of that.
func isExtension(w string) bool { return w[0] == '.' }

// addBegins tells that the document has the word, which may be new.
func (v *vocabulary) addBegins(w string, doc uint32, isNew bool) {
	if isExtension(w) {
		return
	}
	for letters := 1; ; letters++ {
		start, long := firstLetters(w, letters)
		if !long {
			return
		}
		b := v.begins[start]
		if b == nil {
			b = &begin{}
			v.begins[strings.Clone(start)] = b
			if letters <= shortBegin {
				b.docs = roaring.New()
			}
		}
		if isNew {
			b.words++
		}
		switch {
		case b.docs != nil:
			b.docs.Add(doc)
		case b.words > manyWords:
			v.gatherBegins(v.beginningWith(start), start)
			return
		default:
			return
		}
	}
}

// removeBegins tells that the document, and perhaps the word, is gone.
func (v *vocabulary) removeBegins(w string, doc uint32, isGone bool) {
	if isExtension(w) {
		return
	}
	for letters := 1; ; letters++ {
		start, long := firstLetters(w, letters)
		b := v.begins[start]
		if !long || b == nil {
			return
		}
		counted := b.docs != nil
		if counted {
			b.docs.Remove(doc) // another word of it may have begun so
		}
		if isGone {
			if b.words--; b.words == 0 {
				delete(v.begins, start)
			}
		}
		if !counted {
			return
		}
	}
}

// beginningWith returns the words that begin so, sorted.
func (v *vocabulary) beginningWith(start string) []uint32 {
	var found []uint32
	for text := range v.sorted.from(v.sorted.search(v.before(start))) {
		if !strings.HasPrefix(string(v.texts.bytes(text)), start) {
			break
		}
		found = append(found, text)
	}
	return found
}

// gatherBegins makes what begins has for start and for longer beginnings, from
// the sorted words that begin so, and returns their documents. An empty start
// is that of all words.
func (v *vocabulary) gatherBegins(sorted []uint32, start string) *roaring.Bitmap {
	all, few := roaring.New(), []uint32(nil)
	letters := utf8.RuneCountInString(start) + 1
	for rest := sorted; len(rest) > 0; {
		w := string(v.texts.bytes(rest[0]))
		if isExtension(w) {
			rest = rest[1:]
			continue
		}
		longer, long := firstLetters(w, letters)
		if !long {
			few = v.gatherWords(rest[:1], all, few)
			rest = rest[1:]
			continue
		}
		same := sort.Search(len(rest), func(i int) bool { return !strings.HasPrefix(string(v.texts.bytes(rest[i])), longer) })
		if letters <= shortBegin || same > manyWords {
			all.Or(v.gatherBegins(rest[:same], longer))
		} else {
			v.begins[longer] = &begin{words: same}
			few = v.gatherWords(rest[:same], all, few)
		}
		rest = rest[same:]
	}
	slices.Sort(few)
	all.AddMany(few)
	if start != "" {
		v.begins[start] = &begin{words: len(sorted), docs: all}
	}
	return all
}

// gatherWords adds the documents of words to all, or, of words with few of
// them, which are many, to few.
func (v *vocabulary) gatherWords(words []uint32, all *roaring.Bitmap, few []uint32) []uint32 {
	for _, text := range words {
		switch p := v.lists.at(v.texts.tag(text)); {
		case p.more == nil:
			few = append(few, p.only)
		case p.more.bitmap == nil:
			few = append(few, p.more.list...)
		default:
			all.Or(p.more.bitmap)
		}
	}
	return few
}
