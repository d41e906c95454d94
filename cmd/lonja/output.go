package main

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"syscall"

	"lonja"
)

// An output is a command's standard output. When nobody reads it any more, as
// in "lonja logger | head -1", the command ends as it does with a signal.
//
// A server and a console, for which that is not the end or not all of it, write
// to os.Stdout themselves. Any number of goroutines may write.
type output struct {
	file *os.File
	end  context.CancelFunc // ends the command
	gone atomic.Bool        // its reader
	lost atomic.Pointer[error]
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.file.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		o.gone.Store(true)
		o.end()
	} else if err != nil {
		o.lost.CompareAndSwap(nil, &err)
	}
	return n, err
}

// failure returns why not all was written, if so: a full disk, say, behind a command
// that did not look at each line.
func (o *output) failure() error {
	if err := o.lost.Load(); err != nil {
		return lonja.E(lonja.LocalFile, "write the output", *err)
	}
	return nil
}

// Fd lets it be known for a terminal.
func (o *output) Fd() uintptr { return o.file.Fd() }

// abandoned reports whether a command ended with err only because its reader
// has seen enough.
func (o *output) abandoned(err error) bool {
	return o.gone.Load() && (errors.Is(err, syscall.EPIPE) || errors.Is(err, lonja.Canceled) || errors.Is(err, context.Canceled))
}
