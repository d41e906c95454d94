// Package tree knows contents by their BLAKE3 hash: the FileID, the same that
// b3sum prints.
//
// BLAKE3 is the root of a binary tree over chunks of 1 KiB
// (https://github.com/BLAKE3-team/BLAKE3-specs, section 2.1). A piece is
// PieceSize bytes, and so a whole subtree of it: the hash of a piece is the
// chaining value of that subtree, and every piece can be checked against the
// FileID by way of the hashes above it. A content of at most one piece, an
// empty one too, is one piece whose hash is the FileID.
//
// The hashes of the pieces lie in pages of PageHashes. A page again stands for
// a subtree, its hash stands in the page above, and the topmost is checked
// against the FileID: so each page can be checked when it comes, in any order
// from the top down, and no content is too big to be held a page at a time.
// Layout says which pages there are; a Builder makes them, an Outboard reads
// them. Tree is for contents that are small enough to have all in memory.
//
// The package does no input or output of its own. Package hashing reads files
// through it, swarm checks what arrives.
package tree

import (
	"crypto/subtle"
	"encoding/hex"
	"fmt"

	"lonja"
)

// PieceSize is the size of every piece but the last, in bytes.
const PieceSize = 1 << 20

// PageHashes is how many hashes are in every page but the last of its level.
const PageHashes = 1 << pageBits

const (
	pageBits    = 10
	chunkSize   = 1 << 10
	pieceChunks = PieceSize / chunkSize
)

// MaxSize bounds the size of a content, in bytes: 1 PiB.
const MaxSize = 1 << 50

// A Hash is the hash of a piece or of a page: the chaining value of a subtree
// or, where it is the whole tree, the FileID.
type Hash [32]byte

// String returns the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

func (h Hash) equal(other Hash) bool { return subtle.ConstantTimeCompare(h[:], other[:]) == 1 }

// Sum returns the FileID of a content of at most PieceSize bytes, which is what
// it panics about otherwise.
func Sum(content []byte) lonja.FileID {
	var h Hasher
	h.Reset(0)
	if _, err := h.Write(content); err != nil {
		panic(err)
	}
	return lonja.FileID(h.Root())
}

// Join returns the hash of what hashes, of neighbours on one level, stand for
// together; if that is a whole content, it is the FileID. There is at least one.
// It keeps nothing of hashes and does not change them.
func Join(hashes []Hash, whole bool) Hash {
	cvs := make([]cv, len(hashes))
	for i, h := range hashes {
		cvs[i] = h.words()
	}
	return hashOf(merge(cvs, whole))
}

// mismatch is the error for what is not what its hash says.
func mismatch(what string, args ...any) error {
	return lonja.E(lonja.Untrusted, "check", fmt.Errorf(what+" is not what its hash says", args...))
}
