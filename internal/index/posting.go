package index

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// maxList is the length from which a posting's list becomes a bitmap.
const maxList = 64

// A posting is the documents that have a word. Most words are in one document
// only, so one costs no memory of its own.
type posting struct {
	only uint32    // if it is one document
	more *postings // if there are more
}

// Postings are a sorted list or, once there is one, a bitmap. While loading the
// list then holds what the bitmap is to be given next.
type postings struct {
	list   []uint32
	bitmap *roaring.Bitmap
}

// append is add, while loading, of a document that comes after all that are
// there. It is many times as fast: bitmaps are given many at once.
func (p *posting) append(doc uint32) {
	switch m := p.more; {
	case p.only == 0 && m == nil:
		p.only = doc
	case m == nil:
		p.more = &postings{list: []uint32{p.only, doc}}
		p.only = 0
	default:
		if len(m.list) == maxList {
			if m.bitmap == nil {
				m.bitmap = roaring.New()
			}
			m.bitmap.AddMany(m.list)
			m.list = m.list[:0]
		}
		m.list = append(m.list, doc)
	}
}

// loaded ends the use of append.
func (p *posting) loaded() {
	if p.more != nil && p.more.bitmap != nil {
		p.more.bitmap.AddMany(p.more.list)
		p.more.bitmap.RunOptimize()
		p.more.list = nil
	}
}

func (p *posting) add(doc uint32) {
	switch m := p.more; {
	case p.only == 0 && m == nil:
		p.only = doc
	case m == nil:
		p.more = &postings{list: []uint32{min(p.only, doc), max(p.only, doc)}}
		p.only = 0
	case m.bitmap != nil:
		m.bitmap.Add(doc)
	case len(m.list) == maxList:
		m.bitmap = roaring.BitmapOf(m.list...)
		m.bitmap.Add(doc)
		m.list = nil
	default:
		at, _ := slices.BinarySearch(m.list, doc)
		m.list = slices.Insert(m.list, at, doc)
	}
}

// remove takes out a document that is there. What has been a bitmap stays one.
func (p *posting) remove(doc uint32) {
	switch m := p.more; {
	case m == nil:
		p.only = 0
	case m.bitmap != nil:
		m.bitmap.Remove(doc)
	default:
		if at, there := slices.BinarySearch(m.list, doc); there {
			m.list = slices.Delete(m.list, at, at+1)
		}
	}
}

func (p *posting) len() int {
	switch m := p.more; {
	case m == nil && p.only == 0:
		return 0
	case m == nil:
		return 1
	case m.bitmap != nil:
		return int(m.bitmap.GetCardinality())
	default:
		return len(m.list)
	}
}

// addTo adds the documents to b.
func (p *posting) addTo(b *roaring.Bitmap) {
	switch m := p.more; {
	case m == nil && p.only == 0:
	case m == nil:
		b.Add(p.only)
	case m.bitmap != nil:
		b.Or(m.bitmap)
	default:
		b.AddMany(m.list)
	}
}

// asBitmap returns the documents; the caller must not change it.
func (p *posting) asBitmap() *roaring.Bitmap {
	if p.more != nil && p.more.bitmap != nil {
		return p.more.bitmap
	}
	b := roaring.New()
	p.addTo(b)
	return b
}
