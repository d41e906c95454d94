package unfinished

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"lonja"
	"lonja/internal/tree"
)

// Write writes b at offset in a piece, which is not good by that. Pieces may be
// written at once, one by one goroutine: whoever fetches a piece that somebody
// else is writing gathers it and calls Put.
//
// The error is of kind Conflict, with the cause ErrGood, if the piece is good:
// then nothing was written. It may also be one of an earlier sync, which nobody
// waited for.
func (f *File) Write(piece int64, b []byte, offset int) error {
	if err := f.check(piece); err != nil {
		return err
	}
	if offset < 0 || offset+len(b) > f.layout.PieceLen(piece) {
		return f.failed("write", lonja.E(lonja.Internal, "", fmt.Errorf("%d bytes at %d are not in piece %d", len(b), offset, piece)))
	}
	stripe := f.stripe(piece)
	stripe.RLock()
	defer stripe.RUnlock()
	return f.write(piece, b, offset, false)
}

// write writes to a piece whose stripe is held.
func (f *File) write(piece int64, b []byte, offset int, whole bool) error {
	if err := f.ledger.begin(piece, whole); err != nil {
		return f.failed("write", err)
	}
	if _, err := f.data.WriteAt(b, piece*tree.PieceSize+int64(offset)); err != nil {
		return f.failed("write", err)
	}
	return nil
}

// Done makes a piece good, which was written and checked. If it is good already
// that is no error. The error is of kind LocalFile if a part of it could not be
// brought to the disk: then it is to be written again, all of it.
func (f *File) Done(piece int64) error {
	if err := f.check(piece); err != nil {
		return err
	}
	stripe := f.stripe(piece)
	stripe.Lock()
	defer stripe.Unlock()
	if err := f.done(piece); err != nil {
		return err
	}
	f.doubts.add(piece)
	return nil
}

// done makes a piece good whose stripe is held for writing.
func (f *File) done(piece int64) error {
	unsynced, err := f.ledger.done(piece, f.layout.PieceLen(piece))
	if err != nil {
		return f.failed("finish a piece", err)
	}
	if unsynced >= syncBytes {
		f.keeper.hurry()
	}
	return nil
}

// Put writes all of a piece, which was checked, and makes it good, in one step
// for others: whatever they write to it at the same time is written over. If it
// is good already nothing is written.
func (f *File) Put(piece int64, content []byte) error {
	if err := f.check(piece); err != nil {
		return err
	}
	if len(content) != f.layout.PieceLen(piece) {
		return f.failed("write", lonja.E(lonja.Internal, "", fmt.Errorf("piece %d has not %d bytes", piece, len(content))))
	}
	stripe := f.stripe(piece)
	stripe.Lock()
	defer stripe.Unlock()
	err := f.write(piece, content, 0, true)
	if errors.Is(err, ErrGood) {
		return nil
	}
	if err == nil {
		err = f.done(piece)
	}
	if err == nil {
		f.doubts.add(piece)
	}
	return err
}

// ReadAt reads from the content as io.ReaderAt says, from pieces that are good
// only. The error is of kind NoSuchFile if one is not, or f is closed. After
// Commit it still reads, until Close.
func (f *File) ReadAt(b []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, f.failed("read", lonja.E(lonja.Internal, "", fmt.Errorf("there is no offset %d", offset)))
	}
	length := min(int64(len(b)), f.layout.Size()-offset)
	if length <= 0 && len(b) > 0 {
		return 0, io.EOF
	}
	if length > 0 && !f.ledger.isGood(offset/tree.PieceSize, (offset+length-1)/tree.PieceSize) {
		return 0, f.failed("read", lonja.E(lonja.NoSuchFile, "", errNotGood))
	}
	n, err := f.data.ReadAt(b[:max(0, length)], offset)
	switch {
	case errors.Is(err, fs.ErrClosed):
		return n, f.failed("read", lonja.E(lonja.NoSuchFile, "", fs.ErrClosed))
	case err != nil && !errors.Is(err, io.EOF):
		return n, f.failed("read", err)
	case n < len(b):
		return n, io.EOF
	}
	return n, nil
}

var errNotGood = errors.New("a piece of that is not here yet")

func (f *File) stripe(piece int64) *sync.RWMutex { return &f.stripes[piece%int64(len(f.stripes))] }

// check returns an error if there is no such piece.
func (f *File) check(piece int64) error {
	if piece < 0 || piece >= f.layout.Pieces() {
		return f.failed("write", lonja.E(lonja.Internal, "", fmt.Errorf("there is no piece %d", piece)))
	}
	return nil
}
