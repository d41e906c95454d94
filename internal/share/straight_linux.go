package share

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// statStraight tells what the path dir leads to if no part of it is a symbolic
// link, in one step of the system (openat2(2), RESOLVE_NO_SYMLINKS). Kernels
// before 5.6 do not know the call and some sandboxes forbid it.
func statStraight(dir string) (fs.FileInfo, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, dir, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
		return statStepwise(dir)
	case errors.Is(err, unix.ELOOP):
		return nil, errMoved
	case err != nil:
		return nil, err
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	return f.Stat()
}

// openStraight opens a regular file of dir if no part of its path is a symbolic
// link. It looks before it opens, because opening some devices has effects.
func openStraight(dir, rel string) (*os.File, error) {
	path := dir + "/" + rel
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: uint64(openFlags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_NO_SYMLINKS})
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
		return openStepwise(dir, rel)
	case errors.Is(err, unix.ELOOP):
		return nil, errMoved
	case err != nil:
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}
