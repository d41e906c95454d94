// Package download is the asking side of the transfer between peers in the
// classic protocol: FetchFile gets a whole file from one peer, FetchMulti gets
// a file in slices from all peers that have it.
//
// Both receive through package partial: the target appears when the file is
// whole, and no failure of any kind leaves anything behind or harms a target
// that was there. They know nothing of users or directories: node tells them
// whom to ask.
//
// The classic protocol announces no length, so a transfer that stops early
// looks like a short file. A connection that breaks is always a failure. One
// that is closed early can only be noticed by comparing: FetchFile cannot,
// unless the peer sends the size; FetchMulti compares the slices with each
// other and, for large files, with the size that it finds out (see probe).
package download

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"lonja"
	"lonja/internal/partial"
)

// Options say how patient a download is. What is zero gets the value in
// parentheses.
type Options struct {
	// Dial connects to a peer (plain TCP, in at most 10 s).
	Dial func(ctx context.Context, at lonja.Endpoint) (net.Conn, error)

	StallTimeout time.Duration // for a peer that sends no byte (30 s)
	MaxConns     int           // slices that FetchMulti fetches at once (64)

	// Sync waits until the file is on the disk before it appears.
	Sync bool

	// Progress, if set, is told now and then how many bytes have come that
	// still count: it can go back when a holder turns out to be of no use.
	// FetchMulti calls it from several goroutines at once. It must not wait.
	Progress func(received int64)

	// These stand for sideLimit and sideMost.
	testOnlySideLimit, testOnlySideMost int64
}

func (o Options) withDefaults() Options {
	if o.Dial == nil {
		o.Dial = dialTCP
	}
	o.StallTimeout = cmp.Or(o.StallTimeout, 30*time.Second)
	o.MaxConns = cmp.Or(o.MaxConns, 64)
	o.testOnlySideLimit = cmp.Or(o.testOnlySideLimit, sideLimit)
	o.testOnlySideMost = cmp.Or(o.testOnlySideMost, sideMost)
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	return o
}

func dialTCP(ctx context.Context, at lonja.Endpoint) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	return dialer.DialContext(ctx, "tcp", at.String())
}

func (o Options) create(target string) (*partial.File, error) {
	return partial.Create(target, partial.Options{Sync: o.Sync})
}

// stepSize is how much is received between two looks at progress and
// cancellation.
const stepSize = 4 << 20

// copyFile copies n bytes from src to dst, from where each stands; dst is to
// become target. On Linux the kernel does it (copy_file_range, by way of
// os.File.ReadFrom). The error is Canceled if ctx ended, else LocalFile.
func copyFile(ctx context.Context, target string, dst, src *os.File, n int64) error {
	const step = 64 << 20
	for n > 0 {
		if ctx.Err() != nil {
			return canceled(ctx)
		}
		copied, err := io.CopyN(dst, src, min(n, step))
		if err != nil {
			return writeFailed(target, err)
		}
		n -= copied
	}
	return nil
}

// writeFailed tells which file could not be written.
func writeFailed(target string, cause error) error {
	return lonja.E(lonja.LocalFile, "write", fmt.Errorf("%s: %w", lonja.Printable(target), plainCause(cause)))
}

func canceled(ctx context.Context) error {
	return lonja.E(lonja.Canceled, "fetch", context.Cause(ctx))
}

// closeWritten closes a file that is to become target; some file systems tell
// only then that it could not be written. It keeps an earlier error in *err.
func closeWritten(dst *os.File, target string, err *error) {
	if closeErr := dst.Close(); closeErr != nil && *err == nil {
		*err = writeFailed(target, closeErr)
	}
}

// plainCause drops from an error of the system what it was wrapped in: whoever
// shows it names the peer or the file already.
func plainCause(err error) error {
	for {
		if opErr, ok := errors.AsType[*net.OpError](err); ok {
			err = opErr.Err
		} else if pathErr, ok := errors.AsType[*os.PathError](err); ok {
			err = pathErr.Err
		} else if sysErr, ok := errors.AsType[*os.SyscallError](err); ok {
			err = sysErr.Err
		} else {
			return err
		}
	}
}
