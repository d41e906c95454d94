package sqlitestore

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// forgetCache has the kernel drop what it remembers of the files and is not
// waiting to be written: content, and where it stands on the disk.
//
// After a write to a new block failed, ext4 holds the block for written. What
// is written there later is synced with success, and reads as zeros after the
// next mount. Forgotten, it is looked up anew.
func forgetCache(files ...*os.File) error {
	var errs []error
	for _, file := range files {
		errs = append(errs, unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED))
	}
	return errors.Join(errs...)
}
