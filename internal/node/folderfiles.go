package node

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/folder"
	"lonja/internal/folderfetch"
	"lonja/internal/swarm"
	"lonja/internal/tree"
	"lonja/internal/unfinished"
)

// bigAtOnce is how many files of more than a piece are fetched at once, beside the
// small ones: so that holders have something to send while one begins or ends. Each
// has a piece in memory for each of its connections.
const bigAtOnce = 3

// fetchFiles fetches what is missing: the small files many at a time, and beside
// them the big ones, some at once, each from all who have the folder or are fetching it too.
func (r *folderRun) fetchFiles(ctx context.Context) error {
	var small, big []int32
	for i := range r.wanted {
		switch w := &r.wanted[i]; {
		case w.here || int(w.first) != i:
		case w.Size <= tree.PieceSize:
			small = append(small, int32(i))
		default:
			big = append(big, int32(i))
		}
	}
	if len(small)+len(big) == 0 {
		return nil
	}
	for _, h := range r.holders {
		r.crowd.join(r.swarmHolder(r.as, h, fetch{remote: r.askedFor()}), false)
	}
	defer r.give()()
	defer r.lookOut(ctx)()
	all, running := errgroup.WithContext(ctx)
	all.Go(func() error { return r.fetchSmall(running, small) })
	all.Go(func() error { return r.fetchBig(running, big) })
	err := all.Wait()
	if err != nil && ctx.Err() != nil {
		return &lonja.Error{Kind: lonja.Canceled, Op: "get", File: r.got.Name, Err: context.Cause(ctx)}
	}
	return err
}

// lookOut keeps the crowd in step with who has the folder, until stop is called.
func (r *folderRun) lookOut(ctx context.Context) (stop func()) {
	look := &lookout{
		secureDialect: r.secureDialect, crowd: r.crowd, as: r.as, f: fetch{from: r.how.From}, id: r.got.ID,
		size: r.holders[0].Publication().ContentSize(), several: true, known: r.holders, audience: r.audience,
	}
	looking, cancel := context.WithCancel(ctx)
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		look.run(looking, r.crowd.hasLooked)
	}()
	return func() {
		cancel()
		<-looked
	}
}

// fetchSmall fetches what is not bigger than a piece: wanted[i] for each of these.
func (r *folderRun) fetchSmall(ctx context.Context, which []int32) error {
	if len(which) == 0 {
		return nil
	}
	wanted := func(n int) folderfetch.Wanted {
		w := &r.wanted[which[n]]
		return folderfetch.Wanted{ID: w.ID, Size: w.Size, Entry: w.number}
	}
	f, err := folderfetch.New(len(which), wanted, folderfetch.Options{
		Folder: r.got.ID, Entries: r.entries, Name: r.got.Name, Log: r.opts.Log, Lied: r.lied,
		QueuePatience: r.Rates.Queue,
		Put: func(n int, content []byte) error {
			if err := r.target.Put(r.item(which[n]), content); err != nil {
				return err
			}
			r.arrived(&r.wanted[which[n]])
			return nil
		},
	})
	if err != nil {
		return err
	}
	done := r.crowd.add(smallFiles{f})
	err = f.Run(ctx)
	done(nil)
	return errors.Join(err, r.target.Flush())
}

// fetchBig fetches what is bigger than a piece.
func (r *folderRun) fetchBig(ctx context.Context, which []int32) error {
	conns := 0 // as many as a swarm has by itself
	if len(which) > 1 {
		conns = 1
	}
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(bigAtOnce)
	for _, i := range which {
		if running.Err() != nil {
			break
		}
		group.Go(func() error { return r.fetchOne(running, i, conns) })
	}
	return group.Wait()
}

// fetchOne fetches wanted[i], which is of more than a piece, over so many connections to
// each holder.
func (r *folderRun) fetchOne(ctx context.Context, i int32, conns int) (err error) {
	w := &r.wanted[i]
	if ctx.Err() != nil {
		return lonja.E(lonja.Canceled, "get", context.Cause(ctx))
	}
	if err := r.target.Directory(path.Dir(w.local)); err != nil {
		return err
	}
	mode := fs.FileMode(0o666)
	if w.Kind == folder.Executable {
		mode = 0o777
	}
	dst, err := unfinished.Open(r.target.Path(w.local), unfinished.Options{ID: w.ID, Size: w.Size, Force: r.how.Force, Mode: mode})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave(dst, err)) }()
	s, err := swarm.New(swarm.Content{ID: w.ID, Size: w.Size, Name: lonja.FileName(cmp.Or(path.Base(w.Path), w.Path))}, dst, swarm.Options{
		Progress: func(int64) { r.how.Progress(r.progress.Received()) }, Log: r.opts.Log, Lied: r.lied, ConnsEach: conns,
		QueuePatience: r.Rates.Queue,
	})
	if err != nil {
		return err
	}
	defer r.giveBig(w.ID, s.Pieces())()
	done := r.crowd.add(bigFile{swarmCrowd{s}})
	if err = s.Run(ctx); err == nil {
		err = dst.Commit()
	}
	done(func() { r.progress.come.Add(s.Received()) }) // what is there of it is kept in any case
	if err == nil {
		w.here = true
		r.progress.here.Add(1)
		r.stock.add(i)
	}
	return err
}

// summarize says whom it came from.
func (r *folderRun) summarize() {
	list := r.got.From
	r.got.From = nil
	for _, h := range r.crowd.states() {
		if h.Bytes > 0 && !slices.Contains(r.got.From, h.User) {
			r.got.From = append(r.got.From, h.User)
		}
	}
	for _, user := range list {
		if !slices.Contains(r.got.From, user) {
			r.got.From = append(r.got.From, user)
		}
	}
	slices.Sort(r.liars)
	r.got.Liars = slices.Compact(r.liars)
}
