//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package share

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock waits until no other process, and no other opening of dir in this one,
// holds the lock. Closing dir releases it.
func lock(dir *os.File) error {
	for {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			return err
		}
	}
}
