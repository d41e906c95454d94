package tree

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"lonja"
)

// CheckPage reports whether hashes are the page p of a content, whose hash,
// from the page above or the FileID, is want. The error is of kind Untrusted.
func (l Layout) CheckPage(p Page, hashes []Hash, want Hash) error {
	if !l.Has(p) || len(hashes) != l.PageLen(p) {
		return mismatch("page %d of level %d, of %d hashes,", p.Index, p.Level, len(hashes))
	}
	top, _ := l.Top()
	if !Join(hashes, p == top).equal(want) {
		return mismatch("page %d of level %d", p.Index, p.Level)
	}
	return nil
}

// AppendPage appends a page in its form on the wire and on disk: the hashes,
// one after the other.
func AppendPage(b []byte, hashes []Hash) []byte {
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// ParsePage is the way back. The error is of kind Malformed if b is not some
// whole hashes, at least one and at most PageHashes.
func ParsePage(b []byte) ([]Hash, error) {
	if n := len(b); n == 0 || n%hashLen != 0 || n > PageHashes*hashLen {
		return nil, malformed(fmt.Errorf("a page of %d bytes", n))
	}
	hashes := make([]Hash, 0, len(b)/hashLen)
	for part := range slices.Chunk(b, hashLen) {
		hashes = append(hashes, Hash(part))
	}
	return hashes, nil
}

// AppendSize appends what an outboard begins with: the size of the content as 8
// bytes, the most significant one first.
func AppendSize(b []byte, l Layout) []byte { return binary.BigEndian.AppendUint64(b, uint64(l.size)) }

// ParseSize is the way back; it looks at the first 8 bytes of b. The error is
// of kind Malformed.
func ParseSize(b []byte) (Layout, error) {
	if len(b) < sizeLen {
		return Layout{}, malformed(errors.New("no size"))
	}
	size := binary.BigEndian.Uint64(b)
	if size > MaxSize {
		return Layout{}, malformed(fmt.Errorf("a size of %d", size))
	}
	return Layout{int64(size)}, nil
}

func malformed(cause error) error { return lonja.E(lonja.Malformed, "read a tree", cause) }
