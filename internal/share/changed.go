package share

import (
	"errors"
	"os"

	"lonja"
)

// WithdrawChanged is Withdraw for all that is published with that content, folders
// with a file that has it among them, and whose file is another now, as its size and its time tell or, if it is not nil,
// differs says. It returns the names. What cannot be opened stays: its disk may come
// back. Errors are those of Remove.
func (s *Set) WithdrawChanged(id lonja.FileID, differs func(*os.File) bool) (names []lonja.FileName, err error) {
	for _, i := range s.withContent(id) {
		if i.isFolder() || !i.hasChanged(differs) { // the list of a folder is our own
			continue
		}
		gone, removeErr := s.withdrawThis(i.content)
		if gone {
			names = append(names, i.content.listing.Name)
		}
		err = errors.Join(err, removeErr)
	}
	folders, folderErr := s.withdrawChangedFolders(id, differs)
	return append(names, folders...), errors.Join(err, folderErr)
}

// hasChanged reports whether the file can be opened and is another than was
// published.
func (i item) hasChanged(differs func(*os.File) bool) bool {
	f, _, err := i.open()
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && (!i.content.is(info) || differs != nil && differs(f))
}

// withdrawThis withdraws what was signed, unless something else has its name by
// now.
func (s *Set) withdrawThis(c *content) (gone bool, err error) {
	name := c.listing.Name
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.RLock()
	now := s.current[name].content
	s.mu.RUnlock()
	if now == nil || now.listing.Proof.Signature != c.listing.Proof.Signature || now.modified != c.modified {
		return false, nil
	}
	return true, s.removeNow(edit{name: name, item: item{withdrawn: true}})
}
