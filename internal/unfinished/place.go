package unfinished

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"lonja/internal/tree"
)

// The files in the hidden directory.
const (
	dataName   = "data"
	recordName = "record"
	treeName   = "tree"
	lockName   = "lock"
	modeName   = "mode" // for a moment
)

// A place is where one File lives: the directory of the target and the hidden
// one in it. Both are held, so that renaming them meanwhile does no harm.
type place struct {
	dir    *os.Root
	base   string // the target's name in dir
	hidden string // the name of part in dir
	part   *os.Root
	lock   *os.File // nobody else has the place while it is locked
}

// openDir opens the directory of target, and returns target's name there.
func openDir(target string) (dir *os.Root, base string, err error) {
	path, base := filepath.Split(target)
	if base == "" || base == "." || base == ".." {
		return nil, "", errors.New("it names a directory")
	}
	if path == "" {
		path = "."
	}
	// The final "." makes this fail at once where a FIFO took the place of
	// the directory; without it, opening would wait for a writer.
	dir, err = os.OpenRoot(path + string(filepath.Separator) + ".")
	return dir, base, err
}

// maxBase is how much of the target's name a hidden name has: with what is added
// it stays within the 255 bytes that file systems take.
const maxBase = 200

// hiddenName returns the name of the hidden directory for a target called base.
// No two bases have the same: those that are too long are told apart by a hash,
// and are longer than those that are not.
func hiddenName(base string) string {
	if len(base) > maxBase {
		end := maxBase
		for !utf8.RuneStart(base[end]) && end > maxBase-utf8.UTFMax {
			end--
		}
		sum := tree.Sum([]byte(base))
		base = base[:end] + "~" + hex.EncodeToString(sum[:8])
	}
	return "." + base + ".lonja-part"
}

// claim makes the place of target if need be and locks it.
func claim(target string, force bool) (_ *place, err error) {
	p := &place{}
	if p.dir, p.base, err = openDir(target); err != nil {
		return nil, err
	}
	p.hidden = hiddenName(p.base)
	if err := p.inspect(target, force); err != nil {
		p.tidy()
		p.close()
		return nil, err
	}
	if err := p.take(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// inspect returns an error if what stands under the target's name may not be
// replaced.
func (p *place) inspect(target string, force bool) error {
	info, err := p.dir.Lstat(p.base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0 && force:
		if info, err = os.Stat(target); err != nil {
			return nil // to nothing: the link goes
		}
	}
	switch {
	case info.IsDir():
		return existsError("it is a directory; take another name")
	case !force:
		return errExists
	case !info.Mode().IsRegular():
		return existsError("it is not a regular file; take another name")
	}
	return nil
}

// An existsError is why a target is refused. It is fs.ErrExist.
type existsError string

func (e existsError) Error() string { return string(e) }
func (e existsError) Unwrap() error { return fs.ErrExist }

const errExists = existsError("it exists already; take another name, or --force to replace it")

// take locks the hidden directory, which it makes if need be. Whoever had it may
// be removing it just now: then it is made again.
func (p *place) take() error {
	const tries = 100 // each fails only because another process went on
	for range tries {
		err := p.dir.Mkdir(p.hidden, 0o700)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		ours, err := p.tryLock(os.O_CREATE)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if ours {
			return nil
		}
	}
	return ErrInUse
}

// tryLock locks the hidden directory. False if it was removed meanwhile.
func (p *place) tryLock(create int) (ours bool, err error) {
	defer func() {
		if !ours {
			p.leave()
		}
	}()
	info, err := p.dir.Lstat(p.hidden)
	if err != nil {
		return false, err
	}
	if !info.IsDir() {
		return false, fmt.Errorf("%s, where it would be kept, is not a directory", p.hidden)
	}
	if p.part, err = p.dir.OpenRoot(p.hidden); err != nil {
		return false, err
	}
	if same, err := p.checkOwner(info); err != nil || !same {
		return false, err
	}
	if p.lock, err = p.part.OpenFile(lockName, os.O_RDWR|create, 0o600); err != nil {
		return false, err
	}
	if err := tryLock(p.lock); err != nil {
		return false, err
	}
	held, err := p.lock.Stat()
	if err != nil {
		return false, err
	}
	there, err := p.dir.Lstat(p.hidden + "/" + lockName)
	return err == nil && os.SameFile(held, there), err
}

// checkOwner refuses a hidden directory that somebody else made, who could say
// that pieces are good which are not. Who owns the target's directory is above
// that, and on some file systems owns everything in it. False if what was opened
// is not hidden.
func (p *place) checkOwner(hidden fs.FileInfo) (same bool, err error) {
	opened, err := p.part.Stat(".")
	if err != nil || !os.SameFile(hidden, opened) {
		return false, err
	}
	above, err := p.dir.Stat(".")
	if err != nil {
		return false, err
	}
	if !oursOrOf(opened, above) {
		return false, fmt.Errorf("%s, where it would be kept, belongs to another user; remove it or take another directory", p.hidden)
	}
	return true, nil
}

// empty removes what is in the place but the lock, and waits until that is on
// disk: no old record may come back beside new data.
func (p *place) empty() error {
	removed := false
	for _, name := range []string{recordName, dataName, treeName, doubtfulName, modeName} {
		switch err := p.part.Remove(name); {
		case err == nil:
			removed = true
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	if !removed {
		return nil
	}
	return syncDir(p.part)
}

// clear removes the place, whose files but the lock are closed. Nothing but names
// that the package gives is removed: as soon as the lock's is gone, another process
// may make the place its own.
func (p *place) clear() (err error) {
	for _, name := range []string{recordName, dataName, treeName, doubtfulName, modeName, lockName} {
		if e := p.part.Remove(name); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	_ = p.dir.Remove(p.hidden)
	return err
}

// tidy removes what a process left that was killed when its target had appeared
// already.
func (p *place) tidy() {
	if unfinished(p.dir, p.base) {
		return
	}
	if ours, err := p.tryLock(0); err == nil && ours && !unfinished(p.dir, p.base) {
		_ = p.clear()
	}
}

// unfinished reports whether there is data for a target called base, which has
// not got that name itself: for a moment a file that was finished has both.
func unfinished(dir *os.Root, base string) bool {
	data, err := dir.Lstat(hiddenName(base) + "/" + dataName)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	target, err := dir.Lstat(base)
	return err != nil || !os.SameFile(data, target)
}

// permissions returns those that a file with perm would get here: perm and the
// umask, which cannot be asked for without changing it.
func (p *place) permissions(perm fs.FileMode) (fs.FileMode, error) {
	_ = p.part.Remove(modeName) // left by who was killed just here
	file, err := p.part.OpenFile(modeName, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err := errors.Join(err, file.Close(), p.part.Remove(modeName)); err != nil {
		return 0, err
	}
	return info.Mode().Perm(), nil
}

// leave gives the hidden directory up.
func (p *place) leave() {
	if p.lock != nil {
		_ = p.lock.Close()
	}
	if p.part != nil {
		_ = p.part.Close()
	}
	p.lock, p.part = nil, nil
}

func (p *place) close() {
	p.leave()
	_ = p.dir.Close()
}

func syncDir(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
