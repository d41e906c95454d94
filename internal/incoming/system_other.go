//go:build !linux

package incoming

import (
	"errors"
	"io/fs"
	"os"
)

// syncAll cannot wait for a whole file system here: what is lost in a power cut is
// found out by its hash when the folder is fetched again.
func syncAll(dir *os.File) error { return dir.Sync() }

func rename(*os.File, string, *os.File, string, bool) error { return errors.ErrUnsupported }

func clone(_, _ *os.File) error { return errors.ErrUnsupported }

// tryLock does nothing here: two processes that receive to one directory at once do
// double work.
func tryLock(*os.File) error { return nil }

func ours(fs.FileInfo) bool { return true }

func room(*os.File) (bytes, files int64, err error) { return 0, 0, errors.ErrUnsupported }
