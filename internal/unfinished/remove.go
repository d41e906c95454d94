package unfinished

import (
	"errors"
	"io/fs"
	"os"

	"lonja"
)

// Remove removes what was begun for target, whatever content it is of; it is no
// error if there is nothing. The target itself stays as it is. The error is of kind
// LocalFile, with the cause ErrInUse while a File has that target.
func Remove(target string) error {
	f := &File{target: target}
	dir, base, err := openDir(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return lonja.E(lonja.LocalFile, "remove", err)
	}
	p := &place{dir: dir, base: base, hidden: hiddenName(base)}
	defer p.close()
	ours, err := p.tryLock(os.O_CREATE)
	if err == nil && ours {
		err = p.clear()
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return f.failed("remove what was received of", err)
}
