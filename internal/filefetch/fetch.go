// Package filefetch is the asking side of the transfer between peers over TLS:
// Fetch gets one content, by its FileID, from one owner.
//
// It hashes what arrives while it is in the processor's cache, and the file
// appears, by way of package partial, only when the hash of all of it is the
// FileID: no failure of any kind leaves anything behind or harms a target that
// was there. It knows nothing of directories and certificates: node gives it a
// function that connects it with the owner. Package download does the same in
// the classic protocol, where nothing can be checked.
package filefetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/fileclient"
	"lonja/internal/partial"
	"lonja/internal/tree"
)

// A File is what is wanted, as its owner has signed it.
type File struct {
	ID    lonja.FileID
	Size  int64          // in bytes, or lonja.UnknownSize
	Owner lonja.UserName // for messages
	Name  lonja.FileName // for messages
}

// Options say how a file is fetched. Dial must be set; what else is zero gets
// the value in parentheses.
type Options struct {
	// Dial connects to the owner, over TLS, and returns when the other side has
	// proved to be the owner. Fetch closes the connection. Dial is called by
	// several goroutines at once.
	Dial func(ctx context.Context) (net.Conn, error)

	Conns        int           // connections at once, for a big file (2)
	StallTimeout time.Duration // for an owner that sends nothing (30 s)
	Tries        int           // for a connection, in a row, that bring nothing (4)
	Pause        time.Duration // before the second of them; then twice as long each time (250 ms)

	// Sync waits until the file is on the disk before it appears.
	Sync bool

	// Progress, if set, is told now and then how many bytes have come that still
	// count. It is called from several goroutines at once and must not wait.
	Progress func(received int64)
}

func (o Options) withDefaults() Options {
	o.Conns = cmp.Or(o.Conns, 2)
	o.StallTimeout = cmp.Or(o.StallTimeout, 30*time.Second)
	o.Tries = cmp.Or(o.Tries, 4)
	o.Pause = cmp.Or(o.Pause, 250*time.Millisecond)
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	return o
}

// Fetch gets a file and puts it at target, for which partial.Create says what
// may stand there. A connection that breaks is made again, and the file goes on
// where it was. Fetch returns the file's size.
//
// The error is of kind Untrusted, and names the owner, if what came is not the
// file; NoSuchFile, Forbidden, Limited or Refused if the owner says no, Conflict
// if the owner's file has changed since it was published; Unavailable if the
// owner cannot be reached, stops sending, or breaks off again and again;
// Malformed if it answers something else than it was asked; LocalFile if the target cannot be
// written; Canceled if ctx ended; and whatever kind Dial gives its errors.
func Fetch(ctx context.Context, file File, target string, opts Options) (size int64, err error) {
	opts = opts.withDefaults()
	client := fileclient.New(file.ID, fileclient.Options{Dial: opts.Dial, Conns: opts.Conns, StallTimeout: opts.StallTimeout})
	defer client.Close()
	if file.Size == lonja.UnknownSize {
		if file.Size, err = client.Size(ctx); err != nil {
			return 0, failed(ctx, file, err)
		}
	}
	layout, err := tree.LayoutOf(file.Size)
	if err != nil {
		return 0, failed(ctx, file, err)
	}
	dst, err := partial.Create(target, partial.Options{Sync: opts.Sync})
	if err != nil {
		return 0, err
	}
	defer dst.Abort()
	t := newTransfer(client, layout, opts)
	if err := t.run(ctx, dst); err != nil {
		return 0, failed(ctx, file, err)
	}
	id, err := t.builder.FileID()
	if err != nil {
		return 0, err
	}
	if id != file.ID {
		return 0, failed(ctx, file, wrongContent(fmt.Errorf("what came has the hash %v, not %v", id, file.ID)))
	}
	return file.Size, dst.Commit()
}

// wrongContent is the error for an owner that sends something else.
func wrongContent(cause error) error { return lonja.E(lonja.Untrusted, "", cause) }

// run fetches all of the file into dst.
func (t *transfer) run(ctx context.Context, dst *partial.File) error {
	running, ctx := errgroup.WithContext(ctx)
	for range t.alive {
		running.Go(func() error {
			h, err := dst.Handle(0)
			if err != nil {
				return err
			}
			defer h.Close()
			if err := t.work(ctx, h); err != nil {
				return err
			}
			return closeWritten(h)
		})
	}
	return running.Wait()
}

// closeWritten closes a handle on the file: some file systems tell only now that
// data could not be written.
func closeWritten(h *os.File) error {
	if err := h.Close(); err != nil {
		return writeFailed(err)
	}
	return nil
}

func writeFailed(err error) error {
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		err = pathErr.Err
	}
	return lonja.E(lonja.LocalFile, "write", err)
}

// failed says what was attempted, and gives the error of a context its kind.
func failed(ctx context.Context, file File, err error) error {
	kind := lonja.KindOf(err)
	if ctx.Err() != nil {
		kind, err = lonja.Canceled, context.Cause(ctx)
	}
	if e, ok := errors.AsType[*lonja.Error](err); ok && e.Op == "" && e.Err != nil {
		err = e.Err
	}
	name := file.Name
	if name == "" {
		name = lonja.FileName(file.ID.String())
	}
	return &lonja.Error{Kind: kind, Op: "fetch from", User: file.Owner, File: name, Err: err}
}
