package node

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"lonja"
	"lonja/internal/folder"
	"lonja/internal/incoming"
	"lonja/internal/share"
)

// A FolderFetching is a folder that is to be fetched. Local is the directory that it
// becomes, and Progress is told how many bytes are here of what is wanted. Started is not called.
type FolderFetching struct {
	Fetching
	Include func(path string) bool // what of it is wanted; nil: all
	// Going, if not nil, is told whom to ask how it goes, before anything is fetched.
	Going   func(*FolderProgress)
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
	r := newFolderRun(e, target, holders, f)
	r.as = asking{e.user, e.peers(ctx)}
	if f.Going != nil {
		f.Going(r.progress)
	}
	err = r.run(ctx)
	if err != nil && !r.listed {
		err = errors.Join(err, target.Discard())
	}
	err = errors.Join(err, target.Close())
	r.summarize()
	return r.got, err
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

// First returns the holder that stands for all of them: one of those who say what
// most say.
func (c Choice) First() lonja.Holder {
	if c.IsFolder() {
		if most := folderHolders(c.Holders); len(most) > 0 {
			return most[0]
		}
	}
	return c.Holders[0]
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

// A want is a file that is wanted of a folder.
type want struct {
	folder.Entry
	local  string
	number uint32 // of the entry in the list
	first  int32  // of those with the same content; itself for most
	here   bool
}

// item returns what the target is to make of wanted[i].
func (r *folderRun) item(i int32) incoming.Item {
	w := &r.wanted[i]
	return incoming.Item{ID: w.ID, Local: w.local, Executable: w.Kind == folder.Executable, Number: i}
}

// A folderRun is one call of FetchFolder.
type folderRun struct {
	*secureDialect
	as       asking
	files    *share.Set // what is published from here
	target   *incoming.Target
	holders  []lonja.Holder
	how      FolderFetching
	crowd    *folderCrowd
	audience *audience
	progress *FolderProgress

	listed  bool    // the list is here
	wanted  []want  // in the order of the list
	byID    []int32 // all of them, by their contents
	stock   *folderStock
	empty   []string // the directories that are to be made
	entries int64    // of the list

	mu    sync.Mutex // guards the rest
	got   FetchedFolder
	liars []lonja.UserName
}

func newFolderRun(e *Errand, target *incoming.Target, holders []lonja.Holder, f FolderFetching) *folderRun {
	r := &folderRun{
		secureDialect: e.dialect, files: e.files, target: target, holders: holders, how: f,
		crowd: newFolderCrowd(e.dialect), audience: newAudience(holders),
		got: FetchedFolder{Fetched: Fetched{ID: holders[0].Proof.File, Name: holders[0].Name}},
	}
	if r.how.Progress == nil {
		r.how.Progress = func(int64) {}
	}
	r.progress = &FolderProgress{crowd: r.crowd}
	r.stock = newFolderStock(r)
	target.OnNamed(r.stock.add)
	r.progress.size.Store(holders[0].Size)
	r.progress.files.Store(holders[0].Publication().Folder().Files)
	return r
}

func (r *folderRun) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		r.fetchList, r.readList, r.lookAround, r.reuse, r.makeRoom, r.fetchFiles, r.copySame,
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
	r.listed = r.target.IsResumed() // what came before stays, if this list cannot be had
	if r.listIsHere(ctx) {
		r.listed = true
		return nil
	}
	if size := r.holders[0].Publication().ContentSize(); size > folder.MaxListSize {
		return r.refuse(lonja.Malformed, fmt.Errorf("a list of %d bytes is no folder's", size))
	}
	defer r.progress.fetchesList(nil)
	got, err := r.fetchFromAll(ctx, r.as, r.holders, fetch{
		remote: r.askedFor(), local: r.target.ListPath(), from: r.how.From, force: true, started: r.progress.fetchesList,
	})
	if err != nil {
		return err
	}
	r.listed = true
	r.got.From, r.liars = got.From, got.Liars
	return nil
}

// askedFor is what of all is asked of holders: the folder.
func (r *folderRun) askedFor() lonja.FileName { return askedFor(lonja.Wanted{File: r.got.ID}) }

func (r *folderRun) listIsHere(ctx context.Context) bool {
	list, err := r.target.OpenList()
	if err != nil {
		return false
	}
	defer list.Close()
	held, err := r.Hashes.ID(ctx, list, hashingOptions, r.notRemembered)
	return err == nil && held.ID == r.got.ID
}

func (r *folderRun) lied(user lonja.UserName, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.liars = append(r.liars, user)
}

func (r *folderRun) refuse(kind lonja.Kind, err error) error {
	return &lonja.Error{Kind: kind, Op: "get", File: r.got.Name, Err: err}
}

// arrived counts a file that is here. Each is of one goroutine.
func (r *folderRun) arrived(w *want) {
	w.here = true
	r.progress.here.Add(1)
	r.progress.come.Add(w.Size)
	r.how.Progress(r.progress.Received())
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
