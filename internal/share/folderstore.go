package share

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lonja"
)

// The lists of folders are kept in a directory beside the records, for each a file
// with the list and one with what its entries were when they were hashed: seenMagic,
// and for each the time at which it was changed last and its mark, 8 bytes each,
// big-endian. Before there were marks, the times were all that it had. They are written
// once, before the record names them; only marks change later.
const (
	foldersName = "folders"
	draftPrefix = "draft-"
	listEnding  = ".list"
	seenEnding  = ".seen"
	seenMagic   = "lonja\x00s2"
)

// errForgetful is why a Set in memory has no folders.
var errForgetful = errors.New("there is no place to remember it")

func (s *store) foldersDir() string { return filepath.Join(s.dir, foldersName) }

// folderPrefix is what the files of this record begin with: others are in the same
// directory.
func (s *store) folderPrefix() string {
	return strings.TrimSuffix(strings.TrimPrefix(s.key.fileName(), "published-"), ".json") + "-"
}

func (s *store) folderPath(id lonja.FileID, ending string) string {
	return filepath.Join(s.foldersDir(), s.folderPrefix()+id.String()+ending)
}

// keepFolder keeps the list of a draft, whose id that is.
func (s *store) keepFolder(d *Draft, id lonja.FileID) error {
	if s == nil {
		return errForgetful
	}
	for f, ending := range map[*os.File]string{d.list: listEnding, d.seen: seenEnding} {
		if err := errors.Join(f.Sync(), os.Rename(f.Name(), s.folderPath(id, ending))); err != nil {
			return err
		}
	}
	dir, err := os.Open(s.foldersDir())
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// leftoverAge is how old a list is that was left over: another process may be about
// to record a younger one.
const leftoverAge = 24 * time.Hour

// tidyFolders removes the lists of folders that are published no more, and what
// was left of drafts. It is not worth an error.
func (s *store) tidyFolders(published []item) {
	if s == nil {
		return
	}
	keep := make(map[string]bool)
	for _, i := range published {
		for _, ending := range []string{listEnding, seenEnding} {
			keep[filepath.Base(s.folderPath(i.content.listing.Proof.File, ending))] = true
		}
	}
	entries, err := os.ReadDir(s.foldersDir())
	if err != nil {
		return
	}
	for _, e := range entries {
		ours := strings.HasPrefix(e.Name(), s.folderPrefix()) || strings.HasPrefix(e.Name(), draftPrefix)
		info, err := e.Info()
		if ours && !keep[e.Name()] && err == nil && time.Since(info.ModTime()) > leftoverAge {
			_ = os.Remove(filepath.Join(s.foldersDir(), e.Name()))
		}
	}
}
