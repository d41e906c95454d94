package index

import (
	"bytes"
	"hash/maphash"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// A vocabulary is the words of all documents, and which documents have each.
// An extension is a word too, with its dot before it.
type vocabulary struct {
	texts   arena // the words; the tag is the number of the posting
	seed    maphash.Seed
	places  set
	lists   vec[posting]
	sorted  order // the words, by their bytes
	begins  begins
	loading bool // sorted and begins are made at the end
}

func newVocabulary() *vocabulary {
	return &vocabulary{seed: maphash.MakeSeed(), begins: make(begins), loading: true}
}

// loaded makes what is not kept up while loading.
func (v *vocabulary) loaded() {
	for text := range v.places.all() {
		v.lists.at(v.texts.tag(text)).loaded()
	}
	sorted := sortTexts(&v.texts, slices.AppendSeq(make([]uint32, 0, v.texts.count), v.places.all()))
	v.gatherBegins(sorted, "")
	v.sorted = newOrder(sorted)
	v.loading = false
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
		isNew := text == 0
		if isNew {
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
		v.addBegins(w, doc, isNew)
	}
}

// remove takes out a document that was added with these words, after loading.
func (v *vocabulary) remove(doc uint32, words []string) {
	for _, w := range words {
		text, hash := v.find(w)
		number := v.texts.tag(text)
		list := v.lists.at(number)
		list.remove(doc)
		isGone := list.len() == 0
		if isGone {
			v.sorted.remove(v.before(w))
			v.places.remove(hash, text)
			v.texts.drop(text)
			v.lists.release(number)
		}
		v.removeBegins(w, doc, isGone)
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

// A beginning is what is known of the words that begin alike.
type beginning struct {
	docs  *roaring.Bitmap // the documents that have one of them, if begins has these
	words []*posting      // or else the words
}

// beginning looks up the words that begin so.
func (v *vocabulary) beginning(start string) (b beginning) {
	if known := v.begins[start]; known != nil && known.docs != nil {
		b.docs = known.docs
		return b
	}
	for text := range v.sorted.from(v.sorted.search(v.before(start))) {
		if !bytes.HasPrefix(v.texts.bytes(text), []byte(start)) {
			break
		}
		b.words = append(b.words, v.lists.at(v.texts.tag(text)))
	}
	return b
}

// atMost returns how many documents have one of the words, if none has two.
func (b *beginning) atMost() (n int) {
	if b.docs != nil {
		return int(b.docs.GetCardinality())
	}
	for _, p := range b.words {
		n += p.len()
	}
	return n
}

// within returns the documents that have one of the words, of those in within
// if that is not nil; the caller must not change them.
func (b *beginning) within(within *roaring.Bitmap) *roaring.Bitmap {
	if b.docs != nil {
		if within == nil {
			return b.docs
		}
		return roaring.And(within, b.docs)
	}
	var few []uint32 // of the words with few documents, which are many
	all := roaring.New()
	for _, p := range b.words {
		switch {
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
