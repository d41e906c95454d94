//go:build !linux

package share

import (
	"io/fs"
	"os"
)

// statStraight tells what the path dir leads to if no part of it is a symbolic
// link.
func statStraight(dir string) (fs.FileInfo, error) { return statStepwise(dir) }

// openStraight opens a file of dir if no part of its path is a symbolic link.
func openStraight(dir, rel string) (*os.File, error) { return openStepwise(dir, rel) }
