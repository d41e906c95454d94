//go:build !linux

package unfinished

import (
	"errors"
	"os"
)

func reserve(*os.File, int64) error { return errors.ErrUnsupported }

func renameNew(*os.Root, string, *os.Root, string) error { return errors.ErrUnsupported }
