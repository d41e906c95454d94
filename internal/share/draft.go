package share

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/folder"
)

// A Look says how a directory is looked through.
type Look struct {
	// Hash finds out the content of a file, which it does not close. It is called by
	// several goroutines at once. It returns the file as it was when it was hashed.
	Hash func(ctx context.Context, f *os.File) (lonja.FileID, fs.FileInfo, error)
	// Skip, if set, reports whether what has that name is left out, and a directory
	// with all that is in it. Nobody is told.
	Skip func(name string) bool
	// LeftOut, if set, is told what else cannot be published, and why.
	LeftOut func(path, why string)
}

// A Draft is a folder that can be published: OfferFolder. Close it in the end.
type Draft struct {
	Totals folder.Totals

	place place
	list  *os.File
	seen  *os.File
	size  int64 // of the list
}

// List returns the list, to be hashed. It is closed with the Draft.
func (d *Draft) List() *os.File { return d.list }

// Size returns the size of the list in bytes.
func (d *Draft) Size() int64 { return d.size }

// Close gives the Draft up.
func (d *Draft) Close() error {
	err := errors.Join(d.list.Close(), d.seen.Close())
	// Those that are published have other names by now.
	_ = os.Remove(d.list.Name())
	_ = os.Remove(d.seen.Name())
	return err
}

// DraftFolder looks through the directory at path, which is absolute and its real
// path, and has all files in it hashed. Symbolic links are not followed, what is
// neither a file nor a directory is left out, and so are names that are not UTF-8.
//
// The error is of kind Invalid for what cannot be published, LocalFile for what
// cannot be read or kept, what Hash says, and of kind Canceled.
func (s *Set) DraftFolder(ctx context.Context, path string, look Look) (*Draft, error) {
	if s.store == nil {
		return nil, lonja.E(lonja.LocalFile, "publish", errForgetful)
	}
	d, err := s.store.newDraft(path)
	if err != nil {
		return nil, err
	}
	if err := d.fill(ctx, look); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

func (s *store) newDraft(path string) (*Draft, error) {
	where, err := splitReal(path)
	if err == nil && (climbs(path) || where.path() != filepath.Clean(path)) {
		err = errMoved
	}
	if err == nil {
		info, statErr := os.Lstat(path)
		if err = statErr; err == nil && !info.IsDir() {
			err = errors.New("it is not a directory")
		}
	}
	if err != nil {
		return nil, lonja.E(lonja.Invalid, "publish", fmt.Errorf("%s: %w", lonja.Printable(path), plainCause(err)))
	}
	d := &Draft{place: where}
	if err = os.MkdirAll(s.foldersDir(), 0o700); err == nil {
		if d.list, err = os.CreateTemp(s.foldersDir(), draftPrefix+"*"+listEnding); err == nil {
			d.seen, err = os.CreateTemp(s.foldersDir(), draftPrefix+"*"+seenEnding)
		}
	}
	if err != nil {
		if d.list != nil {
			_ = os.Remove(d.list.Name())
			_ = d.list.Close()
		}
		return nil, lonja.E(lonja.LocalFile, "list a folder", err)
	}
	return d, nil
}

// A found is an entry that is being hashed.
type found struct {
	entry folder.Entry
	seen  seen
	gone  bool // since its directory was read
	done  chan struct{}
}

// lookAhead is how many files are hashed at once, or wait for their turn in the
// list.
const lookAhead = 256

// fill looks through the directory, hashes, and writes, all at once.
func (d *Draft) fill(ctx context.Context, look Look) error {
	if look.LeftOut == nil {
		look.LeftOut = func(string, string) {}
	}
	root, err := os.OpenRoot(d.place.path())
	if err != nil {
		return lonja.E(lonja.LocalFile, "list a folder", err)
	}
	defer root.Close()
	group, ctx := errgroup.WithContext(ctx)
	order, jobs := make(chan *found, lookAhead), make(chan *found, lookAhead)
	w := &walk{root: root, look: look, order: order, jobs: jobs}
	group.Go(func() error {
		defer close(order)
		defer close(jobs)
		_, err := w.directory(ctx, "")
		return err
	})
	for range 2 * runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			for f := range jobs {
				if err := w.hash(ctx, f); err != nil {
					return err
				}
				close(f.done)
			}
			return nil
		})
	}
	group.Go(func() error { return d.write(ctx, order, look) })
	return group.Wait()
}

// A walk goes through a directory.
type walk struct {
	root        *os.Root
	look        Look
	order, jobs chan<- *found
}

// directory goes through one below the root, "" being that, and returns how many
// entries are in it.
func (w *walk) directory(ctx context.Context, rel string) (entries int, err error) {
	names, err := w.read(rel)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		path := strings.TrimPrefix(rel+"/"+name.Name(), "/")
		switch {
		case w.look.Skip != nil && w.look.Skip(name.Name()):
			continue
		case !utf8.ValidString(name.Name()):
			w.look.LeftOut(path, "its name is not UTF-8")
			continue
		case name.IsDir():
			if err := w.subdirectory(ctx, path); err != nil {
				return 0, err
			}
		case name.Type().IsRegular():
			if err := w.put(ctx, folder.Entry{Path: path, Kind: folder.File}); err != nil {
				return 0, err
			}
		case name.Type()&fs.ModeSymlink != 0:
			w.look.LeftOut(path, "it is a symbolic link, which is not followed")
			continue
		default:
			w.look.LeftOut(path, "it is neither a file nor a directory")
			continue
		}
		entries++
	}
	return entries, nil
}

func (w *walk) subdirectory(ctx context.Context, path string) error {
	within, err := w.directory(ctx, path)
	if err == nil && within == 0 {
		err = w.put(ctx, folder.Entry{Path: path, Kind: folder.EmptyDirectory})
	}
	return err
}

// read returns what is in a directory, in the order of the bytes of its name.
func (w *walk) read(rel string) ([]fs.DirEntry, error) {
	info, err := w.root.Lstat(filepath.Join(".", rel))
	if err == nil && !info.IsDir() {
		err = errMoved
	}
	var names []fs.DirEntry
	if err == nil {
		dir, openErr := w.root.Open(filepath.Join(".", rel))
		if err = openErr; err == nil {
			names, err = dir.ReadDir(-1)
			_ = dir.Close()
		}
	}
	if err != nil {
		return nil, lonja.E(lonja.LocalFile, "read the directory "+lonja.Printable(rel), plainCause(err))
	}
	slices.SortFunc(names, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return names, nil
}

func (w *walk) put(ctx context.Context, e folder.Entry) error {
	f := &found{entry: e, done: make(chan struct{})}
	targets := []chan<- *found{w.order, w.jobs}
	if !e.IsFile() {
		close(f.done)
		targets = targets[:1]
	}
	for _, to := range targets {
		select {
		case to <- f:
		case <-ctx.Done():
			return lonja.E(lonja.Canceled, "list a folder", context.Cause(ctx))
		}
	}
	return nil
}

// hash completes an entry.
func (w *walk) hash(ctx context.Context, f *found) error {
	file, err := w.root.OpenFile(f.entry.Path, openFlags, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f.gone = true
		return nil
	}
	if err != nil {
		return lonja.E(lonja.LocalFile, "open "+lonja.Printable(f.entry.Path), plainCause(err))
	}
	defer file.Close()
	id, info, err := w.look.Hash(ctx, file)
	if err != nil {
		return err
	}
	f.entry.ID, f.entry.Size, f.seen = id, info.Size(), seenOf(info)
	if info.Mode()&0o111 != 0 {
		f.entry.Kind = folder.Executable
	}
	return nil
}

// write writes the entries down, in order.
func (d *Draft) write(ctx context.Context, order <-chan *found, look Look) error {
	list, seen := bufio.NewWriterSize(d.list, 64<<10), bufio.NewWriterSize(d.seen, 64<<10)
	w := folder.NewWriter(list)
	_, _ = seen.WriteString(seenMagic) // the first error is told again
	for f := range order {
		select {
		case <-f.done:
		case <-ctx.Done():
			return lonja.E(lonja.Canceled, "list a folder", context.Cause(ctx))
		}
		if f.gone {
			look.LeftOut(f.entry.Path, "it is not there any more")
			continue
		}
		if err := w.Add(f.entry); err != nil {
			return err
		}
		if _, err := seen.Write(f.seen.append(nil)); err != nil {
			return lonja.E(lonja.LocalFile, "list a folder", err)
		}
	}
	if ctx.Err() != nil { // the walk may have ended because of it
		return lonja.E(lonja.Canceled, "list a folder", context.Cause(ctx))
	}
	totals, err := w.Close()
	if err == nil {
		err = errors.Join(list.Flush(), seen.Flush())
	}
	info, statErr := d.list.Stat()
	if err = errors.Join(err, statErr); err != nil {
		return lonja.E(lonja.LocalFile, "list a folder", err)
	}
	d.Totals, d.size = totals, info.Size()
	return nil
}
