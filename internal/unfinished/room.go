package unfinished

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// makeRoom reserves the space for what is missing, so that a disk that somebody
// else fills does not stop the download. Where the file system cannot, the files
// are as long as they will be, with holes.
func (f *File) makeRoom() error {
	missing, err := f.missing()
	if err != nil {
		return err
	}
	free, err := freeSpace(f.data)
	if err == nil && missing > free {
		return &noRoomError{missing, free}
	}
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	for file, size := range map[*os.File]int64{f.data: f.opts.Size, f.record.file: 2 * slotLen(f.layout)} {
		err := errors.ErrUnsupported
		if !f.opts.testOnlySparse {
			err = reserve(file, size)
		}
		if errors.Is(err, errors.ErrUnsupported) {
			err = file.Truncate(size)
		}
		if isFull(err) {
			return &noRoomError{missing, free}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// missing returns how many bytes the files still take of the disk.
func (f *File) missing() (int64, error) {
	missing := int64(0)
	add := func(info os.FileInfo, size int64) { missing += max(0, size-allocated(info)) }
	data, err := f.data.Stat()
	if err != nil {
		return 0, err
	}
	add(data, f.opts.Size)
	record, err := f.record.file.Stat()
	if err != nil {
		return 0, err
	}
	add(record, 2*slotLen(f.layout))
	if pages, err := f.place.part.Lstat(treeName); err == nil {
		add(pages, f.layout.OutboardSize())
	} else {
		missing += f.layout.OutboardSize()
	}
	return missing, nil
}

// A noRoomError says that the disk has too little space left.
type noRoomError struct{ missing, free int64 } // in bytes

func (e *noRoomError) Error() string {
	return fmt.Sprintf("%s are needed on its disk and %s are free; make some room or take another disk", amount(e.missing), amount(e.free))
}

func (e *noRoomError) Unwrap() error { return syscall.ENOSPC }

// amount returns a number of bytes as people say it.
func amount(n int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(n)/1024, 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}
