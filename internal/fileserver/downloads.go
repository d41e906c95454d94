package fileserver

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
)

// Downloads are contents that are on their way here: what is here of them is
// served to others already. The zero Downloads has none. Its methods may be called
// by any number of goroutines at once.
type Downloads struct {
	mu      sync.Mutex // guards below
	running map[lonja.FileID][]*download
	folders []*folderDownload // never changed in place
}

// A Folder is one that is on its way here.
type Folder interface {
	// OpenContent opens the folder's list, or what is here of a file in it, which stays
	// good until it is closed. The error is of kind NoSuchFile for anything else. It is
	// called by many goroutines at once.
	OpenContent(ctx context.Context, id lonja.FileID) (Content, error)
}

// A folderDownload is one of them.
type folderDownload struct {
	Folder
	may func(ctx context.Context, member lonja.Member) bool

	mu   sync.RWMutex // guards gone, and is held while something is opened
	gone bool
}

// RegisterFolder has what is here of a folder be served to those members of whom may
// says so, as Register does for one content, until forget is called, which returns
// when nothing of it is being opened any more. What was opened is sent to its end.
func (d *Downloads) RegisterFolder(folder Folder, may func(ctx context.Context, member lonja.Member) bool) (forget func()) {
	added := &folderDownload{Folder: folder, may: may}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.folders = append(slices.Clip(d.folders), added)
	return func() {
		d.mu.Lock()
		d.folders = slices.DeleteFunc(slices.Clone(d.folders), func(other *folderDownload) bool { return other == added })
		d.mu.Unlock()
		added.mu.Lock()
		defer added.mu.Unlock()
		added.gone = true
	}
}

func (f *folderDownload) open(ctx context.Context, id lonja.FileID, member lonja.Member) (Content, error) {
	if !f.may(ctx, member) {
		return nil, lonja.E(lonja.NoSuchFile, "open", nil)
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.gone {
		return nil, lonja.E(lonja.NoSuchFile, "serve", errForgotten)
	}
	return f.OpenContent(ctx, id)
}

// A download is one of them. Its pieces are read under mu, until they are gone.
type download struct {
	pieces Pieces
	may    func(ctx context.Context, member lonja.Member) bool

	mu   sync.RWMutex // guards gone, and is held while pieces are in use
	gone bool
}

// Register has a content be served to those members of whom may says so, which is
// asked for each request and may take its time; nil stands for every member. It
// goes on until forget is called, which returns when pieces are in use no more:
// they can be closed then. So none of their methods may wait for long. Transfers of them that are under way break off, so
// whoever has the whole file now publishes that first: who breaks off asks again.
// To call forget again does no harm.
//
// A content that is registered twice, because it is fetched to two places, is
// served from the first that the member may have.
func (d *Downloads) Register(id lonja.FileID, pieces Pieces, may func(ctx context.Context, member lonja.Member) bool) (forget func()) {
	if may == nil {
		may = func(context.Context, lonja.Member) bool { return true }
	}
	added := &download{pieces: pieces, may: may}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running == nil {
		d.running = make(map[lonja.FileID][]*download)
	}
	d.running[id] = append(d.running[id], added)
	return func() {
		d.remove(id, added)
		added.mu.Lock()
		defer added.mu.Unlock()
		added.gone = true
	}
}

func (d *Downloads) remove(id lonja.FileID, gone *download) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(d.running[id]), func(other *download) bool { return other == gone })
	if len(rest) == 0 {
		delete(d.running, id)
	} else {
		d.running[id] = rest
	}
}

// OpenContent implements Files.
func (d *Downloads) OpenContent(ctx context.Context, id lonja.FileID, member lonja.Member) (Content, error) {
	d.mu.Lock()
	found, folders := d.running[id], d.folders // never changed in place
	d.mu.Unlock()
	for _, each := range found {
		if each.may(ctx, member) {
			return each, nil
		}
	}
	for _, f := range folders {
		if content, err := f.open(ctx, id, member); err == nil {
			return content, nil
		}
	}
	return nil, lonja.E(lonja.NoSuchFile, "open", nil)
}

// errForgotten is the cause for a download that ended while somebody fetched of it.
var errForgotten = errors.New("the download has ended here")

// use calls do if the pieces are not gone, and has them stay meanwhile.
func (d *download) use(do func(Pieces)) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.gone {
		return lonja.E(lonja.NoSuchFile, "serve", errForgotten)
	}
	do(d.pieces)
	return nil
}

// ReadAt implements Pieces.
func (d *download) ReadAt(p []byte, offset int64) (n int, err error) {
	if gone := d.use(func(pieces Pieces) { n, err = pieces.ReadAt(p, offset) }); gone != nil {
		return 0, gone
	}
	return n, err
}

// Size implements Pieces.
func (d *download) Size() (size int64) {
	_ = d.use(func(pieces Pieces) { size = pieces.Size() })
	return size
}

// Have implements Pieces: none, if the download is gone.
func (d *download) Have() *roaring.Bitmap {
	have := roaring.New()
	_ = d.use(func(pieces Pieces) { have = pieces.Have() })
	return have
}

// Outboard implements Pieces.
func (d *download) Outboard(ctx context.Context) (hashes io.ReaderAt, size int64, err error) {
	if gone := d.use(func(pieces Pieces) { hashes, size, err = pieces.Outboard(ctx) }); gone != nil {
		return nil, 0, gone
	}
	return outboardOf{d, hashes}, size, err
}

// An outboardOf reads the hashes of a download as long as that lasts.
type outboardOf struct {
	download *download
	hashes   io.ReaderAt
}

func (o outboardOf) ReadAt(p []byte, offset int64) (n int, err error) {
	if gone := o.download.use(func(Pieces) { n, err = o.hashes.ReadAt(p, offset) }); gone != nil {
		return 0, gone
	}
	return n, err
}

// Holds tells which of them are here.
func (o outboardOf) Holds(first, last int64) (holds bool) {
	some, ok := o.hashes.(someHashes)
	_ = o.download.use(func(Pieces) { holds = !ok || some.Holds(first, last) })
	return holds
}

// Unchanged implements Content: what was checked when it came is what it is, as
// long as the download lasts.
func (d *download) Unchanged() error { return d.use(func(Pieces) {}) }

// Close implements Content. The pieces belong to who registered them.
func (d *download) Close() error { return nil }
