package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"lonja"
)

// partialEndings are those of files that programs are still receiving.
var partialEndings = []string{".part", ".partial", ".crdownload", ".download", ".tmp", ".swp", "~"}

// leftOut reports whether a file or directory by that name is not published with
// the directory that it is in: hidden ones, and what is not finished.
func leftOut(base string) bool {
	return strings.HasPrefix(base, ".") ||
		slices.ContainsFunc(partialEndings, func(end string) bool { return strings.HasSuffix(base, end) })
}

// walkBelow calls each with the directories and regular files in dir, itself first,
// in order, but for those that are left out. Symbolic links are not followed. What
// cannot be read is passed over, but for dir itself.
func walkBelow(ctx context.Context, dir string, each func(path string, entry fs.DirEntry)) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && path == dir:
			return err
		case err != nil && errors.Is(err, fs.ErrNotExist), err != nil && entry == nil:
			return nil
		case err != nil:
			return fs.SkipDir
		case path != dir && leftOut(entry.Name()):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir() || entry.Type().IsRegular():
			each(path, entry)
		}
		return nil
	})
}

// filesBelow returns the files in dir.
func filesBelow(ctx context.Context, dir string) (files []string, err error) {
	err = walkBelow(ctx, dir, func(path string, entry fs.DirEntry) {
		if !entry.IsDir() {
			files = append(files, path)
		}
	})
	return files, err
}

// nameBelow is the name under which a file in dir is published: its path there,
// below top.
func nameBelow(dir, file, top string) lonja.FileName {
	rel, err := filepath.Rel(dir, file)
	if err != nil {
		rel = filepath.Base(file) // it is below dir
	}
	return lonja.FileName(top + "/" + filepath.ToSlash(rel))
}
