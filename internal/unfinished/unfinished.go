// Package unfinished keeps downloads that are not finished: on disk, so that a
// process that is killed, a power cut or a full disk costs little of what was
// fetched.
//
// A File grows beside its target, in a hidden directory .NAME.lonja-part that is
// for its owner only, and takes the target's name in one step once it is whole:
//
//	data    the content, as long as it will be from the start, with holes in it
//	record  which pieces of it are good (record.go)
//	tree    the hashes of its pieces, as far as they came; nobody trusts it
//	doubtful  which pieces became good, recorded or not (doubtful.go)
//	lock    held by the one process that has the File
//
// A piece is good when whoever fetched it has checked it and called Put. It
// counts from then on, and can be read and served. On disk it is recorded only
// after its bytes were synced; so what the record says of another process or
// before a power cut holds now, and is not hashed again. Of a record that is
// damaged, or of another content, nothing is believed.
//
// The package knows no network and does not judge what is written. The asking
// side between peers uses it; small files that are not worth going on with are
// received through partial.
package unfinished

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/tree"
)

// Options say what is received, and how it is to appear.
type Options struct {
	ID   lonja.FileID // of the whole content
	Size int64        // its size in bytes
	// Force lets Commit put the file in the place of another one. Without it a
	// target that exists is refused.
	Force bool
	// Mode is the permissions of the finished file, as far as the umask lets
	// it have them. 0 stands for those of the file that is replaced, or 0666.
	Mode fs.FileMode

	testOnlyRecordFirst bool                 // record before syncing, which is wrong
	testOnlySparse      bool                 // behave as where space cannot be reserved
	testOnlyNoRename    bool                 // behave as where no rename refuses to replace
	testOnlySync        func(*os.File) error // in place of syncing the data
	testOnlySyncDir     func(*os.Root) error // in place of syncing the target's name
}

// Reasons that callers act on; errors.Is finds them in what is returned.
var (
	// ErrInUse is why Open fails while another File has the same target.
	ErrInUse = errors.New("it is being received already")
)

// A File is being received. Put, ReadAt, Good and Sync may be
// called by any number of goroutines at once; Commit, Close and Discard by the
// owner, when nobody writes any more.
//
// Errors are *lonja.Error and name the target. They are of kind LocalFile
// unless a method says otherwise; a full disk has the cause syscall.ENOSPC.
// After one of kind LocalFile the File still goes on: whoever has it asks for
// Good again, since pieces that could not be brought to the disk are not good
// any more, and tries again when the cause may be gone.
type File struct {
	target string // as the caller gave it, for messages
	opts   Options
	layout tree.Layout

	place  *place
	data   *os.File
	pages  *Outboard
	doubts *doubts
	ledger *ledger
	keeper *keeper

	// Of each piece the stripe is held while it is written and becomes good: so
	// that nothing else is written to it.
	stripes [64]sync.Mutex

	syncing sync.Mutex // for one Sync at a time; guards what follows
	record  *recorder
	named   bool // the names of the files are on disk
	retired bool // the files are closed, but for those that Commit leaves

	committed, closed bool // the owner's
}

// Open begins to receive what is to appear as target, or goes on with it, if
// the same content was begun there before. The directory of target must exist
// and be writable. What else was begun there is dropped.
//
// The space for all that is missing is reserved, where the file system can do
// that; the error says how much is needed. A target that exists is refused, with
// the cause fs.ErrExist, unless it may be replaced: a regular file, or a symbolic
// link to one or to nothing. The error is of kind Invalid for a size that no file has.
//
// The caller calls Close in the end, also after Commit and Discard.
func Open(target string, o Options) (*File, error) {
	layout, err := tree.LayoutOf(o.Size)
	if err != nil {
		return nil, err
	}
	f := &File{target: target, opts: o, layout: layout}
	if err := f.open(); err != nil {
		return nil, f.failed("receive", err)
	}
	f.keeper = startKeeper(f)
	return f, nil
}

func (f *File) open() (err error) {
	f.place, err = claim(f.target, f.opts.Force)
	if err != nil {
		return err
	}
	good, err := f.load()
	if err == nil {
		f.ledger = newLedger(good)
		f.doubts = openDoubts(f, good)
		err = f.makeRoom()
	}
	if err != nil {
		f.closeFiles()
		if good == nil || good.IsEmpty() {
			_ = f.place.clear() // there is nothing to go on with
		}
		f.place.close()
	}
	return err
}

// load opens the files and returns the pieces that are good. What is not known
// to be of this content is removed, and not written over: it may have another
// name as well, and no record of it may hold for what comes now.
func (f *File) load() (good *roaring.Bitmap, err error) {
	if good, err = f.openFiles(0); err != nil || good != nil {
		return good, err
	}
	f.closeFiles()
	if err := f.place.empty(); err != nil {
		return nil, err
	}
	if _, err = f.openFiles(os.O_CREATE); err != nil {
		return nil, err
	}
	// From now on the next run knows whose the data is, whatever becomes of this one.
	return roaring.New(), f.record.write(roaring.New())
}

// openFiles opens data and record and returns what the record says; nil if it
// says nothing that could be believed.
func (f *File) openFiles(create int) (good *roaring.Bitmap, err error) {
	part := f.place.part
	f.data, err = part.OpenFile(dataName, os.O_RDWR|create, 0o600)
	if errors.Is(err, fs.ErrPermission) { // it has those of the finished file already
		_ = part.Chmod(dataName, 0o600)
		f.data, err = part.OpenFile(dataName, os.O_RDWR, 0)
	}
	if err != nil {
		return nil, ignoreMissing(err)
	}
	record, err := part.OpenFile(recordName, os.O_RDWR|create, 0o600)
	if err != nil {
		return nil, ignoreMissing(err)
	}
	f.record = &recorder{file: record, id: f.opts.ID, layout: f.layout}
	f.pages = openOutboard(f)
	info, err := f.data.Stat()
	if err != nil || info.Size() != f.opts.Size {
		return nil, err
	}
	return f.record.read(), nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Good returns the pieces that are good. The caller owns it.
func (f *File) Good() *roaring.Bitmap { return f.ledger.copy() }

// Outboard returns where the tree of the content is kept. It is f's: closed with
// it, and another one for each File.
func (f *File) Outboard() *Outboard { return f.pages }

// Exists reports whether there is something that Open could go on with for target,
// were it the same content.
func Exists(target string) bool {
	dir, base, err := openDir(target)
	if err != nil {
		return false
	}
	defer dir.Close()
	return unfinished(dir, base)
}

// failed tells err of the target, and a full disk what helps: the names inside,
// relative to a held directory, say nothing to a person.
func (f *File) failed(op string, err error) error {
	kind := lonja.LocalFile
	switch e := err.(type) {
	case *fs.PathError:
		err = e.Err
	case *os.LinkError:
		err = e.Err
	case *lonja.Error:
		if e.Op != "" {
			return e // it was told of the target when it happened
		}
		kind, err = e.Kind, e.Err
	}
	if _, told := errors.AsType[*noRoomError](err); !told && isFull(err) {
		err = fmt.Errorf("%w; make some room and go on, what is here is kept", err)
	}
	return lonja.E(kind, op, fmt.Errorf("%s: %w", lonja.Printable(f.target), err))
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
