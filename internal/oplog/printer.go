package oplog

import (
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"lonja"
)

// Locked returns a writer that lets one Write at a time through to w, so that
// several services may print to it. A writer that Locked made comes back as it is.
func Locked(w io.Writer) io.Writer {
	if locked, ok := w.(*lockedWriter); ok {
		return locked
	}
	return &lockedWriter{w: w}
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// A printer writes the service's lines. Any number of goroutines may use it.
type printer struct {
	out     io.Writer
	log     *slog.Logger
	failing atomic.Bool // the last write failed, which has been told
}

// print writes whole lines. An error means that they may have been written in
// part or not at all; it is told to the log once for each row of failures.
func (p *printer) print(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := p.out.Write(lines)
	switch failing := err != nil; {
	case failing && !p.failing.Swap(true):
		p.log.Error("operation log cannot be written", "err", err)
	case !failing && p.failing.Load():
		p.failing.Store(false)
	}
	return err
}

// appendLine adds the line for one entry. An empty file name leaves the blank
// before it.
func appendLine(b []byte, r lonja.OperationRecord) []byte {
	b = append(b, '[')
	b = append(b, lonja.Printable(r.Timestamp)...)
	b = append(b, "] "...)
	b = append(b, lonja.Printable(r.User)...)
	b = append(b, ": "...)
	b = append(b, lonja.Printable(r.Operation)...)
	b = append(b, ' ')
	b = append(b, lonja.Printable(r.File)...)
	return append(b, '\n')
}
