package index

import (
	"bytes"
	"hash/maphash"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/RoaringBitmap/roaring/v2"
)

// A vocabulary is the words of all documents, and which documents have each.
// An extension is a word too, with its dot before it.
type vocabulary struct {
	texts   arena // the words; the tag is the number of the posting
	seed    maphash.Seed
	places  set
	lists   vec[posting]
	sorted  order                      // the words, by their bytes
	begins  map[string]*roaring.Bitmap // documents with a word that begins so, by one or two letters
	loading bool                       // sorted is made at the end
}

// shortPrefix is up to how many letters a prefix has a bitmap of its own: the
// prefixes that too many words share to gather them for each search.
const shortPrefix = 2

func newVocabulary() *vocabulary {
	return &vocabulary{seed: maphash.MakeSeed(), begins: make(map[string]*roaring.Bitmap), loading: true}
}

// loaded makes what is not kept up while loading.
func (v *vocabulary) loaded() {
	v.sorted = newOrder(sortTexts(&v.texts, slices.AppendSeq(make([]uint32, 0, v.texts.count), v.places.all())))
	v.loading = false
}

func (v *vocabulary) before(word string) func(uint32) bool {
	return func(text uint32) bool { return string(v.texts.bytes(text)) < word }
}

func (v *vocabulary) find(word string) (text uint32, hash uint64) {
	hash = maphash.String(v.seed, word)
	return v.places.find(hash, func(text uint32) bool { return string(v.texts.bytes(text)) == word }), hash
}

// add adds a document with these words, each of them once.
func (v *vocabulary) add(doc uint32, words []string) {
	for _, w := range words {
		text, hash := v.find(w)
		if text == 0 {
			text = v.texts.keep(w)
			v.texts.setTag(text, v.lists.add())
			v.places.insert(hash, text)
			if !v.loading {
				v.sorted.insert(text, v.before(w))
			}
		}
		v.lists.at(v.texts.tag(text)).add(doc)
		for p := range shortPrefixes(w) {
			b := v.begins[p]
			if b == nil {
				b = roaring.New()
				v.begins[strings.Clone(p)] = b
			}
			b.Add(doc)
		}
	}
}

// remove takes out a document that was added with these words.
func (v *vocabulary) remove(doc uint32, words []string) {
	for _, w := range words {
		text, hash := v.find(w)
		number := v.texts.tag(text)
		list := v.lists.at(number)
		if list.remove(doc); list.len() == 0 {
			if !v.loading {
				v.sorted.remove(v.before(w))
			}
			v.places.remove(hash, text)
			v.texts.drop(text)
			v.lists.release(number)
		}
		for p := range shortPrefixes(w) {
			if b := v.begins[p]; b != nil { // an earlier word may have begun so
				b.Remove(doc)
				if b.IsEmpty() {
					delete(v.begins, p)
				}
			}
		}
	}
}

// shortPrefixes returns the beginnings of a word that have bitmaps. An
// extension has none: nobody asks for a part of it.
func shortPrefixes(w string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if w[0] == '.' {
			return
		}
		letters := 0
		for i, r := range w {
			letters++
			if !yield(w[:i+utf8.RuneLen(r)]) || letters == shortPrefix {
				return
			}
		}
	}
}

// exactly returns the documents that have the word, or nil.
func (v *vocabulary) exactly(word string) *posting {
	text, _ := v.find(word)
	if text == 0 {
		return nil
	}
	return v.lists.at(v.texts.tag(text))
}

// beginning returns the documents with a word that begins so; the caller must
// not change them.
func (v *vocabulary) beginning(start string) *roaring.Bitmap {
	if utf8.RuneCountInString(start) <= shortPrefix {
		if b := v.begins[start]; b != nil {
			return b
		}
		return roaring.New()
	}
	var single []uint32 // of the words with one document, which are many
	all := roaring.New()
	for text := range v.sorted.from(v.sorted.search(v.before(start))) {
		if !bytes.HasPrefix(v.texts.bytes(text), []byte(start)) {
			break
		}
		if p := v.lists.at(v.texts.tag(text)); p.more == nil {
			single = append(single, p.only)
		} else {
			p.addTo(all)
		}
	}
	slices.Sort(single)
	all.AddMany(single)
	return all
}
