//go:build !linux

package partial

import (
	"errors"
	"io/fs"
	"os"
)

// Only Linux has files without a name that can get one later.

func createUnnamed(*os.Root, fs.FileMode) (*os.File, error) { return nil, errors.ErrUnsupported }

func reopenUnnamed(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

func linkUnnamed(*os.File, *os.Root, string) error { return errors.ErrUnsupported }
