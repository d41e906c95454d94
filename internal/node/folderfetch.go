package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync/atomic"

	"lonja"
	"lonja/internal/folder"
	"lonja/internal/folderfetch"
	"lonja/internal/incoming"
	"lonja/internal/share"
	"lonja/internal/tree"
)

// A FolderFetching is a folder that is to be fetched. Local is the directory that it
// becomes, and Progress is told how many bytes are here of what is wanted.
type FolderFetching struct {
	Fetching
	Include func(path string) bool // what of it is wanted; nil: all
	// Begin is told how many bytes are wanted, once that is known, and returns the
	// Progress; or nil.
	Begin   func(bytes int64) func(int64)
	Renamed func(path string, name string) // is told what has another name here; or nil
}

// A FetchedFolder is what came of fetching a folder.
type FetchedFolder struct {
	Fetched       // Bytes are those of all files that were wanted
	Files   int64 // that were wanted
	Kept    int64 // of them, those that were there already
	Copied  int64 // and those whose content was here
}

// FetchFolder fetches a folder, or what is wanted of it, from all its holders at
// once. No file is ever half there; what has come stays, and the next call with the
// same directory goes on with it. Errors are as for Fetch: of kind LocalFile if
// another file has a name that one of the folder is to have, without Force. It is
// of kind Malformed if what is signed as a folder is none.
func (e *Errand) FetchFolder(ctx context.Context, f FolderFetching) (FetchedFolder, error) {
	holders := folderHolders(f.Choice.Holders)
	if len(holders) == 0 {
		return FetchedFolder{}, lonja.E(lonja.Invalid, "get", errors.New("it is a file, not a folder"))
	}
	target, err := incoming.Open(f.Local, f.Force)
	if err != nil {
		return FetchedFolder{}, err
	}
	r := &folderRun{
		secureDialect: e.dialect, as: asking{e.user, e.peers(ctx)}, files: e.files, target: target, holders: holders, how: f,
		got: FetchedFolder{Fetched: Fetched{ID: holders[0].Proof.File, Name: holders[0].Name}},
	}
	if r.how.Progress == nil {
		r.how.Progress = func(int64) {}
	}
	err = r.run(ctx)
	if err != nil && !r.listed {
		target.Discard()
	}
	return r.got, errors.Join(err, target.Close())
}

// IsFolder reports whether most of those who have a content have signed that it is
// the list of a folder.
func (c Choice) IsFolder() bool {
	folders := 0
	for _, h := range c.Holders {
		if h.Publication().Folder() != nil {
			folders++
		}
	}
	return 2*folders > len(c.Holders)
}

// folderHolders returns those who have signed that it is a folder, and what most of
// them say of it: somebody can sign anything.
func folderHolders(holders []lonja.Holder) []lonja.Holder {
	type said struct {
		folder lonja.Folder
		bytes  int64
	}
	groups := make(map[said][]lonja.Holder)
	var most []lonja.Holder
	for _, h := range holders {
		f := h.Publication().Folder()
		if f == nil || h.Reach == nil {
			continue
		}
		key := said{*f, h.Size}
		groups[key] = append(groups[key], h)
		if len(groups[key]) > len(most) {
			most = groups[key]
		}
	}
	return most
}

// folderNotFile is the error for a folder where a file is wanted.
func folderNotFile(name lonja.FileName, id lonja.FileID) error {
	return &lonja.Error{
		Kind: lonja.Invalid, Op: opFetchFile, File: name,
		Err: fmt.Errorf("it is a folder: \"lonja get %s\" fetches it", id),
	}
}

// A within is a file of a folder.
type within struct {
	id   lonja.FileID
	name lonja.FileName
	size int64
	mode fs.FileMode
}

// A want is a file that is wanted of a folder.
type want struct {
	folder.Entry
	local string
	first int32 // of those with the same content; itself for most
	here  bool
}

func (w *want) item() incoming.Item {
	return incoming.Item{ID: w.ID, Local: w.local, Executable: w.Kind == folder.Executable}
}

// A folderRun is one call of FetchFolder.
type folderRun struct {
	*secureDialect
	as      asking
	files   *share.Set // what is published from here
	target  *incoming.Target
	holders []lonja.Holder
	how     FolderFetching
	got     FetchedFolder

	listed bool     // the list is here
	wanted []want   // in the order of the list
	empty  []string // the directories that are to be made
	come   atomic.Int64
	liars  users
}

func (r *folderRun) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		r.fetchList, r.readList, r.lookAround, r.reuse, r.makeRoom, r.fetchSmall, r.fetchBig, r.copySame,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	for _, dir := range r.empty {
		if err := r.target.Directory(dir); err != nil {
			return err
		}
	}
	return r.target.Finish()
}

// fetchList has the list be here.
func (r *folderRun) fetchList(ctx context.Context) error {
	if r.listIsHere(ctx) {
		r.listed = true
		return nil
	}
	if size := r.holders[0].Publication().ContentSize(); size > folder.MaxListSize {
		return r.refuse(lonja.Malformed, fmt.Errorf("a list of %d bytes is no folder's", size))
	}
	got, err := r.fetchFromAll(ctx, r.as, r.holders, fetch{
		remote: askedFor(lonja.Wanted{File: r.got.ID}), local: r.target.ListPath(), from: r.how.From, force: true,
	})
	if err != nil {
		return err
	}
	r.listed = true
	r.notice(got)
	return nil
}

func (r *folderRun) listIsHere(ctx context.Context) bool {
	list, err := r.target.OpenList()
	if err != nil {
		return false
	}
	defer list.Close()
	held, err := r.Hashes.ID(ctx, list, hashingOptions, r.notRemembered)
	return err == nil && held.ID == r.got.ID
}

// notice takes in whom a part of it came from.
func (r *folderRun) notice(part Fetched) {
	for _, user := range part.From {
		if !slices.Contains(r.got.From, user) {
			r.got.From = append(r.got.From, user)
		}
	}
	r.got.Liars = append(r.got.Liars, part.Liars...)
}

func (r *folderRun) refuse(kind lonja.Kind, err error) error {
	return &lonja.Error{Kind: kind, Op: "get", File: r.got.Name, Err: err}
}

// arrived counts bytes that are here.
func (r *folderRun) arrived(w *want) {
	w.here = true
	r.how.Progress(r.come.Add(w.Size))
}

// makeRoom checks that there is room for what is missing.
func (r *folderRun) makeRoom(context.Context) error {
	const block = 4 << 10 // what files take is a multiple of that on most file systems
	var bytes, files int64
	for i := range r.wanted {
		if w := &r.wanted[i]; !w.here {
			bytes += (w.Size + block - 1) / block * block
			files++
		}
	}
	return r.target.CheckRoom(bytes, files)
}

// fetchSmall fetches what is not bigger than a piece.
func (r *folderRun) fetchSmall(ctx context.Context) error {
	var index []int
	var wanted []folderfetch.Wanted
	for i := range r.wanted {
		if w := &r.wanted[i]; !w.here && int(w.first) == i && w.Size <= tree.PieceSize {
			index = append(index, i)
			wanted = append(wanted, folderfetch.Wanted{ID: w.ID, Size: w.Size})
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	var holders []folderfetch.Holder
	for _, h := range r.holders {
		holders = append(holders, folderfetch.Holder(r.swarmHolder(r.as, h, fetch{remote: askedFor(lonja.Wanted{File: r.got.ID})})))
	}
	result, err := folderfetch.Fetch(ctx, holders, wanted, folderfetch.Options{
		Name: r.got.Name, Log: r.opts.Log,
		Lied: func(user lonja.UserName, _ error) { r.liars.add(user) },
		Put: func(i int, content []byte) error {
			w := &r.wanted[index[i]]
			if err := r.target.Put(w.item(), content); err != nil {
				return err
			}
			r.arrived(w)
			return nil
		},
	})
	r.notice(Fetched{From: result.From, Liars: r.liars.all()})
	if err != nil {
		return err
	}
	return r.target.Flush()
}

// fetchBig fetches what is bigger than a piece, one after the other, each from all.
func (r *folderRun) fetchBig(ctx context.Context) error {
	for i := range r.wanted {
		w := &r.wanted[i]
		if w.here || int(w.first) != i || w.Size <= tree.PieceSize {
			continue
		}
		if err := r.target.Directory(path.Dir(w.local)); err != nil {
			return err
		}
		mode := fs.FileMode(0o666)
		if w.Kind == folder.Executable {
			mode = 0o777
		}
		before := r.come.Load()
		got, err := r.fetchFromAll(ctx, r.as, r.holders, fetch{
			remote: askedFor(lonja.Wanted{File: r.got.ID}), local: r.target.Path(w.local), from: r.how.From, force: r.how.Force,
			progress: func(n int64) { r.how.Progress(before + n) },
			within:   &within{w.ID, lonja.FileName(cmp.Or(path.Base(w.Path), w.Path)), w.Size, mode},
		})
		if err != nil {
			return err
		}
		r.notice(got)
		r.arrived(w)
	}
	return nil
}
