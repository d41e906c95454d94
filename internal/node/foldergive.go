package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/fileserver"
	"lonja/internal/hashing"
	"lonja/internal/outboards"
	"lonja/internal/tree"
)

// A folderStock is what is here already of a folder that is being fetched, for others
// who fetch it: its list, the files that have their names, each checked again before
// it goes out, and of a big file that is on its way the pieces. It is a
// fileserver.Folder.
type folderStock struct {
	run *folderRun

	mu     sync.Mutex              // guards below
	here   *roaring.Bitmap         // entries of the list whose files have their names
	stamps map[int32]hashing.Stamp // of big files: as they were when they came
}

func newFolderStock(r *folderRun) *folderStock {
	return &folderStock{run: r, here: roaring.New(), stamps: make(map[int32]hashing.Stamp)}
}

// give has what comes of the folder be served, and the directory be told that it is
// being fetched, until stop is called.
func (r *folderRun) give() (stop func()) {
	if r.PartialOff {
		return func() {}
	}
	forget := r.downloads.RegisterFolder(r.stock, r.isMeantFor)
	r.fetching.add(r.got.ID)
	return func() {
		r.fetching.remove(r.got.ID)
		forget()
	}
}

// isMeantFor reports whether a member may have the folder.
func (r *folderRun) isMeantFor(ctx context.Context, m lonja.Member) bool {
	return r.isMeant(ctx, r.audience, m)
}

// giveBig has the pieces of one of its big files be served.
func (r *folderRun) giveBig(id lonja.FileID, pieces fileserver.Pieces) (stop func()) {
	if r.PartialOff {
		return func() {}
	}
	return r.downloads.Register(id, pieces, r.isMeantFor)
}

// add notes that wanted[i], which was checked just now, has its name.
func (s *folderStock) add(i int32) {
	w := &s.run.wanted[i]
	stamp := hashing.Stamp{}
	if w.Size > tree.PieceSize {
		f, err := s.run.target.OpenFile(w.local)
		if err != nil {
			return // it is not given then
		}
		defer f.Close()
		if stamp, err = hashing.StampOf(f); err != nil {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.here.Add(w.number)
	if w.Size > tree.PieceSize {
		s.stamps[i] = stamp
	}
}

var errNotHere = errors.New("it is not here yet")

// OpenContent implements fileserver.Folder.
func (s *folderStock) OpenContent(_ context.Context, id lonja.FileID) (fileserver.Content, error) {
	r := s.run
	if id == r.got.ID {
		return s.openList()
	}
	at, _ := slices.BinarySearchFunc(r.byID, id, func(i int32, id lonja.FileID) int { return bytes.Compare(r.wanted[i].ID[:], id[:]) })
	lacking := error(lonja.E(lonja.NoSuchFile, "open", errNotHere))
	for ; at < len(r.byID) && r.wanted[r.byID[at]].ID == id; at++ {
		i := r.byID[at]
		content, err := s.openFile(i)
		if err == nil {
			return content, nil
		}
		if size := r.wanted[i].Size; size > tree.PieceSize {
			return lackingFile(size), nil
		}
	}
	return nil, lacking
}

// openList opens the folder's list.
func (s *folderStock) openList() (fileserver.Content, error) {
	f, err := s.run.target.OpenList()
	if err != nil {
		return nil, err
	}
	list, err := s.run.serve(s.run.got.ID, f, s.run.holders[0].Publication().ContentSize(), s.run.target.OpenList)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return listOnItsWay{list, s.here.Clone()}, nil
}

// serve serves a file that was opened; open opens it once more.
func (r *folderRun) serve(id lonja.FileID, f *os.File, size int64, open func() (*os.File, error)) (*servedFile, error) {
	return newServedFile(f, size, func(ctx context.Context) (outboards.Reader, error) { return r.Outboards.Get(ctx, id, open) })
}

// A listOnItsWay is the list of a folder of which some files are here.
type listOnItsWay struct {
	*servedFile
	here *roaring.Bitmap
}

// Entries returns whose files are here.
func (l listOnItsWay) Entries() *roaring.Bitmap { return l.here }

// openFile opens wanted[i], if it is here and what it should be: a person may have
// changed it since.
func (s *folderStock) openFile(i int32) (fileserver.Content, error) {
	w := &s.run.wanted[i]
	open := func() (*os.File, error) { return s.run.target.OpenFile(w.local) }
	f, err := open()
	if err != nil {
		return nil, err
	}
	stamp, err := hashing.StampOf(f)
	if err == nil && stamp.Size != w.Size {
		err = errNotHere
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	if w.Size > tree.PieceSize {
		if !s.knows(i, stamp) {
			_ = f.Close()
			return nil, errNotHere
		}
		return s.run.serve(w.ID, f, w.Size, open)
	}
	defer f.Close()
	content := make([]byte, w.Size)
	if _, err := io.ReadFull(f, content); err != nil || tree.Sum(content) != w.ID {
		return nil, errNotHere
	}
	return heldFile{bytes.NewReader(content)}, nil
}

// knows reports whether a big file is known to be what it should be.
func (s *folderStock) knows(i int32, now hashing.Stamp) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	came, known := s.stamps[i]
	return known && came == now
}

// A heldFile is a small one, in memory, which was checked.
type heldFile struct{ *bytes.Reader }

func (heldFile) Have() *roaring.Bitmap { return nil }
func (heldFile) Unchanged() error      { return nil }
func (heldFile) Close() error          { return nil }

// Outboard is not asked for: it is one piece.
func (heldFile) Outboard(context.Context) (io.ReaderAt, int64, error) {
	return nil, 0, lonja.E(lonja.NoHolder, "serve", errNotHere)
}

// A lackingFile is one of more than a piece, of which nothing is here yet: who asks
// for it is to ask again. It is its size.
type lackingFile int64

func (lackingFile) ReadAt([]byte, int64) (int, error) {
	return 0, lonja.E(lonja.NoHolder, "serve", errNotHere)
}

func (l lackingFile) Size() int64         { return int64(l) }
func (lackingFile) Have() *roaring.Bitmap { return roaring.New() }
func (lackingFile) Unchanged() error      { return nil }
func (lackingFile) Close() error          { return nil }

func (lackingFile) Outboard(context.Context) (io.ReaderAt, int64, error) {
	return nil, 0, lonja.E(lonja.NoHolder, "serve", errNotHere)
}
