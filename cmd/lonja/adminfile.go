package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeWhole makes the file path of what write writes: whole and on disk, or
// not at all. What was there stays until then, and for ever without force.
func writeWhole(path string, force bool, write func(io.Writer) error) (err error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file that could be replaced: write to standard output", path)
	case !force:
		return existsError(path)
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600: it is everybody's data
	if err != nil {
		return err
	}
	defer func() {
		_ = file.Close()           // it is closed already if all went well,
		_ = os.Remove(file.Name()) // and has its own name then
	}()
	buffered := bufio.NewWriterSize(file, fileBuffer)
	if err := write(buffered); err != nil {
		return err
	}
	if err := errors.Join(buffered.Flush(), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := place(file.Name(), path, force); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

const fileBuffer = 256 << 10

// place gives the file temp the name path.
func place(temp, path string, force bool) error {
	if force {
		return os.Rename(temp, path)
	}
	err := os.Link(temp, path) // does not replace what somebody has made meanwhile
	if errors.Is(err, fs.ErrExist) {
		return existsError(path)
	}
	if err != nil { // a file system without links
		return os.Rename(temp, path)
	}
	return nil
}

func existsError(path string) error {
	return fmt.Errorf("%s exists: choose another name, or replace it with --force", path)
}
