// Package hashing finds out which content a file of this machine has: it hashes
// open files on all cores, and remembers, in a Cache, the ids of files that have
// not changed since.
//
// It opens no file but the cache's own: those to be hashed are handed in, open,
// by whoever got them from package share. What is hashed, and how, is package
// tree's matter.
package hashing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/tree"
)

// Options say how a file is hashed. The zero Options are usable.
type Options struct {
	Workers int // pieces that are hashed at once (as many as there are processors)

	// Progress, if set, is told now and then how many bytes are done. It is
	// called from several goroutines at once and must not wait.
	Progress func(done int64)

	// Outboard, if set, gets the hashes of the pieces, as tree.Outboard reads
	// them. What was written before a failure is of no use.
	Outboard io.WriterAt
}

// A Result is what a file holds, and what it was when it was read.
type Result struct {
	ID    lonja.FileID
	Stamp Stamp
	Info  os.FileInfo // as of when Stamp was taken
}

// File hashes a regular file, whose position it neither uses nor moves. It needs
// some 300 KiB of memory for each worker, whatever the file's size.
//
// The error is of kind Conflict if the file changed meanwhile, LocalFile if it
// cannot be read, or the outboard not be written, Invalid if it is too big, and
// Canceled if ctx ended.
func File(ctx context.Context, f *os.File, opts Options) (Result, error) {
	before, info, err := look(f)
	if err != nil {
		return Result{}, err
	}
	layout, err := tree.LayoutOf(before.Size)
	if err != nil {
		return Result{}, err
	}
	job := newJob(f, layout, opts)
	workers := cmp.Or(opts.Workers, runtime.GOMAXPROCS(0))
	running, ctx := errgroup.WithContext(ctx)
	for range min(int64(workers), layout.Pieces()) {
		running.Go(func() error { return job.work(ctx) })
	}
	if err := running.Wait(); err != nil {
		return Result{}, failed(ctx, f, err)
	}
	if err := job.writeSize(); err != nil {
		return Result{}, failed(ctx, f, err)
	}
	after, err := StampOf(f)
	if err != nil {
		return Result{}, err
	}
	if after != before {
		return Result{}, failed(ctx, f, errChanged)
	}
	id, err := job.builder.FileID()
	return Result{id, before, info}, err
}

var errChanged = errors.New("it changed while it was read; try again when it is at rest")

// failed gives an error its kind and says which file it is about.
func failed(ctx context.Context, f *os.File, err error) error {
	kind := lonja.LocalFile
	switch {
	case errors.Is(err, errChanged):
		kind = lonja.Conflict
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		kind, err = lonja.Canceled, context.Cause(ctx)
	}
	if _, ours := errors.AsType[*lonja.Error](err); ours {
		return err
	}
	return lonja.E(kind, "hash", fmt.Errorf("%s: %w", lonja.Printable(f.Name()), plainCause(err)))
}

// plainCause drops the path from a system's error.
func plainCause(err error) error {
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
