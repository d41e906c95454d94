package share

import (
	"errors"

	"lonja"
)

// Recheck looks again at all that is published with that content, and at the folders
// with a file that has it. It withdraws what is another now, as size and time tell or
// hash, if it is not nil, and returns the names. What was only touched it remembers as
// it is, and it can be opened again. What cannot be opened stays: its disk may come
// back. Errors are of kind LocalFile: the next run may not know of it.
func (s *Set) Recheck(id lonja.FileID, hash Hash) (withdrawn []lonja.FileName, err error) {
	for _, i := range s.withContent(id) {
		if i.isFolder() { // its list is our own
			continue
		}
		f, _, openErr := i.open()
		if openErr != nil {
			continue
		}
		found := i.content.seen.judge(f, i.content.listing.Size, id, hash)
		_ = f.Close()
		var changeErr error
		switch {
		case found.changed:
			var gone bool
			if gone, changeErr = s.withdrawThis(i.content); gone {
				withdrawn = append(withdrawn, i.content.listing.Name)
			}
		case found.now.mark != 0:
			changeErr = s.keepSeen(i.content, found.now)
		}
		err = errors.Join(err, changeErr)
	}
	folders, folderErr := s.recheckFolders(id, hash)
	return append(withdrawn, folders...), errors.Join(err, folderErr)
}

// withdrawThis withdraws what was signed, unless something else has its name by
// now.
func (s *Set) withdrawThis(c *content) (gone bool, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if _, still := s.stillThis(c); !still {
		return false, nil
	}
	return true, s.removeNow(edit{name: c.listing.Name, item: item{withdrawn: true}})
}

// keepSeen remembers what the file of c is now. It counts also if the disk cannot be
// told.
func (s *Set) keepSeen(c *content, now seen) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	i, still := s.stillThis(c)
	if !still {
		return nil
	}
	next := *i.content
	next.seen = now
	edits := append(s.owed, edit{name: c.listing.Name, item: item{place: i.place, content: &next}})
	err := s.write(edits)
	s.apply(edits)
	return err
}

// stillThis returns what has the name of c, if that is c still. The caller holds
// changing.
func (s *Set) stillThis(c *content) (i item, still bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i = s.current[c.listing.Name]
	now := i.content
	return i, now != nil && now.listing.Proof.Signature == c.listing.Proof.Signature && now.seen == c.seen
}
