// Package incoming receives the files of a folder.
//
// A Target is the directory that the folder becomes. What comes is gathered in a
// hidden directory in it, PartName, is synced with many others at once, and only
// then takes its name: no file is ever half there, also after a power cut, and a
// thousand small ones cost one wait for the disk. What a killed process has left in
// the hidden directory the next one finds again; it has the FileID for a name, and
// is checked against that before it counts. What is bigger than a piece is received
// through package unfinished, and only its directory is made here.
//
// All happens inside the directory (os.Root), and no symbolic link in it is
// followed. The package knows no network and does not judge what is written: node
// decides which files there are to be, and has checked each.
package incoming

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"lonja"
	"lonja/internal/folder"
)

// PartName is the hidden directory in a target. No file of a folder may have that
// name at the top.
const PartName = ".lonja-part"

// The files in the hidden directory beside those that have come.
const (
	lockName = "lock"
	listName = "list"
	madeName = "made" // is there if the target was not before
)

// ErrInUse is why Open fails while somebody else receives to the same directory.
var ErrInUse = errors.New("a folder is being received there already")

// A Target is a directory that is being filled. Put and Adopt may be called by any
// number of goroutines at once, the other methods when none of these runs.
//
// Errors are of kind LocalFile and name the target; a full disk has the cause
// syscall.ENOSPC. What has come stays after an error, and Flush tries again, unless
// a sync has failed: then nobody knows what the disk has of all that has no name yet.
// All methods that would go on return that error from then on, and the next Target
// is to write again what it finds left.
type Target struct {
	dir   string // as the caller gave it
	fresh bool   // it was made by Open
	force bool
	named func(number int32) // is told of each file that has its name; or nil

	resumed bool // something was being received to it before

	root, part *os.Root
	partDir    *os.File
	lock       *os.File

	syncAll func(*os.File) error // the system's, but in tests

	mu    sync.Mutex // guards batch and lost
	batch batch
	lost  error // of the sync that has failed

	settling sync.Mutex          // for one batch at a time; guards what follows
	dirs     map[string]dirState // that were looked at
	open     map[string]*os.File // the directory that files were put to last
}

// Open begins to fill the directory dir, which is made if need be, or goes on with
// that; its own directory must exist. With force, files that are there give way to
// those that come. The caller calls Close.
func Open(dir string, force bool) (*Target, error) {
	t := &Target{dir: dir, force: force, syncAll: syncAll, dirs: map[string]dirState{".": dirThere}, open: make(map[string]*os.File)}
	if err := t.claim(); err != nil {
		t.closeFiles()
		return nil, t.failed("receive", err)
	}
	return t, nil
}

func (t *Target) claim() (err error) {
	switch err := os.Mkdir(t.dir, 0o777); {
	case err == nil:
		t.fresh = true
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	if t.root, err = os.OpenRoot(t.dir); err != nil {
		return err
	}
	err = t.root.Mkdir(PartName, 0o700)
	if t.resumed = errors.Is(err, fs.ErrExist); err != nil && !t.resumed {
		return err
	}
	info, err := t.root.Lstat(PartName)
	if err != nil {
		return err
	}
	if !info.IsDir() || !ours(info) {
		return fmt.Errorf("%s in it is not a directory of yours: remove it", PartName)
	}
	if t.part, err = t.root.OpenRoot(PartName); err != nil {
		return err
	}
	if t.lock, err = t.part.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if err := tryLock(t.lock); err != nil {
		return err
	}
	if t.fresh {
		made, err := t.part.Create(madeName)
		if err != nil {
			return err
		}
		_ = made.Close()
	}
	if t.partDir, err = t.part.Open("."); err != nil {
		return err
	}
	return t.dropCopies()
}

// dropCopies removes what Copy had not come to finish: it is copied again, and would
// only take room until then.
func (t *Target) dropCopies() error {
	if !t.resumed {
		return nil
	}
	entries, err := fs.ReadDir(t.part.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), copyPrefix) {
			if err := t.part.Remove(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// IsBegun reports whether a folder is being received to dir, or was until it was
// interrupted.
func IsBegun(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, PartName, lockName))
	return err == nil && info.Mode().IsRegular()
}

// ListPath is where the list of the folder is to be, while it is received.
func (t *Target) ListPath() string { return filepath.Join(t.dir, PartName, listName) }

// OpenList opens the list, if it is there. The caller closes it.
func (t *Target) OpenList() (*os.File, error) {
	f, err := t.part.Open(listName)
	if err != nil {
		return nil, t.failed("read the list of", err)
	}
	return f, nil
}

// Path returns the path of a file of the target.
func (t *Target) Path(local string) string { return filepath.Join(t.dir, filepath.FromSlash(local)) }

// Names says under which paths the files of a folder are to be had in the target.
func (t *Target) Names() *folder.Names {
	return folder.NewNames(folder.Rules{Folds: t.Folds(), Reserved: []string{PartName}})
}

// IsFresh reports whether there was nothing before: Open made the directory.
func (t *Target) IsFresh() bool { return t.fresh }

// IsResumed reports whether something was being received to it before, and may be
// there still.
func (t *Target) IsResumed() bool { return t.resumed }

// Folds reports whether names that differ only in case, or in their Unicode normal
// form, are one name on this file system.
func (t *Target) Folds() bool {
	const lower, upper = "probe-\u00e9", "PROBE-E\u0301"
	defer t.part.Remove(lower)
	f, err := t.part.OpenFile(lower, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return true
	}
	_ = f.Close()
	for _, other := range []string{upper, "probe-e\u0301", "PROBE-\u00c9"} {
		if _, err := t.part.Lstat(other); err == nil {
			return true
		}
	}
	return false
}

// Left calls each with the names of what an interrupted run has left, which begin
// with the FileID that it was to have, in hexadecimal.
func (t *Target) Left(each func(name string) error) error {
	entries, err := fs.ReadDir(t.part.FS(), ".")
	if err != nil {
		return t.failed("look at", err)
	}
	for _, e := range entries {
		if len(e.Name()) < 64 || !e.Type().IsRegular() {
			continue
		}
		if err := each(e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// TakeLeft returns what was left under a name, and removes it: it counts once it was
// written again, by Put, since nobody knows what the disk has of it.
func (t *Target) TakeLeft(name string) ([]byte, error) {
	b, err := fs.ReadFile(t.part.FS(), name)
	if err := errors.Join(err, t.part.Remove(name)); err != nil {
		return nil, t.failed("take what was left of", err)
	}
	return b, nil
}

// Finish has all that came be on the disk under its name, and removes what was only
// there meanwhile.
func (t *Target) Finish() error {
	if err := t.Flush(); err != nil {
		return err
	}
	// The names, too.
	if err := t.sync(); err != nil {
		return err
	}
	if err := t.root.RemoveAll(PartName); err != nil {
		return t.failed("tidy up", err)
	}
	return nil
}

// Discard gives up what is being received: what has no name yet goes, and the directory
// if it was made for this and nothing is in it. Files that have their names stay.
func (t *Target) Discard() error {
	_, notMade := t.part.Lstat(madeName)
	if err := t.root.RemoveAll(PartName); err != nil {
		return t.failed("remove what was received of", err)
	}
	if notMade == nil {
		_ = os.Remove(t.dir) // if it is empty
	}
	return nil
}

// OnNamed has named be told the Number of each file that has come, once it has its
// name. It is called before anything comes.
func (t *Target) OnNamed(named func(number int32)) { t.named = named }

// Close ends the use of the Target. What has come stays; after a failed sync that is
// only what has its name.
func (t *Target) Close() error {
	var err error
	if t.lost == nil { // otherwise it was told
		err = t.Flush()
	}
	t.closeFiles()
	return err
}

func (t *Target) closeFiles() {
	for _, f := range t.open {
		_ = f.Close()
	}
	clear(t.open)
	for _, c := range []*os.File{t.partDir, t.lock} {
		if c != nil {
			_ = c.Close()
		}
	}
	for _, r := range []*os.Root{t.part, t.root} {
		if r != nil {
			_ = r.Close()
		}
	}
}

// failed tells err of the target.
func (t *Target) failed(op string, err error) error {
	if e, ok := errors.AsType[*lonja.Error](err); ok {
		return e
	}
	switch e := err.(type) {
	case *fs.PathError:
		err = fmt.Errorf("%s: %w", lonja.Printable(path.Base(filepath.ToSlash(e.Path))), e.Err)
	case *os.LinkError:
		err = e.Err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fmt.Errorf("%w; make some room and go on, what is here is kept", err)
	}
	return lonja.E(lonja.LocalFile, op, fmt.Errorf("%s: %w", lonja.Printable(t.dir), err))
}

// partOf returns the name in the hidden directory of a content, which can be there
// more than once.
func partOf(id lonja.FileID, number int) string { return fmt.Sprintf("%s-%d", id, number) }

// copyPrefix begins the names of what is being copied.
const copyPrefix = "copy-"

func copyOf(number int) string { return copyPrefix + strconv.Itoa(number) }

// IDOf returns the FileID that something left was to have.
func IDOf(name string) (lonja.FileID, error) {
	hex, _, _ := strings.Cut(name, "-")
	return lonja.ParseFileID(hex)
}
