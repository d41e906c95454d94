package share

import (
	"fmt"
	"os"
	"path/filepath"

	"lonja"
)

// OpenLocal opens the file at path, which the person at this machine has named,
// for reading: to hash it, say. It opens what Add takes, and nothing else: the
// path is absolute, and a symbolic link must not lead out of the directory that
// it is in. It never waits, not for the writer of a FIFO either. The caller
// closes the file.
//
// The error is of kind Invalid for what cannot be published, as Add's is.
func OpenLocal(path string) (*os.File, error) {
	f, err := openLocal(path)
	if err != nil {
		return nil, lonja.E(lonja.Invalid, "open", fmt.Errorf("%s: %w", lonja.Printable(path), err))
	}
	return f, nil
}

func openLocal(path string) (*os.File, error) {
	if climbs(path) {
		return nil, errClimbs
	}
	if !filepath.IsAbs(path) {
		return nil, errNotAbsolute
	}
	where, err := splitReal(path)
	if err != nil {
		return nil, err
	}
	f, _, err := where.open()
	return f, err
}
