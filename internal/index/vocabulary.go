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
	for text := range v.places.all() {
		v.lists.at(v.texts.tag(text)).loaded()
	}
	v.sorted = newOrder(sortTexts(&v.texts, slices.AppendSeq(make([]uint32, 0, v.texts.count), v.places.all())))
	v.gatherBegins()
	v.loading = false
}

// gatherBegins makes the bitmaps of short prefixes. Words that begin alike
// follow each other, and those of one document are many.
func (v *vocabulary) gatherBegins() {
	single := make(map[string][]uint32)
	for text := range v.sorted.from(position{}) {
		list := v.lists.at(v.texts.tag(text))
		for p := range shortPrefixes(string(v.texts.bytes(text))) {
			if list.more == nil {
				single[p] = append(single[p], list.only)
				continue
			}
			list.addTo(v.begin(p))
		}
	}
	for p, docs := range single {
		slices.Sort(docs)
		v.begin(p).AddMany(docs)
	}
}

// begin returns the documents with a word that begins so, to be changed.
func (v *vocabulary) begin(prefix string) *roaring.Bitmap {
	b := v.begins[prefix]
	if b == nil {
		b = roaring.New()
		v.begins[strings.Clone(prefix)] = b
	}
	return b
}

func (v *vocabulary) before(word string) func(uint32) bool {
	return func(text uint32) bool { return string(v.texts.bytes(text)) < word }
}

func (v *vocabulary) find(word string) (text uint32, hash uint64) {
	hash = maphash.String(v.seed, word)
	return v.places.find(hash, func(text uint32) bool { return string(v.texts.bytes(text)) == word }), hash
}

// add adds a document with these words, each of them once. While loading it
// comes after all that were added before.
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
		list := v.lists.at(v.texts.tag(text))
		if v.loading {
			list.append(doc)
			continue
		}
		list.add(doc)
		for p := range shortPrefixes(w) {
			v.begin(p).Add(doc)
		}
	}
}

// remove takes out a document that was added with these words, after loading.
func (v *vocabulary) remove(doc uint32, words []string) {
	for _, w := range words {
		text, hash := v.find(w)
		number := v.texts.tag(text)
		list := v.lists.at(number)
		if list.remove(doc); list.len() == 0 {
			v.sorted.remove(v.before(w))
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

// beginning returns the documents with a word that begins so, of those in
// within if that is not nil; the caller must not change them.
func (v *vocabulary) beginning(start string, within *roaring.Bitmap) *roaring.Bitmap {
	if utf8.RuneCountInString(start) <= shortPrefix {
		b := v.begins[start]
		switch {
		case b == nil:
			return roaring.New()
		case within == nil:
			return b
		}
		return roaring.And(within, b)
	}
	var few []uint32 // of the words with few documents, which are many
	all := roaring.New()
	for text := range v.sorted.from(v.sorted.search(v.before(start))) {
		if !bytes.HasPrefix(v.texts.bytes(text), []byte(start)) {
			break
		}
		switch p := v.lists.at(v.texts.tag(text)); {
		case p.more == nil:
			few = append(few, p.only)
		case p.more.bitmap == nil:
			few = append(few, p.more.list...)
		case within == nil:
			all.Or(p.more.bitmap)
		default: // what is common is small, and what they have apart may not be
			all.Or(roaring.And(within, p.more.bitmap))
		}
	}
	if within != nil {
		few = slices.DeleteFunc(few, func(doc uint32) bool { return !within.Contains(doc) })
	}
	slices.Sort(few)
	all.AddMany(few)
	return all
}
