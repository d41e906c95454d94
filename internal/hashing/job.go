package hashing

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"lonja/internal/tree"
)

// A job is the hashing of one file: its workers each take the next piece.
type job struct {
	file   *os.File
	layout tree.Layout
	opts   Options
	done   atomic.Int64 // bytes

	mu      sync.Mutex // guards the rest; held over writes of pages, which are few
	builder *tree.Builder
	next    int64 // the piece to take
	room    *sync.Cond
	failed  bool
}

// ahead is how many pieces may be hashed before the turn of the slowest has
// come. Workers keep near each other; only a disk that stalls for one of them
// makes the others wait.
const ahead = 4096

// readSize is how much of a file is read, and hashed while it is in the
// processor's cache, at a time.
const readSize = 128 << 10

func newJob(f *os.File, layout tree.Layout, opts Options) *job {
	j := &job{file: f, layout: layout, opts: opts}
	j.room = sync.NewCond(&j.mu)
	j.builder = tree.NewBuilder(layout, j.writePage)
	return j
}

func (j *job) writePage(p tree.Page, hashes []tree.Hash) error {
	if j.opts.Outboard == nil {
		return nil
	}
	_, err := j.opts.Outboard.WriteAt(tree.AppendPage(nil, hashes), j.layout.Offset(p))
	return err
}

// writeSize completes the outboard.
func (j *job) writeSize() error {
	if j.opts.Outboard == nil {
		return nil
	}
	_, err := j.opts.Outboard.WriteAt(tree.AppendSize(nil, j.layout), 0)
	return err
}

// work hashes pieces until none is left, ctx ends, or another worker failed.
func (j *job) work(ctx context.Context) error {
	var hasher tree.Hasher
	buf := make([]byte, readSize)
	for {
		piece, ok := j.take()
		if !ok {
			return nil
		}
		hash, err := j.hash(ctx, piece, &hasher, buf)
		if err := j.add(piece, hash, err); err != nil {
			return err
		}
	}
}

// take returns the next piece, or false if there is none to do any more.
func (j *job) take() (piece int64, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for !j.failed && j.next-j.builder.Next() >= ahead {
		j.room.Wait()
	}
	if j.failed || j.next == j.layout.Pieces() {
		return 0, false
	}
	j.next++
	return j.next - 1, true
}

// add takes what came of a piece. Whoever waits in take is woken also by a
// failure, so that all workers end.
func (j *job) add(piece int64, hash tree.Hash, err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.room.Broadcast()
	if err == nil {
		err = j.builder.Add(piece, hash)
	}
	j.failed = j.failed || err != nil
	return err
}

func (j *job) hash(ctx context.Context, piece int64, hasher *tree.Hasher, buf []byte) (tree.Hash, error) {
	hasher.Reset(piece)
	offset := piece * tree.PieceSize
	for left := j.layout.PieceLen(piece); left > 0; {
		if err := ctx.Err(); err != nil {
			return tree.Hash{}, err
		}
		n, err := j.file.ReadAt(buf[:min(left, len(buf))], offset)
		if n == 0 && errors.Is(err, io.EOF) {
			return tree.Hash{}, errChanged // it became shorter
		}
		if n == 0 {
			return tree.Hash{}, err
		}
		if _, err := hasher.Write(buf[:n]); err != nil {
			return tree.Hash{}, err
		}
		offset, left = offset+int64(n), left-n
		done := j.done.Add(int64(n))
		if j.opts.Progress != nil {
			j.opts.Progress(done)
		}
	}
	if j.layout.Pieces() == 1 {
		return hasher.Root(), nil
	}
	return hasher.Sum(), nil
}
