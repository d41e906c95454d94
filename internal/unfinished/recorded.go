package unfinished

import (
	"math"
	"os"

	"lonja"
	"lonja/internal/tree"
)

// Recorded returns how many bytes of the content with this id and size Open would go
// on with for target, as they are recorded on disk. It takes no lock and changes
// nothing: of somebody who is receiving it just now, it tells the past.
func Recorded(target string, id lonja.FileID, size int64) int64 {
	layout, err := tree.LayoutOf(size)
	if err != nil || id.IsZero() {
		return 0
	}
	dir, base, err := openDir(target)
	if err != nil {
		return 0
	}
	defer dir.Close()
	if !unfinished(dir, base) {
		return 0
	}
	part, err := dir.OpenRoot(hiddenName(base))
	if err != nil {
		return 0
	}
	defer part.Close()
	file, err := part.OpenFile(recordName, os.O_RDONLY, 0)
	if err != nil {
		return 0
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() < slotHeader+bitsLen(layout)+slotSum {
		return 0 // nor is room made for what is not there
	}
	r := recorder{file: file, id: id, layout: layout}
	good := r.read()
	if good == nil || layout.Pieces() == 0 || layout.Pieces() > math.MaxUint32 {
		return 0
	}
	n := int64(good.GetCardinality()) * tree.PieceSize
	if last := layout.Pieces() - 1; good.Contains(uint32(last)) {
		n -= (last+1)*tree.PieceSize - size // it may be shorter
	}
	return n
}
