//go:build darwin || linux

package unfinished

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// freeSpace returns how many bytes a user may still write to the file system of
// file. The error is errors.ErrUnsupported if that does not know.
func freeSpace(file *os.File) (int64, error) {
	var s unix.Statfs_t
	for {
		err := unix.Fstatfs(int(file.Fd()), &s)
		switch {
		case err == unix.EINTR:
			continue
		case err == nil && s.Blocks == 0:
			return 0, unix.ENOTSUP
		}
		return int64(s.Bavail) * int64(s.Bsize), err
	}
}

// allocated returns how many bytes of the disk a file has.
func allocated(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512 // stat(2), whatever the file system's blocks are
	}
	return 0
}
