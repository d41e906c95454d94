package inode

import (
	"io/fs"
	"syscall"
)

// Of returns the number of a file on its file system, and when its content, its
// permissions or its names were changed last, in nanoseconds since 1970: a time that
// programs cannot set (st_ctim, inode(7)). Both are 0 if the system does not tell.
func Of(info fs.FileInfo) (number uint64, changed int64) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0
	}
	return s.Ino, s.Ctim.Nano()
}
