package unfinished

import (
	"os"

	"lonja"
	"lonja/internal/tree"
)

// Begun is what was received of a content before.
type Begun struct {
	Size int64 // of the whole content, as it was said to be
	// Proven says that the content has that size: its last piece is here, which could
	// not be checked otherwise.
	Proven   bool
	Received int64 // bytes of good pieces, as they are recorded on disk
}

// BegunFor returns what Open could go on with for target, if that is of the content
// with this id, of whatever size it was said to have. It takes no lock: what it
// tells is of the past for somebody who is receiving it just now.
func BegunFor(target string, id lonja.FileID) (b Begun, ok bool) {
	dir, base, err := openDir(target)
	if err != nil {
		return Begun{}, false
	}
	defer dir.Close()
	if !unfinished(dir, base) {
		return Begun{}, false
	}
	part, err := dir.OpenRoot(hiddenName(base))
	if err != nil {
		return Begun{}, false
	}
	defer part.Close()
	// The data is as long as the content, and where the record is read depends on that.
	info, err := part.Stat(dataName)
	if err != nil {
		return Begun{}, false
	}
	layout, err := tree.LayoutOf(info.Size())
	if err != nil {
		return Begun{}, false
	}
	record, err := part.OpenFile(recordName, os.O_RDONLY, 0)
	if err != nil {
		return Begun{}, false
	}
	defer record.Close()
	if info, err := record.Stat(); err != nil || info.Size() < slotHeader+bitsLen(layout)+slotSum {
		return Begun{}, false // nor is room made for what is not there
	}
	r := recorder{file: record, id: id, layout: layout}
	good := r.read()
	if good == nil {
		return Begun{}, false
	}
	last := layout.Pieces() - 1
	b = Begun{Size: layout.Size(), Proven: good.Contains(uint32(last)), Received: int64(good.GetCardinality()) * tree.PieceSize}
	if b.Proven {
		b.Received -= tree.PieceSize - int64(layout.PieceLen(last))
	}
	return b, true
}

// Recorded returns how many bytes of the content with this id and size are recorded as
// BegunFor tells it.
func Recorded(target string, id lonja.FileID, size int64) int64 {
	b, ok := BegunFor(target, id)
	if !ok || b.Size != size {
		return 0
	}
	return b.Received
}
