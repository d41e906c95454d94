package dirserver

import (
	"io"
	"log/slog"
	"sync"
	"time"

	"lonja"
)

// maxUnwritten bounds the lines that wait for a reader of our output.
const maxUnwritten = 1 << 20

// flushEvery is the least time between two writes: lines that come meanwhile
// share the next one.
const flushEvery = 5 * time.Millisecond

// An announcer writes a line for each request. A single one is written at
// once; thousands a second cost a few hundred writes.
type announcer struct {
	w   io.Writer
	log *slog.Logger
	// Of the writing goroutine only:
	failing bool // the last write failed
	torn    bool // what was written last ends within a line

	mu      sync.Mutex
	waiting []byte
	spare   []byte // the buffer that was written last, to be filled next
	lost    int
	wake    chan struct{} // holds one token while something waits
}

func newAnnouncer(w io.Writer, log *slog.Logger) *announcer {
	return &announcer{w: w, log: log, wake: make(chan struct{}, 1)}
}

// lastFlush bounds the wait for a stuck reader of our output at the end.
const lastFlush = time.Second

// start begins to write. The function it returns writes what waits and ends.
func (a *announcer) start() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-a.wake:
				a.flush()
			case <-done:
				a.flush()
				return
			}
			select {
			case <-time.After(flushEvery):
			case <-done:
			}
		}
	}()
	return func() {
		close(done)
		select {
		case <-ended:
		case <-time.After(lastFlush):
			a.log.Warn("nobody reads the output: its last lines are lost")
		}
	}
}

// request adds the line of one request.
func (a *announcer) request(operation string, user lonja.UserName, timestamp string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) > maxUnwritten {
		a.lost++
		return
	}
	b := append(a.waiting, "s> OPERATION "...)
	b = append(b, lonja.Printable(operation)...)
	b = append(b, " FROM "...)
	b = append(b, lonja.Printable(string(user))...)
	b = append(b, " AT "...)
	b = append(b, lonja.Printable(timestamp)...)
	a.waiting = append(b, '\n')
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *announcer) flush() {
	a.mu.Lock()
	lines, lost := a.waiting, a.lost
	a.waiting, a.lost = a.spare[:0], 0
	a.mu.Unlock()
	if lost > 0 {
		a.log.Warn("nobody reads the output: lines were dropped", slog.Int("lines", lost))
	}
	if len(lines) > 0 {
		a.write(lines)
	}
	a.mu.Lock()
	a.spare = lines
	a.mu.Unlock()
}

// write writes whole lines, or as much of them as there is room for: then the
// next ones begin on a line of their own.
func (a *announcer) write(lines []byte) {
	var err error
	if a.torn {
		_, err = a.w.Write([]byte{'\n'})
		a.torn = err != nil
	}
	if err == nil {
		var n int
		n, err = a.w.Write(lines)
		a.torn = n > 0 && n < len(lines) && lines[n-1] != '\n'
	}
	if err != nil && !a.failing {
		a.log.Warn("cannot write the operations; they go on", slog.Any("error", err))
	}
	a.failing = err != nil
}
