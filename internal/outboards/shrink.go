package outboards

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lonja/internal/tree"
)

// onePiece is the size up to which a content has no outboard.
const onePiece = tree.PieceSize

// block is what a file takes on the disk, at least, in bytes.
const block = 4 << 10

func onDisk(size int64) int64 { return (size + block - 1) / block * block }

// forgotten is how old a file is, that is not whole, when it is what a crash has
// left.
const forgotten = 24 * time.Hour

// shrink is called when an outboard of that name and size was added. Now and then
// it looks through the directory, which other processes add to as well, and removes
// what was not used longest until a quarter is free.
func (s *Store) shrink(name string, size int64) {
	s.shrinking.Lock()
	defer s.shrinking.Unlock()
	if s.added >= 0 {
		if s.added += onDisk(size); s.added < s.opts.MaxBytes/16 {
			return
		}
	}
	s.added = 0
	files, total := s.look()
	if total <= s.opts.MaxBytes {
		return
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files {
		if total <= s.opts.MaxBytes*3/4 {
			return
		}
		if f.Name() != name && s.removeNamed(f.Name()) {
			total -= onDisk(f.Size())
		}
	}
}

// look returns the outboards, and what they take on the disk; what a crash has left
// is removed.
func (s *Store) look() (files []os.FileInfo, total int64) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		s.opts.Log.Warn("hashes of pieces are not cleared away", slog.Any("error", err))
	}
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil || !info.Mode().IsRegular():
		case !strings.HasPrefix(e.Name(), newPrefix):
			files = append(files, info)
			total += onDisk(info.Size())
		case time.Since(info.ModTime()) > forgotten:
			s.removeNamed(e.Name())
		}
	}
	return files, total
}

func (s *Store) removeNamed(name string) bool {
	err := os.Remove(filepath.Join(s.dir, name))
	if err != nil {
		s.opts.Log.Debug("hashes of pieces are not cleared away", slog.Any("error", err))
	}
	return err == nil
}
