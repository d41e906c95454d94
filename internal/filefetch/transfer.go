package filefetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"lonja"
	"lonja/internal/fileclient"
	"lonja/internal/tree"
)

// A transfer shares one file between some connections to the same owner: each
// takes the next range, fetches and hashes it.
type transfer struct {
	client   *fileclient.Client
	layout   tree.Layout
	opts     Options
	received atomic.Int64

	mu      sync.Mutex // guards the rest
	builder *tree.Builder
	next    int64  // the first piece that nobody has taken
	left    []span // what was given back
	alive   int    // workers
}

// A span is some pieces, from first up to but not including end.
type span struct{ first, end int64 }

// The sizes of spans, in pieces: big enough that asking for the next one costs
// nothing even far away, smaller towards the end, so that all connections end
// at the same time. A file under twice the least span is fetched over one
// connection.
const (
	leastSpan = 4
	mostSpan  = 64
)

// ahead is how many pieces may be fetched before those of the slowest
// connection: it bounds what the builder keeps. One that is further ahead
// leaves the rest to the others.
const ahead = 1 << 16

func newTransfer(c *fileclient.Client, layout tree.Layout, opts Options) *transfer {
	return &transfer{
		client: c, layout: layout, opts: opts, builder: tree.NewBuilder(layout, nil),
		alive: int(max(1, min(int64(opts.Conns), layout.Pieces()/(2*leastSpan)))),
	}
}

// take returns the next span, or false if none is left for this worker.
func (t *transfer) take() (s span, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.left); n > 0 {
		s, t.left = t.left[n-1], t.left[:n-1]
		return s, true
	}
	rest := t.layout.Pieces() - t.next
	if rest == 0 || t.next-t.builder.Next() > ahead {
		t.alive--
		return s, false
	}
	length := rest
	if t.alive > 1 {
		length = min(rest, max(leastSpan, min(mostSpan, rest/int64(2*t.alive))))
	}
	s = span{t.next, t.next + length}
	t.next = s.end
	return s, true
}

// giveBack leaves what is left of a span to the other workers; false if there
// are none.
func (t *transfer) giveBack(s span) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.alive--; t.alive == 0 {
		return false
	}
	t.left = append(t.left, s)
	return true
}

func (t *transfer) add(piece int64, hash tree.Hash) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.builder.Add(piece, hash)
}

// work fetches spans until none is left. If its connection fails for good, it
// leaves the work to the others, if there are any.
func (t *transfer) work(ctx context.Context, dst *os.File) error {
	w := &worker{transfer: t, dst: dst, buf: make([]byte, readSize)}
	for {
		s, ok := t.take()
		if !ok {
			return nil
		}
		err := w.fetch(ctx, s)
		if err == nil {
			continue
		}
		if kind := lonja.KindOf(err); (kind == lonja.Unavailable || kind == lonja.Limited) && ctx.Err() == nil {
			t.opts.Progress(t.received.Add(-w.unfinished))
			if t.giveBack(span{w.piece, s.end}) {
				return nil
			}
		}
		return err
	}
}

// A worker is one connection's part of a transfer.
type worker struct {
	*transfer
	dst *os.File
	buf []byte

	hasher     tree.Hasher
	piece      int64 // that is being fetched
	unfinished int64 // bytes of it that have come
}

// readSize is how much is read, hashed and written at a time, while it is in the
// processor's cache.
const readSize = 64 << 10

// fetch fetches a span. A connection that breaks is made again, and goes on at
// the same byte; tries are counted from the last one that brought something.
func (w *worker) fetch(ctx context.Context, s span) error {
	w.begin(s.first)
	pause, tries := w.opts.Pause, 0
	for w.piece < s.end {
		before := w.offset()
		err := w.receive(ctx, s.end)
		if err == nil {
			return nil
		}
		if kind := lonja.KindOf(err); kind != lonja.Unavailable && kind != lonja.Limited {
			return err
		}
		if w.offset() > before {
			pause, tries = w.opts.Pause, 0
		}
		if tries++; tries >= w.opts.Tries {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return lonja.E(lonja.Canceled, "", ctx.Err())
		}
		pause *= 2
	}
	return nil
}

func (w *worker) begin(piece int64) {
	w.piece, w.unfinished = piece, 0
	w.hasher.Reset(piece)
}

func (w *worker) offset() int64 { return w.piece*tree.PieceSize + w.unfinished }

// receive fetches what is missing up to a piece, with one request.
func (w *worker) receive(ctx context.Context, endPiece int64) error {
	end := min(endPiece*tree.PieceSize, w.layout.Size())
	body, err := w.client.Open(ctx, w.layout.Size(), w.offset(), end)
	if err != nil {
		return err
	}
	defer body.Close()
	for w.piece < endPiece {
		left := w.layout.PieceLen(w.piece) - int(w.unfinished)
		n, err := io.ReadFull(body, w.buf[:min(left, len(w.buf))])
		if keepErr := w.keep(w.buf[:n]); keepErr != nil {
			return keepErr
		}
		if err != nil {
			return fileclient.Broken(ctx, fmt.Errorf("after %d of %d bytes: %w", w.offset(), w.layout.Size(), err))
		}
	}
	// To have seen the end lets the connection be used again.
	if n, _ := body.Read(w.buf[:1]); n > 0 {
		return lonja.E(lonja.Malformed, "", errors.New("it sends more than was asked for"))
	}
	return nil
}

// keep hashes and writes what has come of a piece, and ends the piece if that is
// all of it.
func (w *worker) keep(b []byte) error {
	if _, err := w.hasher.Write(b); err != nil {
		return err
	}
	if _, err := w.dst.WriteAt(b, w.offset()); err != nil {
		return writeFailed(err)
	}
	w.unfinished += int64(len(b))
	w.opts.Progress(w.received.Add(int64(len(b))))
	if w.unfinished < int64(w.layout.PieceLen(w.piece)) {
		return nil
	}
	if err := w.add(w.piece, w.hash()); err != nil {
		return err
	}
	w.begin(w.piece + 1)
	return nil
}

// hash ends the piece that is being hashed.
func (w *worker) hash() tree.Hash {
	if w.layout.Pieces() == 1 {
		return w.hasher.Root()
	}
	return w.hasher.Sum()
}
