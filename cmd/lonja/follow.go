package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/node"
)

// A follower keeps what is published in step with what is in a directory. The
// system tells of changes; what it does not, a look at everything finds now and
// then. One goroutine runs it.
type follower struct {
	*asker
	cmd   *cobra.Command
	dir   string // its real path
	top   string // what names of files in it begin with
	offer node.Offer
	json  bool

	watcher *fsnotify.Watcher // nil where the system tells nothing
	deaf    bool              // it was said that the system does not tell of all
	known   map[string]fileState
	pending map[string]fileState // what is to be published once it is not written any more
}

// A fileState is what a file was when it was looked at.
type fileState struct {
	size     int64
	modified time.Time
}

func stateOf(info fs.FileInfo) fileState { return fileState{info.Size(), info.ModTime()} }

// A file that has not changed for so long is taken for finished.
const (
	settled     = time.Second
	settledLook = settled / 4
)

// errNotServing ends a follower whose session is gone for good.
var errNotServing = errors.New("the directory has ended the session: the account is gone, or this key may not act for it any more")

// errOtherProgram is what to do about a session that was taken over.
var errOtherProgram = errors.New("another program with the same key has connected as this user, so nothing is served from here any more; " +
	"start this one again to take over from it, or let each have a key of its own (\"lonja id add\")")

// ended returns why nothing is served any more.
func (f *follower) ended() error {
	if errors.Is(f.node.Ended(), lonja.TakenOver) {
		return &lonja.Error{Kind: lonja.TakenOver, Op: "share", User: f.user, Err: errOtherProgram}
	}
	return errNotServing
}

// run follows until ctx ends, which is no error.
func (f *follower) run(ctx context.Context, rescan time.Duration) error {
	var events chan fsnotify.Event
	var failures chan error
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		defer watcher.Close()
		f.watcher, events, failures = watcher, watcher.Events, watcher.Errors
	} else {
		f.sayDeaf(err)
	}
	if err := f.scan(ctx, f.dir); err != nil {
		return err
	}
	f.forgetGone(ctx)
	all, look := time.NewTicker(rescan), time.NewTicker(settledLook)
	defer all.Stop()
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-events:
			f.touched(ctx, event.Name)
		case err := <-failures: // it lost some
			f.log.Debug("the system lost changes", slog.Any("error", err))
			f.rescan(ctx)
		case <-all.C:
			f.rescan(ctx)
		case <-look.C:
			if !f.node.Serving() {
				return f.ended()
			}
			f.publishSettled(ctx)
		}
	}
}

// sayDeaf says once that changes may be seen late.
func (f *follower) sayDeaf(err error) {
	if !f.deaf {
		f.log.Warn("the system does not tell of all changes: they are found by looking now and then", slog.Any("error", err))
	}
	f.deaf = true
}

// rescan looks at everything. A directory that cannot be read, because its disk
// is away, say, leaves all as it is.
func (f *follower) rescan(ctx context.Context) {
	if err := f.scan(ctx, f.dir); err != nil {
		f.log.Warn("the shared directory cannot be read", slog.Any("error", err))
		return
	}
	f.forgetGone(ctx)
}

// scan looks at what is in dir, and watches it.
func (f *follower) scan(ctx context.Context, dir string) error {
	return walkBelow(ctx, dir, func(path string, entry fs.DirEntry) {
		if entry.IsDir() {
			f.watch(path)
			return
		}
		if info, err := entry.Info(); err == nil {
			f.seen(path, info)
		}
	})
}

func (f *follower) watch(dir string) {
	if f.watcher == nil {
		return
	}
	if err := f.watcher.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.sayDeaf(err)
	}
}

// seen takes note of a file that is to be published if it is not yet, or has
// changed. What an earlier run has published is left as it is: of many thousand
// files, to publish each again would keep the directory busy for minutes.
func (f *follower) seen(path string, info fs.FileInfo) {
	now := stateOf(info)
	if _, waits := f.pending[path]; waits || f.known[path] == now {
		return
	}
	if f.errand.IsPublished(f.offerOf(path), info) {
		f.known[path] = now
		return
	}
	f.pending[path] = now
}

// offerOf returns how a file is published.
func (f *follower) offerOf(path string) node.Offer {
	offer := f.offer
	offer.Path, offer.Name = path, nameBelow(f.dir, path, f.top)
	return offer
}

// touched looks at what the system says has changed.
func (f *follower) touched(ctx context.Context, path string) {
	rel, err := filepath.Rel(f.dir, path)
	if err != nil || slices.ContainsFunc(strings.Split(rel, string(filepath.Separator)), func(part string) bool {
		return part != "." && leftOut(part)
	}) {
		return
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.gone(ctx, path)
	case err != nil: // the next look at everything tells
	case info.IsDir():
		if err := f.scan(ctx, path); err != nil {
			f.log.Debug("cannot look into a directory", slog.String("path", path), slog.Any("error", err))
		}
	case info.Mode().IsRegular():
		f.seen(path, info)
	default: // a link in the place of a file, say
		f.gone(ctx, path)
	}
}

// publishSettled publishes what has not changed for a while.
func (f *follower) publishSettled(ctx context.Context) {
	for _, path := range slices.Sorted(maps.Keys(f.pending)) {
		if ctx.Err() != nil {
			return
		}
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() {
			delete(f.pending, path)
			f.gone(ctx, path)
			continue
		}
		now := stateOf(info)
		if now != f.pending[path] || time.Since(now.modified).Abs() < settled {
			f.pending[path] = now
			continue
		}
		delete(f.pending, path)
		if err := f.publish(f.cmd, f.offerOf(path), f.json); err != nil {
			f.log.Warn("a file is not published", slog.String("path", path), slog.Any("error", err))
			continue
		}
		f.known[path] = now
	}
}

// gone publishes no more what was at path, or below it.
func (f *follower) gone(ctx context.Context, path string) {
	_, known := f.known[path]
	_, waits := f.pending[path]
	if known || waits { // a file
		f.forget(ctx, path)
		return
	}
	for _, files := range []map[string]fileState{f.known, f.pending} {
		for file := range files {
			if strings.HasPrefix(file, path+string(filepath.Separator)) {
				f.forget(ctx, file)
			}
		}
	}
}

// forget publishes a file no more.
func (f *follower) forget(ctx context.Context, file string) {
	delete(f.known, file)
	delete(f.pending, file)
	name := nameBelow(f.dir, file, f.top)
	if published, there := f.errand.PathOf(name); there && published == file {
		f.withdraw(ctx, name)
	}
}

// forgetGone publishes no more what is not in the directory any more.
func (f *follower) forgetGone(ctx context.Context) {
	for _, l := range f.errand.Published() {
		file, ours := f.ours(l.Name)
		if !ours || l.Folder() != nil {
			continue
		}
		if info, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			f.forget(ctx, file)
		}
	}
}

// ours returns where a file is that is published as this directory's would be:
// what a person has published otherwise is left alone.
func (f *follower) ours(name lonja.FileName) (string, bool) {
	file, there := f.errand.PathOf(name)
	if !there || !strings.HasPrefix(file, f.dir+string(filepath.Separator)) {
		return "", false
	}
	return file, nameBelow(f.dir, file, f.top) == name
}

func (f *follower) withdraw(ctx context.Context, name lonja.FileName) {
	if err := f.errand.WithdrawName(ctx, name); err != nil && !errors.Is(err, lonja.NotPublished) {
		f.log.Warn("a file stays listed that is gone", slog.Any("name", name), slog.Any("error", err))
		return
	}
	_ = showUnpublished(f.cmd.OutOrStdout(), name, f.json) // an output that nobody reads ends the command itself
}
