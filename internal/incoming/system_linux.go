package incoming

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// syncAll waits until all that was written to the file system of dir is on the disk
// (syncfs(2)).
func syncAll(dir *os.File) error {
	return os.NewSyscallError("syncfs", unix.Syncfs(int(dir.Fd())))
}

// rename renames from one directory to another; without replace it is fs.ErrExist
// if the new name is taken. The error is errors.ErrUnsupported where the file system
// or the kernel cannot promise that (renameat2(2)).
func rename(from *os.File, old string, to *os.File, name string, replace bool) error {
	var flags uint = unix.RENAME_NOREPLACE
	if replace {
		flags = 0
	}
	err := unix.Renameat2(int(from.Fd()), old, int(to.Fd()), name, flags)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return errors.ErrUnsupported
	}
	return err
}

// clone has dst share the blocks of src, where the file system can (FICLONE).
func clone(dst, src *os.File) error { return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) }

// tryLock locks file until it is closed: ErrInUse if another opening of it has the
// lock.
func tryLock(file *os.File) error {
	switch err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
	case unix.EWOULDBLOCK:
		return ErrInUse
	default:
		return os.NewSyscallError("flock", err)
	}
}

// ours reports whether what info tells of belongs to who runs this.
func ours(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}

// room returns how many bytes, and how many files, a user may still have on the file
// system of dir; -1 files if it has no bound.
func room(dir *os.File) (bytes, files int64, err error) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &s); err != nil {
		return 0, 0, os.NewSyscallError("fstatfs", err)
	}
	if s.Blocks == 0 {
		return 0, 0, errors.ErrUnsupported
	}
	files = int64(s.Ffree)
	if s.Files == 0 {
		files = -1
	}
	return int64(s.Bavail) * s.Bsize, files, nil
}
