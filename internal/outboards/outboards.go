// Package outboards keeps the hashes of the pieces of files of this machine, by
// file id, in a directory for what can be made again: outboards, as package tree
// has them. They are made when a file is hashed to be published, or when somebody
// asks for those of a file that was hashed before.
//
// It opens no file but its own: those to be hashed are handed in, open, by whoever
// got them from package share. node gives outboards to fileserver.
package outboards

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lonja"
	"lonja/internal/tree"
)

// Options bound a Store. What is zero gets the value in parentheses.
type Options struct {
	// MaxBytes is what the outboards may take on the disk, about (1 GiB: those of
	// contents of 32 TiB, or of 262,144 small ones). Who was not asked for longest
	// goes first.
	MaxBytes int64
	MaxJobs  int           // files that wait to be hashed (64)
	Patience time.Duration // for a file to be hashed, before who asks is told to come back (4 s)
	Log      *slog.Logger  // nil for none
}

// A Store is a directory of outboards, which any number of processes may use. Its
// methods may be called by any number of goroutines at once. Close it.
type Store struct {
	dir  string
	opts Options

	jobs jobs

	mu      sync.Mutex                   // guards checked
	checked map[lonja.FileID]fs.FileInfo // the files that were found to be sound

	shrinking sync.Mutex // guards added; held over the disk, so that one clears away at a time
	added     int64      // bytes, since the directory was looked through; <0: it never was
}

// New returns the Store in the directory dir, which is made when there is something
// to keep.
func New(dir string, opts Options) *Store {
	opts.MaxBytes = cmp.Or(opts.MaxBytes, 1<<30)
	opts.MaxJobs = cmp.Or(opts.MaxJobs, 64)
	opts.Patience = cmp.Or(opts.Patience, 4*time.Second)
	opts.Log = cmp.Or(opts.Log, slog.New(slog.DiscardHandler))
	s := &Store{dir: dir, opts: opts, checked: make(map[lonja.FileID]fs.FileInfo), added: -1}
	s.jobs.begin(opts.MaxJobs)
	return s
}

// Close ends the hashing that is under way, and waits for that. What was got from
// the Store is good still.
func (s *Store) Close() error {
	s.jobs.end()
	return nil
}

func failed(op string, err error) error { return lonja.E(lonja.LocalFile, op, err) }

func (s *Store) path(id lonja.FileID) string { return filepath.Join(s.dir, id.String()) }

// A Reader reads an outboard that was checked, whatever becomes of the Store.
type Reader struct {
	io.ReaderAt
	Size  int64 // bytes
	close func() error
}

// Close gives the Reader up.
func (r Reader) Close() error { return r.close() }

// Find returns the outboard of a content, which has more than one piece, if it is
// there and sound. The error is fs.ErrNotExist if it is not, and of kind LocalFile.
func (s *Store) Find(id lonja.FileID) (Reader, error) {
	// O_NONBLOCK: not to wait for the writer of a FIFO.
	f, err := os.OpenFile(s.path(id), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return Reader{}, failed("open the hashes of pieces", err)
	}
	info, err := f.Stat()
	if err == nil && !s.isSound(f, info, id) {
		s.opts.Log.Warn("the hashes of a file were damaged and are made anew", slog.String("file", id.String()))
		err = errors.Join(fs.ErrNotExist, os.Remove(s.path(id)))
	}
	if err != nil {
		_ = f.Close()
		return Reader{}, failed("look at the hashes of pieces", err)
	}
	s.use(id, info)
	return Reader{f, info.Size(), f.Close}, nil
}

// isSound checks all of an outboard, once: files here are never written to again.
func (s *Store) isSound(f *os.File, info fs.FileInfo, id lonja.FileID) bool {
	if s.wasChecked(id, info) {
		return true
	}
	if !info.Mode().IsRegular() || check(f, info.Size(), id) != nil {
		return false
	}
	s.remember(id, info)
	return true
}

// check reads every page.
func check(src io.ReaderAt, size int64, id lonja.FileID) error {
	o, err := tree.OpenOutboard(src, id)
	if err != nil {
		return err
	}
	l := o.Layout()
	if size != l.OutboardSize() || l.Levels() == 0 {
		return errors.New("it has another size")
	}
	for piece := int64(0); piece < l.Pieces(); piece += tree.PageHashes {
		if _, err := o.Piece(piece); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) wasChecked(id lonja.FileID, info fs.FileInfo) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.checked[id]
	return before != nil && os.SameFile(before, info) && before.Size() == info.Size() && before.ModTime().Equal(info.ModTime())
}

// mostChecked bounds how many are remembered to be sound.
const mostChecked = 1 << 14

func (s *Store) remember(id lonja.FileID, info fs.FileInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.checked) >= mostChecked {
		clear(s.checked)
	}
	s.checked[id] = info
}

// usedAgain is how long the time of a file stays as it is when it is used: often
// enough to know which ones are not.
const usedAgain = time.Hour

// use notes, in the time of the file, that it was used now.
func (s *Store) use(id lonja.FileID, info fs.FileInfo) {
	now := time.Now()
	if now.Sub(info.ModTime()) < usedAgain {
		return
	}
	if err := os.Chtimes(s.path(id), now, now); err != nil {
		s.opts.Log.Debug("that hashes are used is not noted", slog.Any("error", err))
	}
}

// Get returns the outboard of a content that has more than one piece: what is
// there, or else made from the file that open returns, which Get closes. One file
// is hashed at a time. Who gives up does not end the hashing: the next one who asks
// has the benefit.
//
// The error is of kind Conflict if the file is not the content, Limited if it takes
// too long or too many wait already, Canceled if ctx ended, what open says, and of
// kind LocalFile.
func (s *Store) Get(ctx context.Context, id lonja.FileID, open func() (*os.File, error)) (Reader, error) {
	r, err := s.Find(id)
	if !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	j, err := s.jobs.get(id, func(ctx context.Context) error { return s.make(ctx, id, open) })
	if err != nil {
		return Reader{}, err
	}
	late := time.NewTimer(s.opts.Patience)
	defer late.Stop()
	select {
	case <-j.done:
	case <-late.C:
		return Reader{}, lonja.E(lonja.Limited, "hash", errors.New("it takes long: ask again later"))
	case <-ctx.Done():
		return Reader{}, lonja.E(lonja.Canceled, "hash", context.Cause(ctx))
	}
	if j.err != nil {
		return Reader{}, j.err
	}
	return s.Find(id)
}
