package unfinished

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja/internal/tree"
)

// The file doubtful names every piece that became good, 4 bytes each, most
// significant first, without waiting for the disk. After a kill the data of these
// is there, though the record does not say so; after a power cut, some. So they
// are not good before they were checked, but need not be fetched.
const doubtfulName = "doubtful"

// A doubts writes that file.
type doubts struct {
	file *os.File // nil if it could not be opened: then more is fetched again
	end  atomic.Int64
	left *roaring.Bitmap // pieces of an earlier run that were not looked at yet
}

// openDoubts reads what an earlier run has left, of which good are no doubts any
// more, and goes on behind it.
func openDoubts(f *File, good *roaring.Bitmap) *doubts {
	d := &doubts{left: roaring.New()}
	file, err := f.place.part.OpenFile(doubtfulName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return d
	}
	d.file = file
	most := 2 * 4 * f.layout.Pieces() // some may be named again, once they were fetched again
	b, err := io.ReadAll(io.LimitReader(file, most))
	if err != nil {
		return d
	}
	for ; len(b) >= 4; b = b[4:] {
		if piece := binary.BigEndian.Uint32(b); int64(piece) < f.layout.Pieces() {
			d.left.Add(piece)
		}
	}
	d.left.AndNot(good)
	if d.left.IsEmpty() {
		_ = file.Truncate(0)
		return d
	}
	if end, err := file.Seek(0, io.SeekEnd); err == nil {
		d.end.Store(end / 4 * 4)
	}
	return d
}

// add names a piece.
func (d *doubts) add(piece int64) {
	if d.file != nil {
		_, _ = d.file.WriteAt(binary.BigEndian.AppendUint32(nil, uint32(piece)), d.end.Add(4)-4)
	}
}

func (d *doubts) close() {
	if d.file != nil {
		_ = d.file.Close()
	}
}

// Recover looks at the pieces that an earlier run had made good without coming to
// record them, and makes those good of which check returns nil: after a kill that
// is all of them. They are written again: if a sync of that run has failed, the
// kernel has the right bytes but takes them for written, and no later sync would
// bring them to the disk. Recover is called before anything is written, once; what
// it has not looked at when it ends with an error is fetched again.
func (f *File) Recover(check func(piece int64, content []byte) error) error {
	buf := make([]byte, min(tree.PieceSize, f.layout.Size()))
	for it := f.doubts.left.Iterator(); it.HasNext(); {
		piece := int64(it.Next())
		content := buf[:f.layout.PieceLen(piece)]
		if _, err := f.data.ReadAt(content, piece*tree.PieceSize); err != nil && !errors.Is(err, io.EOF) {
			return f.failed("read", err)
		}
		if check(piece, content) != nil {
			continue
		}
		if _, err := f.write(piece, content); err != nil { // it is named already
			return err
		}
	}
	f.doubts.left = roaring.New()
	return nil
}

// Doubtful returns how many pieces Recover will look at.
func (f *File) Doubtful() int64 { return int64(f.doubts.left.GetCardinality()) }
