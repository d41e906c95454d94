// Package inode tells more of a file than its size and its time, which a copy can
// have too: which file it is, and when anything of it was changed.
//
// It asks no file system: others have asked. Packages hashing, share and fileserver
// use it to notice that a file may be another than the one that was hashed.
package inode

import (
	"encoding/binary"
	"io/fs"

	"github.com/cespare/xxhash/v2"
)

// Mark returns a number that stands for which file of its file system info is of, and
// for when anything of it was changed: as long as it is the same, and size and time
// are, so is the content. Another one says nothing: the file may have got other
// permissions, or another name. It is 0 if the system does not tell, and only then.
//
// A mark is for accidents: it has 64 bits, and is not made to withstand anybody.
func Mark(info fs.FileInfo) uint64 {
	number, changed := Of(info)
	if number == 0 && changed == 0 {
		return 0
	}
	b := binary.BigEndian.AppendUint64(nil, number)
	return max(1, xxhash.Sum64(binary.BigEndian.AppendUint64(b, uint64(changed))))
}
