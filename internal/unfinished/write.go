package unfinished

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"lonja"
	"lonja/internal/tree"
)

// Put writes a piece, which was checked, and makes it good. If it is good already
// nothing is written. Of several at once for one piece, one after the other is
// heeded.
//
// The error is of kind LocalFile if the piece could not be written, or if a sync
// failed meanwhile, which may have lost a part of it: then it is to be fetched
// again. It may also be the error of an earlier sync, which nobody waited for.
func (f *File) Put(piece int64, content []byte) error {
	if piece < 0 || piece >= f.layout.Pieces() {
		return f.failed("write", lonja.E(lonja.Internal, "", fmt.Errorf("there is no piece %d", piece)))
	}
	if len(content) != f.layout.PieceLen(piece) {
		return f.failed("write", lonja.E(lonja.Internal, "", fmt.Errorf("piece %d has not %d bytes", piece, len(content))))
	}
	if good, err := f.write(piece, content); good || err != nil {
		return err
	}
	f.doubts.add(piece)
	return nil
}

// write writes a piece and makes it good, unless it is good already.
func (f *File) write(piece int64, content []byte) (good bool, err error) {
	stripe := &f.stripes[piece%int64(len(f.stripes))]
	stripe.Lock()
	defer stripe.Unlock()
	if good, err = f.ledger.begin(piece); err != nil {
		return false, f.failed("write", err)
	}
	if good {
		return true, nil
	}
	if _, err := f.data.WriteAt(content, piece*tree.PieceSize); err != nil {
		return false, f.failed("write", err)
	}
	return false, f.done(piece)
}

// done makes a piece good whose stripe is held.
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
