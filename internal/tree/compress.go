package tree

import (
	"encoding/binary"
	_ "unsafe" // for go:linkname

	_ "github.com/zeebo/blake3" // hash and compress are in it
)

// A cv is a chaining value in words, as the compression function has it.
type cv [8]uint32

// wide are eight chaining values side by side, word by word: what the vector
// instructions work on.
type wide [64]uint32

const lanes = 8

// The flags of the compression function (BLAKE3 specification, table 3).
const (
	flagChunkStart uint32 = 1 << iota
	flagChunkEnd
	flagParent
	flagRoot
)

const (
	blockSize = 64
	wideSize  = lanes * chunkSize
)

// iv is the key of the plain hash (table 1).
var iv = cv{
	0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
	0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
}

// hashChunks hashes up to eight chunks, each whole, at the start of input: the
// first one is chunk number counter of its content.
//
// These three are not exported by their module, which gives out hashes of whole
// contents only. docs/decisions/0011-blake3.md says why they are reached like
// this; should the module rename them, the build fails.
//
//go:noescape
//go:linkname hashChunks github.com/zeebo/blake3/internal/alg.HashF
func hashChunks(input *[wideSize]byte, length, counter uint64, flags uint32, key *cv, out *wide, rest *cv)

// hashParents hashes n pairs of chaining values.
//
//go:noescape
//go:linkname hashParents github.com/zeebo/blake3/internal/alg.HashP
func hashParents(left, right *wide, flags uint32, key *cv, out *wide, n int)

// compress is the compression function (section 2.2).
//
//go:noescape
//go:linkname compress github.com/zeebo/blake3/internal/alg.Compress
func compress(chain *cv, block *[16]uint32, counter uint64, length, flags uint32, out *[16]uint32)

func (h Hash) words() (c cv) {
	for i := range c {
		c[i] = binary.LittleEndian.Uint32(h[4*i:])
	}
	return c
}

func hashOf(c cv) (h Hash) {
	for i, w := range c {
		binary.LittleEndian.PutUint32(h[4*i:], w)
	}
	return h
}

// merge returns the chaining value above cvs, which it overwrites. Neighbours
// are joined level by level, and one without a neighbour goes up as it is: that
// is the tree of the specification, in which every left side is a full one. If
// cvs are all of a content, what is joined last is its root; a single one is
// returned as it is.
func merge(cvs []cv, whole bool) cv {
	for len(cvs) > 2 {
		cvs = mergeLevel(cvs)
	}
	if len(cvs) == 1 {
		return cvs[0]
	}
	flags := flagParent
	if whole {
		flags |= flagRoot
	}
	var block, out [16]uint32
	copy(block[:8], cvs[0][:])
	copy(block[8:], cvs[1][:])
	chain := iv
	compress(&chain, &block, 0, blockSize, flags, &out)
	return cv(out[:8])
}

// mergeLevel joins neighbours, eight pairs at a time, within cvs.
func mergeLevel(cvs []cv) []cv {
	var left, right, out wide
	pairs := len(cvs) / 2
	for first := 0; first < pairs; first += lanes {
		n := min(lanes, pairs-first)
		for i, pair := 0, cvs[2*first:]; i < n; i++ {
			left.set(i, &pair[2*i])
			right.set(i, &pair[2*i+1])
		}
		hashParents(&left, &right, flagParent, &iv, &out, n)
		for i, joined := 0, cvs[first:]; i < n; i++ {
			out.get(i, &joined[i])
		}
	}
	if len(cvs)%2 != 0 {
		cvs[pairs] = cvs[len(cvs)-1]
		pairs++
	}
	return cvs[:pairs]
}

func (w *wide) set(lane int, c *cv) {
	for i, word := range c {
		w[(lanes*i+lane)&63] = word
	}
}

func (w *wide) get(lane int, c *cv) {
	for i := range c {
		c[i] = w[(lanes*i+lane)&63]
	}
}

// hashLastChunk returns the chaining value of a chunk of at most chunkSize
// bytes; last is flagRoot if it is all of a content.
func hashLastChunk(chunk []byte, counter uint64, last uint32) cv {
	chain, flags := iv, flagChunkStart
	for {
		var bytes [blockSize]byte
		n := copy(bytes[:], chunk)
		chunk = chunk[n:]
		if len(chunk) == 0 {
			flags |= flagChunkEnd | last
		}
		var block, out [16]uint32
		for i := range block {
			block[i] = binary.LittleEndian.Uint32(bytes[4*i:])
		}
		compress(&chain, &block, counter, uint32(n), flags, &out)
		chain = cv(out[:8])
		if len(chunk) == 0 {
			return chain
		}
		flags = 0
	}
}
