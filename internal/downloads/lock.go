package downloads

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const lockName = "lock"

// tryLock locks a download until the file is closed; nil if somebody else has it.
// Locks are taken, tried and given up only while the list is locked: otherwise one
// that is only tried would look taken.
func tryLock(dir string, create int) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|create, 0o600)
	if err != nil {
		return nil, failed("lock a download", err)
	}
	for {
		switch err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
		case nil:
			return file, nil
		case unix.EINTR:
		case unix.EWOULDBLOCK:
			return nil, file.Close()
		default:
			_ = file.Close()
			return nil, failed("lock a download", os.NewSyscallError("flock", err))
		}
	}
}

// isHeld reports whether somebody fetches a download.
func isHeld(dir string) (bool, error) {
	file, err := tryLock(dir, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || file == nil {
		return err == nil, err
	}
	return false, file.Close()
}
