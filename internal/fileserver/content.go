package fileserver

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/inode"
)

// Files are what a Server may send.
type Files interface {
	// OpenContent opens the content for a member; the Server closes it. The error
	// is of kind NoSuchFile if there is none for that member, and of kind Conflict
	// if the file is not any more what it was when its id was found out: that is
	// told only to those who may have it. OpenContent is called by many goroutines
	// at once. It may have to find out who the member is, for as long as ctx lasts,
	// but what is for everybody it opens at once.
	OpenContent(ctx context.Context, id lonja.FileID, member lonja.Member) (Content, error)
}

// Pieces are a content of which some pieces are here, or all. The methods may be
// called by any number of goroutines at once.
type Pieces interface {
	// ReadAt reads what lies in pieces that are here; an error for anything else.
	io.ReaderAt
	// Size returns the size of all of the content, in bytes.
	Size() int64
	// Have returns the pieces that are here, from 0, or nil if all are. A piece
	// that is here stays. The caller does not change the bitmap, nor does anybody
	// else.
	Have() *roaring.Bitmap
	// Outboard returns the hashes of the pieces as package tree's Outboard reads
	// them, checked, and how many bytes that is. It is not asked for a content of
	// one piece, which has none. The reader is good until Close. The error is of
	// kind Limited if it takes longer than one should wait, of kind NoHolder if
	// they are not here yet, and of kind Conflict as for OpenContent. A reader that
	// has a method Holds(first, last int64) bool has some of them only: those of which
	// that says so, the last byte included.
	Outboard(ctx context.Context) (io.ReaderAt, int64, error)
}

// someHashes are an outboard of which some is here.
type someHashes interface{ Holds(first, last int64) bool }

// A folderContent is the list of a folder. Entries returns those of its entries whose
// files are here, from 0, or nil if all are; nobody changes the bitmap.
type folderContent interface{ Entries() *roaring.Bitmap }

// A Content is one that was opened.
type Content interface {
	Pieces
	// Unchanged returns nil if what was read until now is the content still. The
	// error is of kind Conflict if it is another now, and of kind Limited if it may be.
	Unchanged() error
	Close() error
}

// An Outboard makes or finds the hashes of a content, as Pieces has it.
type Outboard func(ctx context.Context) (io.ReaderAt, int64, error)

// A Whole is a Content that is one file, all of it.
type Whole struct {
	file     *os.File
	seen     os.FileInfo
	outboard Outboard
}

// NewWhole returns f as a Content, which has that size if it is what was
// published. Close closes f; if NewWhole fails, it is closed already. The error is
// of kind Conflict if f has another size, and of kind LocalFile.
func NewWhole(f *os.File, size int64, outboard Outboard) (*Whole, error) {
	seen, err := f.Stat()
	switch {
	case err != nil:
		err = lonja.E(lonja.LocalFile, "look at", err)
	case seen.Size() != size:
		err = lonja.E(lonja.Conflict, "serve", errChanged)
	default:
		return &Whole{f, seen, outboard}, nil
	}
	_ = f.Close()
	return nil, err
}

// ReadAt implements Pieces.
func (w *Whole) ReadAt(p []byte, offset int64) (int, error) { return w.file.ReadAt(p, offset) }

// Size implements Pieces.
func (w *Whole) Size() int64 { return w.seen.Size() }

// Have implements Pieces: all are here.
func (w *Whole) Have() *roaring.Bitmap { return nil }

// Entries says that whoever has a folder's list published has its files.
func (w *Whole) Entries() *roaring.Bitmap { return nil }

// Outboard implements Pieces.
func (w *Whole) Outboard(ctx context.Context) (io.ReaderAt, int64, error) { return w.outboard(ctx) }

// Close closes the file.
func (w *Whole) Close() error { return w.file.Close() }

// errChanged is the cause for a file that is not what was published.
var errChanged = errors.New("the file has changed since it was published")

// errTouched is the cause for a file that may not be what was published.
var errTouched = errors.New("the file was touched while it was read")

// Unchanged implements Content, as far as size, time and mark of a file tell. The
// error is of kind Limited if only the mark differs: whoever opens it again finds out
// what it is.
func (w *Whole) Unchanged() error {
	now, err := w.file.Stat()
	if err != nil {
		return lonja.E(lonja.LocalFile, "look at", err)
	}
	if now.Size() != w.seen.Size() || !now.ModTime().Equal(w.seen.ModTime()) {
		return lonja.E(lonja.Conflict, "serve", errChanged)
	}
	if inode.Mark(now) != inode.Mark(w.seen) {
		return lonja.E(lonja.Limited, "serve", errTouched)
	}
	return nil
}
