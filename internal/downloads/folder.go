package downloads

import (
	"errors"

	"lonja/internal/folder"
	"lonja/internal/incoming"
	"lonja/internal/tree"
	"lonja/internal/unfinished"
)

// removeFolder removes what has come of a folder and has no name yet, also of its big
// files, each of which has a hidden directory beside its place. Files that are whole stay.
func removeFolder(target string) error {
	if !incoming.IsBegun(target) {
		return nil
	}
	t, err := incoming.Open(target, false)
	if err != nil {
		return err
	}
	if err = removeBig(t); err == nil {
		err = t.Discard()
	}
	return errors.Join(err, t.Close())
}

// removeBig removes what has come of the big files, as far as there is a list of them
// that can be read.
func removeBig(t *incoming.Target) error {
	file, err := t.OpenList()
	if err != nil {
		return nil // nothing was begun
	}
	defer file.Close()
	list, names := folder.NewReader(file), t.Names()
	for {
		e, err := list.Next()
		if err != nil {
			return nil // its end, or one of which nothing was fetched
		}
		local := names.Local(e.Path)
		if !e.IsFile() || e.Size <= tree.PieceSize {
			continue
		}
		if _, err := t.Look(local); err != nil {
			continue // it cannot have been begun where no file can be
		}
		if err := unfinished.Remove(t.Path(local)); err != nil {
			return err
		}
	}
}
