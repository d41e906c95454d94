package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/folder"
	"lonja/internal/hashing"
	"lonja/internal/incoming"
	"lonja/internal/tree"
)

var hashingOptions = hashing.Options{}

// leastEntry is as much as an entry of a list takes that is a file, at least: in bytes.
const leastEntry = 37

// readList finds out what is wanted, and under which names.
func (r *folderRun) readList(context.Context) error {
	file, err := r.target.OpenList()
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	signed := r.holders[0].Publication()
	if r.how.Include == nil { // whoever signed it cannot have more room taken than the list has
		r.wanted = make([]want, 0, min(signed.Folder().Files, info.Size()/leastEntry))
	}
	list := folder.NewReader(file)
	names := r.target.Names()
	for number := uint32(0); ; number++ {
		e, err := list.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return r.refuse(lonja.KindOf(err), fmt.Errorf("its owner calls it a folder, but its list is none: %w", err))
		}
		local := names.Local(e.Path) // also of what is not wanted: names depend on each other
		if r.how.Include != nil && !r.how.Include(e.Path) {
			continue
		}
		if local != e.Path && r.how.Renamed != nil {
			r.how.Renamed(e.Path, local)
		}
		if !e.IsFile() {
			r.empty = append(r.empty, local)
			continue
		}
		if local == e.Path {
			local = e.Path // one string is enough
		}
		r.wanted = append(r.wanted, want{Entry: e, local: local, number: number, first: int32(len(r.wanted))})
		r.got.Bytes += e.Size
	}
	found := list.Totals()
	if f := signed.Folder(); f.Files != found.Files || signed.Size != found.Bytes {
		return r.refuse(lonja.Untrusted, fmt.Errorf("its owner has signed that it has %d files of %d bytes, and it has %d of %d",
			f.Files, signed.Size, found.Files, found.Bytes))
	}
	if r.how.Include != nil && len(r.wanted)+len(r.empty) == 0 {
		r.listed = !r.target.IsFresh() // what an earlier run has fetched stays
		return r.refuse(lonja.Invalid, errors.New("nothing in the folder matches"))
	}
	r.got.Files, r.entries = int64(len(r.wanted)), list.Totals().Entries
	r.progress.size.Store(r.got.Bytes)
	r.progress.files.Store(r.got.Files)
	return nil
}

// mostTold bounds the names that are told of many.
const mostTold = 10

// lookAround finds out what is there already under the names that are wanted. What
// is another file is refused, unless it may be replaced.
func (r *folderRun) lookAround(ctx context.Context) error {
	var same []int // in size
	var others []string
	for i := range r.wanted {
		w := &r.wanted[i]
		info, err := r.target.Look(w.local)
		switch {
		case err != nil:
			return err
		case info == nil:
		case info.Size() == w.Size:
			same = append(same, i)
		default:
			others = append(others, w.local)
		}
	}
	var mu sync.Mutex
	err := r.eachAtOnce(ctx, len(same), func(ctx context.Context, n int) error {
		w := &r.wanted[same[n]]
		info, isSame, err := r.hasContent(ctx, w)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			return err
		case !isSame:
			others = append(others, w.local)
			return nil
		}
		r.got.Kept++
		r.arrived(w)
		r.stock.add(int32(same[n]))
		return r.target.SetExecutable(w.local, info, w.Kind == folder.Executable)
	})
	if err != nil || len(others) == 0 || r.how.Force {
		r.linkSame()
		return err
	}
	return r.inTheWay(others)
}

// inTheWay is the error for files that may not be replaced.
func (r *folderRun) inTheWay(others []string) error {
	slices.Sort(others)
	text := strings.Join(others[:min(mostTold, len(others))], ", ")
	if len(others) > mostTold {
		text += fmt.Sprintf(" and %d more", len(others)-mostTold)
	}
	return lonja.E(lonja.LocalFile, "receive", fmt.Errorf("%s: other files are there already: %s; take another directory, or --force to replace them (%w)",
		lonja.Printable(r.how.Local), lonja.Printable(text), fs.ErrExist))
}

// eachAtOnce calls do with 0 to n-1, some at once.
func (r *folderRun) eachAtOnce(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range n {
		if running.Err() != nil {
			break
		}
		group.Go(func() error { return do(running, i) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return lonja.E(lonja.Canceled, "get", context.Cause(ctx))
	}
	return nil
}

// hasContent reports whether a file that is there has the content that is wanted.
func (r *folderRun) hasContent(ctx context.Context, w *want) (fs.FileInfo, bool, error) {
	f, err := r.target.OpenFile(w.local)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	stamp, err := hashing.StampOf(f)
	if err != nil {
		return nil, false, err
	}
	if _, known := r.Hashes.Get(stamp); known || w.Size > tree.PieceSize {
		held, err := r.Hashes.ID(ctx, f, hashingOptions, r.notRemembered)
		return held.Info, err == nil && held.ID == w.ID, err
	}
	// To remember a million small ones would take longer than to hash them, and have
	// large ones forgotten.
	info, err := f.Stat()
	if err != nil {
		return nil, false, lonja.E(lonja.LocalFile, "look at", err)
	}
	content := make([]byte, w.Size)
	n, err := f.ReadAt(content, 0)
	return info, n == len(content) && info.Size() == w.Size && tree.Sum(content) == w.ID, ignoreEnd(err)
}

func ignoreEnd(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	return lonja.E(lonja.LocalFile, "read", err)
}

// linkSame has each missing file know the first with the same content.
func (r *folderRun) linkSame() {
	r.byID = make([]int32, len(r.wanted))
	for i := range r.byID {
		r.byID[i] = int32(i)
	}
	slices.SortFunc(r.byID, func(a, b int32) int {
		return cmp.Or(bytes.Compare(r.wanted[a].ID[:], r.wanted[b].ID[:]), cmp.Compare(a, b))
	})
	var first *want
	for _, i := range r.byID {
		switch w := &r.wanted[i]; {
		case w.here:
		case first != nil && first.ID == w.ID:
			w.first = first.first
		default:
			first = w
		}
	}
}

// reuse takes what is here already: what a run before this one left, other files of
// the directory, and what is published from here.
func (r *folderRun) reuse(ctx context.Context) error {
	missing := make(map[lonja.FileID]int32)
	sizes := make(map[int64]bool)
	for i := range r.wanted {
		if w := &r.wanted[i]; !w.here && int(w.first) == i {
			missing[w.ID], sizes[w.Size] = w.first, true
		}
	}
	if err := errors.Join(r.makeEmpty(missing), r.reuseLeft(missing)); err != nil {
		return err
	}
	if !r.target.IsFresh() {
		if err := r.reuseNearby(ctx, missing, sizes); err != nil {
			return err
		}
	}
	return r.reusePublished(ctx, missing)
}

// makeEmpty makes the first file that has nothing in it.
func (r *folderRun) makeEmpty(missing map[lonja.FileID]int32) error {
	i, wanted := missing[tree.Sum(nil)]
	if !wanted || r.wanted[i].Size != 0 {
		return nil
	}
	if err := r.target.Put(r.item(i), nil); err != nil {
		return err
	}
	r.got.Copied++
	r.arrived(&r.wanted[i])
	return nil
}

func (r *folderRun) reuseLeft(missing map[lonja.FileID]int32) error {
	return r.target.Left(func(name string) error {
		id, err := incoming.IDOf(name)
		if err != nil {
			return nil
		}
		i, wanted := missing[id]
		if !wanted || r.wanted[i].here || r.wanted[i].Size > tree.PieceSize {
			return nil
		}
		content, err := r.target.TakeLeft(name)
		if err != nil || len(content) > tree.PieceSize || tree.Sum(content) != id {
			return err
		}
		if err := r.target.Put(r.item(i), content); err != nil {
			return err
		}
		r.got.Kept++
		r.arrived(&r.wanted[i])
		return nil
	})
}

// reuseNearby looks for contents among the files of the directory that have the size
// of one that is missing.
func (r *folderRun) reuseNearby(ctx context.Context, missing map[lonja.FileID]int32, sizes map[int64]bool) error {
	var nearby []string
	err := r.target.Files(func(local string, info fs.FileInfo) {
		if sizes[info.Size()] {
			nearby = append(nearby, local)
		}
	})
	if err != nil {
		return err
	}
	for _, local := range nearby {
		f, err := r.target.OpenFile(local)
		if err != nil {
			continue // it is of no use then
		}
		held, err := r.Hashes.ID(ctx, f, hashingOptions, r.notRemembered)
		if err == nil {
			if i, wanted := missing[held.ID]; wanted && !r.wanted[i].here {
				err = r.take(ctx, i, f)
			}
		}
		_ = f.Close()
		if err != nil && !errors.Is(err, lonja.Conflict) {
			return err
		}
	}
	return nil
}

// reusePublished takes what this user publishes from here.
func (r *folderRun) reusePublished(ctx context.Context, missing map[lonja.FileID]int32) error {
	if r.files.Digest().Count == 0 {
		return nil
	}
	self := r.member(r.as.user)
	for id, i := range missing {
		if r.wanted[i].here {
			continue
		}
		f, _, err := r.files.OpenContent(id, self, func([]lonja.PublicKey) bool { return true })
		if err != nil {
			continue // it is fetched
		}
		err = r.take(ctx, i, f)
		_ = f.Close()
		if err != nil && !errors.Is(err, lonja.Conflict) {
			return err
		}
	}
	return nil
}

var errOther = errors.New("it has another content by now")

// take copies what an open file has to be wanted[i], if that is its content; otherwise the
// error is of kind Conflict.
func (r *folderRun) take(ctx context.Context, i int32, src *os.File) error {
	w := &r.wanted[i]
	if w.Size <= tree.PieceSize {
		content := make([]byte, w.Size)
		if _, err := io.ReadFull(io.NewSectionReader(src, 0, w.Size), content); err != nil || tree.Sum(content) != w.ID {
			return lonja.E(lonja.Conflict, "copy", errOther)
		}
		if err := r.target.Put(r.item(i), content); err != nil {
			return err
		}
	} else {
		err := r.target.Copy(r.item(i), src, func(f *os.File) error {
			held, err := hashing.File(ctx, f, hashingOptions)
			if err == nil && held.ID != w.ID {
				err = lonja.E(lonja.Conflict, "copy", errOther)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	r.got.Copied++
	r.arrived(w)
	return nil
}

// copySame copies what is here under one name to the others that it has.
func (r *folderRun) copySame(ctx context.Context) error {
	if err := r.target.Flush(); err != nil {
		return err
	}
	for i := range r.wanted {
		w := &r.wanted[i]
		if w.here {
			continue
		}
		f, err := r.target.OpenFile(r.wanted[w.first].local)
		if err != nil {
			return err
		}
		err = r.take(ctx, int32(i), f)
		_ = f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
