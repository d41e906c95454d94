package share

import (
	"fmt"
	"os"

	"lonja"
)

// OpenLocal opens the file at path, which the person at this machine has named,
// for reading: to hash it, say. It must be a regular file; a symbolic link to
// one does, but not one that leads out of the directory it is in: what Add
// takes, and nothing else. It never waits, not for the writer of a FIFO either.
// The caller closes it.
//
// The error is of kind Invalid for what cannot be published, as Add's is.
func OpenLocal(path string) (*os.File, error) {
	where, err := placeOf(path)
	if err != nil {
		return nil, openFailed(path, err)
	}
	f, _, err := where.open()
	if err != nil {
		return nil, openFailed(path, err)
	}
	return f, nil
}

func openFailed(path string, cause error) error {
	return lonja.E(lonja.Invalid, "open", fmt.Errorf("%s: %w", lonja.Printable(path), cause))
}
