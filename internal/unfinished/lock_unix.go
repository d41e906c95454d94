//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package unfinished

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryLock locks file until it is closed: ErrInUse if another opening of it, in
// this process or another, has the lock.
func tryLock(file *os.File) error {
	for {
		switch err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
		case unix.EINTR:
		case unix.EWOULDBLOCK:
			return ErrInUse
		default:
			return os.NewSyscallError("flock", err)
		}
	}
}

// oursOrOf reports whether what info tells of belongs to who runs this, or to
// the owner of above.
func oursOrOf(info, above fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	a, alsoOK := above.Sys().(*syscall.Stat_t)
	return ok && alsoOK && (int(s.Uid) == os.Geteuid() || s.Uid == a.Uid)
}
