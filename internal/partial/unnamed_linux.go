package partial

import (
	"errors"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// createUnnamed makes a file in dir that has no name (open(2), O_TMPFILE). The
// error is errors.ErrUnsupported where the file system or the kernel cannot,
// or where /proc, through which such a file gets a name later, is not there.
func createUnnamed(dir *os.Root, perm fs.FileMode) (*os.File, error) {
	f, err := dir.OpenFile(".", unix.O_TMPFILE|os.O_RDWR, perm)
	if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) {
		return nil, errors.ErrUnsupported // so say kernels that do not know the flag
	}
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(procPath(f)); err != nil {
		_ = f.Close()
		return nil, errors.ErrUnsupported
	}
	return f, nil
}

// reopenUnnamed opens the same file once more, with a position of its own.
func reopenUnnamed(f *os.File) (*os.File, error) {
	return os.OpenFile(procPath(f), os.O_RDWR, 0)
}

// linkUnnamed gives f a name in dir: fs.ErrExist if something has it already.
func linkUnnamed(f *os.File, dir *os.Root, name string) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	err = unix.Linkat(unix.AT_FDCWD, procPath(f), int(d.Fd()), name, unix.AT_SYMLINK_FOLLOW)
	return os.NewSyscallError("linkat", err)
}

func procPath(f *os.File) string {
	return "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
}
