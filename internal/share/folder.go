package share

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"lonja"
	"lonja/internal/folder"
)

// OfferFolder publishes the directory that was looked through under the name of a
// listing with a Proof, which is that of a folder and names the list; otherwise it
// is as Offer. The Draft is of no use afterwards but to be closed.
func (s *Set) OfferFolder(d *Draft, o Offering) error {
	listing := o.Listing
	bad := func(text string) error {
		return &lonja.Error{Kind: lonja.Invalid, Op: "publish", File: listing.Name, Err: errors.New(text)}
	}
	switch {
	case listing.Folder() == nil:
		return bad("it is not signed as a folder")
	case listing.Folder().ListSize != d.size || listing.Folder().Files != d.Totals.Files || listing.Size != d.Totals.Bytes:
		return bad("another folder is signed")
	case climbs(string(listing.Name)):
		return bad(errClimbs.Error())
	}
	if err := s.store.keepFolder(d, listing.Proof.File); err != nil {
		return lonja.E(lonja.LocalFile, "keep the list of a folder", err)
	}
	s.forgetTree(listing.Proof.File)
	signed := &content{listing: listing, known: slices.Clone(o.Known)}
	err := s.add(edit{name: listing.Name, item: item{place: d.place, content: signed}})
	s.store.tidyFolders(s.folders())
	return err
}

// isFolder reports whether the item is a folder.
func (i item) isFolder() bool { return i.content != nil && i.content.listing.Folder() != nil }

// folders returns the folders that are published, in the order of their names.
func (s *Set) folders() []item {
	s.refresh()
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := make([]item, 0, len(s.signed.folders))
	for name := range s.signed.folders {
		found = append(found, s.current[name])
	}
	slices.SortFunc(found, func(a, b item) int {
		return folder.Compare(string(a.content.listing.Name), string(b.content.listing.Name))
	})
	return found
}

// openList opens the list of a folder.
func (s *Set) openList(c *content) (*os.File, int64, error) {
	if s.store == nil {
		return nil, 0, fs.ErrNotExist
	}
	list, err := os.Open(s.store.folderPath(c.listing.Proof.File, listEnding))
	if err != nil {
		return nil, 0, plainCause(err)
	}
	info, err := list.Stat()
	if err == nil && info.Size() != c.listing.Folder().ListSize {
		err = errors.New("the list of the folder is damaged: publish it again")
	}
	if err != nil {
		_ = list.Close()
		return nil, 0, err
	}
	return list, info.Size(), nil
}

// openInFolders opens a file with that content that is in a published folder, for
// member. Errors are as for OpenContent.
func (s *Set) openInFolders(id lonja.FileID, member lonja.Member, follows Follows) (f *os.File, size int64, err error) {
	err = &lonja.Error{Kind: lonja.NoSuchFile, Op: "open"}
	for _, i := range s.folders() {
		if !s.mayHave(i, id) || !i.content.isFor(s.owner, member, follows) {
			continue
		}
		f, size, openErr := s.openInFolder(i, id)
		if openErr == nil {
			return f, size, nil
		}
		err = openErr
	}
	return nil, 0, err
}

// mayHave reports whether a folder is worth a look for a content.
func (s *Set) mayHave(i item, id lonja.FileID) bool {
	t, err := s.tree(i.content)
	return err == nil && t.mayHave(id)
}

// openInFolder opens a file with that content that is in the folder i. What another
// process has published anew is looked up there.
func (s *Set) openInFolder(i item, id lonja.FileID) (f *os.File, size int64, err error) {
	f, size, err = s.openAsSeen(i, id)
	if err != nil && lonja.KindOf(err) != lonja.NoSuchFile && s.dropOutdated(i.content) {
		f, size, err = s.openAsSeen(i, id)
	}
	return f, size, err
}

func (s *Set) openAsSeen(i item, id lonja.FileID) (f *os.File, size int64, err error) {
	name := i.content.listing.Name
	err = &lonja.Error{Kind: lonja.NoSuchFile, Op: "open"}
	findErr := s.eachWith(i, id, func(e treeFile) bool {
		opened, info, openErr := i.place.openWithin(e.Path)
		like := another
		if openErr == nil {
			if like = e.seen.compare(info, e.Size); like == same {
				f, size, err = opened, info.Size(), nil
				return false
			}
			_ = opened.Close()
		}
		switch {
		case errors.Is(err, ErrTouched): // that can be found out
		case openErr != nil:
			err = openFailed(name, openErr)
		default:
			err = like.err(name)
		}
		return true
	})
	if findErr != nil {
		return nil, 0, openFailed(name, findErr)
	}
	return f, size, err
}

// eachWith calls each with the files in a folder that have that content, until each
// returns false.
func (s *Set) eachWith(i item, id lonja.FileID, each func(treeFile) bool) error {
	t, err := s.tree(i.content)
	if err != nil {
		return err
	}
	return t.find(id, func(offset int64) ([]folder.Entry, error) { return s.readBlock(i.content, offset) }, each)
}

// readBlock reads the entries of a block of a folder's list, which begins there.
func (s *Set) readBlock(c *content, offset int64) ([]folder.Entry, error) {
	list, _, err := s.openList(c)
	if err != nil {
		return nil, err
	}
	defer list.Close()
	entries := make([]folder.Entry, 0, folder.BlockEntries)
	err = folder.ReadBlock(list, offset, func(e folder.Entry) error {
		entries = append(entries, e)
		return nil
	})
	return entries, err
}

// recheckFolders is Recheck for folders in which a file has that content.
func (s *Set) recheckFolders(id lonja.FileID, hash Hash) (withdrawn []lonja.FileName, err error) {
	for _, i := range s.folders() {
		s.dropOutdated(i.content)
		if !s.mayHave(i, id) {
			continue
		}
		changed, changeErr := s.recheckFolder(i, id, hash)
		if changed {
			var gone bool
			if gone, changeErr = s.withdrawThis(i.content); gone {
				withdrawn = append(withdrawn, i.content.listing.Name)
			}
		}
		err = errors.Join(err, changeErr)
	}
	return withdrawn, err
}

// recheckFolder reports whether a file of a folder is another now that had that content.
func (s *Set) recheckFolder(i item, id lonja.FileID, hash Hash) (changed bool, err error) {
	findErr := s.eachWith(i, id, func(e treeFile) bool {
		f, _, openErr := i.place.openWithin(e.Path)
		if openErr != nil {
			return true
		}
		defer f.Close()
		found := e.seen.judge(f, e.Size, id, hash)
		if changed = found.changed; found.now.mark != 0 {
			err = errors.Join(err, s.keepMark(i.content, e.number, found.now.mark))
		}
		return !changed
	})
	return findErr == nil && changed, err
}

// openWithin opens a file of the directory that p is, whose path there is rel, for
// reading if it is a regular one and no part of its path is a symbolic link.
func (p place) openWithin(rel string) (*os.File, fs.FileInfo, error) {
	if folder.CheckPath(rel) != nil || !filepath.IsLocal(filepath.FromSlash(rel)) {
		return nil, nil, errClimbs
	}
	f, err := openStraight(p.path(), rel)
	if err != nil {
		return nil, nil, plainCause(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, plainCause(err)
	}
	return f, info, nil
}

// openStepwise is openStraight without the help of the system.
func openStepwise(dir, rel string) (*os.File, error) {
	if real, err := filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	} else if real != dir {
		return nil, errMoved
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	for at, c := range rel {
		if c != '/' {
			continue
		}
		if info, err := root.Lstat(rel[:at]); err != nil {
			return nil, err
		} else if !info.IsDir() {
			return nil, errMoved
		}
	}
	info, err := root.Lstat(rel)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := root.OpenFile(rel, openFlags, 0)
	if err != nil {
		return nil, fmt.Errorf("%w", plainCause(err))
	}
	return f, nil
}
