package unfinished

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reserve has the file size bytes long, and space for all of them. The error is
// errors.ErrUnsupported where the file system cannot (fallocate(2)).
func reserve(file *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	for {
		err := unix.Fallocate(int(file.Fd()), 0, 0, size)
		if err != unix.EINTR {
			return os.NewSyscallError("fallocate", err)
		}
	}
}

// renameNew renames unless there is something of the new name: fs.ErrExist. The
// error is errors.ErrUnsupported where the file system or the kernel cannot
// promise that (renameat2(2), RENAME_NOREPLACE).
func renameNew(from *os.Root, old string, to *os.Root, name string) error {
	source, err := from.Open(".")
	if err != nil {
		return err
	}
	defer source.Close()
	dest, err := to.Open(".")
	if err != nil {
		return err
	}
	defer dest.Close()
	err = unix.Renameat2(int(source.Fd()), old, int(dest.Fd()), name, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) { // the file system's answer, and a sandbox's
		return errors.ErrUnsupported
	}
	return err
}
