package unfinished

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"lonja"
)

// Commit gives the content, of which all pieces are good, the name of the target,
// in one step for whoever looks, and waits until that is on the disk. Nothing of
// the File but the target is left then.
//
// After an error what is here is kept, and Commit may be called again: if the
// target exists now and is not to be replaced, the cause is fs.ErrExist. A file
// that was replaced is gone, though, if only its new name could not be brought to
// the disk.
func (f *File) Commit() error {
	if f.closed || f.committed {
		return f.failed("finish", fs.ErrClosed)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	// Not before: a sync that failed meanwhile may have lost some.
	if err := f.ledger.told(); err != nil {
		return f.failed("finish", err)
	}
	if missing := f.layout.Pieces() - f.ledger.count(); missing > 0 {
		return f.failed("finish", lonja.E(lonja.Internal, "", fmt.Errorf("%d pieces are missing", missing)))
	}
	if err := f.setMode(); err != nil {
		return f.failed("finish", err)
	}
	if err := f.appear(); err != nil {
		return f.failed("finish", err)
	}
	if err := f.syncDir(f.place.dir); err != nil {
		if f.place.takeBack(f.data) {
			return f.failed("finish", err)
		}
		err = fmt.Errorf("it is there, but may be lost if the power is cut now: %w", err)
		f.end()
		return f.failed("finish", err)
	}
	f.end()
	return nil
}

// end closes what is not needed any more of a File that has appeared.
func (f *File) end() {
	f.committed = true
	f.keeper.stop()
	f.syncing.Lock()
	defer f.syncing.Unlock()
	f.retired = true
	_ = f.record.file.Close()
	_ = f.place.clear()
	f.place.leave()
}

// takeBack takes the target's name from data again, so that it can appear once
// more: to wait again for the directory would be told that all is well (fsync(2),
// NOTES). False if the name stays.
func (p *place) takeBack(data *os.File) bool {
	ours, err := data.Stat()
	if err != nil {
		return false
	}
	there, err := p.dir.Lstat(p.base)
	return err == nil && os.SameFile(ours, there) && p.dir.Rename(p.base, p.hidden+"/"+dataName) == nil
}

// setMode gives the data the permissions of the finished file. In its directory
// nobody else gets at it yet.
func (f *File) setMode() error {
	perm := f.opts.Mode.Perm()
	if perm == 0 {
		if old, err := f.place.dir.Lstat(f.place.base); f.opts.Force && err == nil && old.Mode().IsRegular() {
			return f.data.Chmod(old.Mode().Perm())
		}
		perm = 0o666
	}
	perm, err := f.place.permissions(perm)
	if err != nil {
		return err
	}
	return f.data.Chmod(perm)
}

// appear moves the data to the target's name.
func (f *File) appear() error {
	p := f.place
	if f.opts.Force {
		return p.dir.Rename(p.hidden+"/"+dataName, p.base)
	}
	err := errors.ErrUnsupported
	if !f.opts.testOnlyNoRename {
		err = renameNew(p.part, dataName, p.dir, p.base)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		err = p.linkNew()
	}
	if errors.Is(err, fs.ErrExist) {
		return errExists
	}
	return err
}

// linkNew gives the data the target's name where no rename refuses to replace
// what has it: as a second name, before the first one goes. Where there are no
// second names either, whoever makes the target in this very moment loses it.
func (p *place) linkNew() error {
	data := p.hidden + "/" + dataName
	err := p.dir.Link(data, p.base)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := p.dir.Lstat(p.base); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fs.ErrExist)
	}
	return p.dir.Rename(data, p.base)
}

// Close syncs what is good and keeps it for the next Open. The error says what
// could not be kept. After Commit and Discard, and when called again, it only
// ends what is left to end.
func (f *File) Close() error {
	if f.closed {
		return nil
	}
	f.closed = true
	f.keeper.stop()
	var err error
	if !f.committed {
		err = f.Sync()
	}
	_ = f.retire(false)
	return err
}

// Discard removes all of it, and closes it. After Commit there is nothing to
// remove.
func (f *File) Discard() error {
	if f.closed || f.committed {
		return f.Close()
	}
	f.closed = true
	f.keeper.stop()
	if err := f.retire(true); err != nil {
		return f.failed("remove what was received of", err)
	}
	return nil
}

// retire closes everything, when no Sync is under way, and removes it or not.
func (f *File) retire(remove bool) (err error) {
	f.syncing.Lock()
	defer f.syncing.Unlock()
	f.retired = true
	f.closeFiles()
	if remove {
		err = f.place.clear()
	}
	f.place.close()
	return err
}

// closeFiles closes what is in the place, but the lock.
func (f *File) closeFiles() {
	if f.data != nil {
		_ = f.data.Close()
	}
	if f.record != nil {
		_ = f.record.file.Close()
	}
	if f.pages != nil {
		f.pages.close()
	}
	if f.doubts != nil {
		f.doubts.close()
	}
}
