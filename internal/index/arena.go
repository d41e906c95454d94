package index

import "encoding/binary"

// Texts have at most maxText bytes: the length takes one.
const maxText = 255

// An arena's bytes are in chunks; a record begins at a multiple of grain.
const (
	chunkSize = 1 << 16
	grain     = 4
	perChunk  = chunkSize / grain
	header    = 5 // of a record: a tag of 4 bytes, then the text's length
)

// An arena keeps texts, each with a number that its user may set. A million of
// them are a few thousand objects to the garbage collector, and one costs no
// more than its bytes and the header. Texts never move: a text is known by its
// place, which is never 0.
type arena struct {
	chunks [][]byte
	free   [(header+maxText+grain-1)/grain + 1][]uint32 // places that were given back, by size in grains
	count  int
}

func grains(length int) int { return (header + length + grain - 1) / grain }

func (a *arena) record(place uint32) []byte {
	return a.chunks[place/perChunk][place%perChunk*grain : chunkSize]
}

// bytes returns the text at place: good until it is dropped, and not to be
// changed.
func (a *arena) bytes(place uint32) []byte {
	r := a.record(place)
	return r[header : header+int(r[header-1])]
}

func (a *arena) tag(place uint32) uint32 { return binary.LittleEndian.Uint32(a.record(place)) }

func (a *arena) setTag(place, tag uint32) { binary.LittleEndian.PutUint32(a.record(place), tag) }

// keep copies s, of up to maxText bytes, and returns its place. The tag is 0.
func (a *arena) keep(s string) (place uint32) {
	if len(s) > maxText {
		panic("index: a text is longer than names and descriptions can be")
	}
	size := grains(len(s))
	if free := a.free[size]; len(free) > 0 {
		place = free[len(free)-1]
		a.free[size] = free[:len(free)-1]
	} else {
		place = a.extend(size)
	}
	r := a.record(place)
	binary.LittleEndian.PutUint32(r, 0)
	r[header-1] = byte(len(s))
	copy(r[header:], s)
	a.count++
	return place
}

// drop gives the place back.
func (a *arena) drop(place uint32) {
	size := grains(len(a.bytes(place)))
	a.free[size] = append(a.free[size], place)
	a.count--
}

// extend takes space at the end of the last chunk, or of a new one.
func (a *arena) extend(size int) uint32 {
	last := len(a.chunks) - 1
	if last < 0 || len(a.chunks[last])+size*grain > chunkSize {
		a.chunks = append(a.chunks, make([]byte, 0, chunkSize))
		last++
		if last == 0 {
			a.chunks[0] = a.chunks[0][:grain] // place 0 is nobody's
		}
	}
	used := len(a.chunks[last])
	a.chunks[last] = a.chunks[last][:used+size*grain]
	return uint32(last*perChunk + used/grain)
}
