package tree

import (
	"errors"
)

// groupChunks is how many chunks are joined at a time while a piece arrives:
// those of 64 KiB.
const groupChunks = 64

// A Hasher hashes one piece as it arrives, in parts of any size; 64 KiB at a
// time are fastest, while they are still in the processor's cache. It needs 7 KiB
// of memory and allocates none, so one Hasher is used for one piece after the other.
// The zero Hasher is to be Reset first; it is for one goroutine.
type Hasher struct {
	first  uint64 // the number of the piece's first chunk in the content
	chunks int    // hashed already
	joined int    // in groups
	loose  int    // in chunkCVs

	groups   [pieceChunks / groupChunks]cv
	chunkCVs [groupChunks]cv // of the last chunks, joined once more come

	held int // in buf
	buf  [wideSize]byte
}

// Reset prepares h for the piece with this number, counted from 0.
func (h *Hasher) Reset(piece int64) {
	h.first = uint64(piece) * pieceChunks
	h.chunks, h.joined, h.loose, h.held = 0, 0, 0, 0
}

// Len returns how many bytes of the piece were written.
func (h *Hasher) Len() int { return h.chunks*chunkSize + h.held }

var errPieceTooLong = errors.New("a piece is too long")

// Write adds to the piece. It fails, and adds nothing, only if that made the
// piece longer than PieceSize.
func (h *Hasher) Write(p []byte) (int, error) {
	n := len(p)
	if h.Len()+n > PieceSize {
		return 0, errPieceTooLong
	}
	if h.held > 0 {
		taken := copy(h.buf[h.held:], p)
		h.held += taken
		p = p[taken:]
		if h.held < wideSize {
			return n, nil
		}
		h.take(&h.buf, lanes)
		h.held = 0
	}
	for len(p) >= wideSize {
		h.take((*[wideSize]byte)(p), lanes)
		p = p[wideSize:]
	}
	h.held = copy(h.buf[:], p)
	return n, nil
}

// take hashes the first n chunks of block.
func (h *Hasher) take(block *[wideSize]byte, n int) {
	h.makeRoom()
	var out wide
	var rest cv
	hashChunks(block, uint64(n*chunkSize), h.first+uint64(h.chunks), 0, &iv, &out, &rest)
	for i := range n {
		out.get(i, &h.chunkCVs[h.loose+i])
	}
	h.loose += n
	h.chunks += n
}

// makeRoom joins the last chunks if they are a whole group. Not before more
// come: until then they may be all of a content.
func (h *Hasher) makeRoom() {
	if h.loose == groupChunks {
		h.groups[h.joined] = merge(h.chunkCVs[:], false)
		h.joined++
		h.loose = 0
	}
}

// Sum returns the hash of what was written as a piece of a content that has
// more than one. Afterwards h can only be Reset.
func (h *Hasher) Sum() Hash { return h.finish(false) }

// Root returns the hash of what was written as a content of its own, which is
// its FileID. Afterwards h can only be Reset.
func (h *Hasher) Root() Hash { return h.finish(true) }

func (h *Hasher) finish(whole bool) Hash {
	if h.chunks == 0 && h.held <= chunkSize {
		var last uint32
		if whole {
			last = flagRoot
		}
		return hashOf(hashLastChunk(h.buf[:h.held], h.first, last))
	}
	full, rest := h.held/chunkSize, h.held%chunkSize
	if full > 0 {
		h.take(&h.buf, full)
	}
	if rest > 0 {
		h.makeRoom()
		begin := full * chunkSize
		h.chunkCVs[h.loose] = hashLastChunk(h.buf[begin:begin+rest], h.first+uint64(h.chunks), 0)
		h.loose++
	}
	h.held = 0
	if h.joined == 0 {
		return hashOf(merge(h.chunkCVs[:h.loose], whole))
	}
	var all [len(h.groups)]cv
	n := copy(all[:], h.groups[:h.joined])
	all[n] = merge(h.chunkCVs[:h.loose], false)
	return hashOf(merge(all[:n+1], whole))
}
