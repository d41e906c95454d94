package oplog

import (
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"lonja"
)

const (
	// lastPrint bounds the wait for an output that blocks, once the service ends.
	lastPrint = time.Second

	// slowPrint is how long printing may take before clients may have given the
	// calls up, to send them again; lateTime is how long afterwards calls may
	// come twice: old connections bring what waited in them, new ones the same.
	slowPrint = time.Second
	lateTime  = 30 * time.Second

	// rememberedLate is how many calls are known again in that time.
	rememberedLate = 8192
)

// errStuck is why a call was not printed.
var errStuck = errors.New("the output blocks")

// A batch is what one connection asked for and is not printed yet.
type batch struct {
	calls []batchedCall
	lines []byte
}

type batchedCall struct {
	key callKey
	end int // of its line
}

func (b *batch) add(key callKey, entry lonja.OperationRecord) {
	b.lines = appendLine(b.lines, entry)
	b.calls = append(b.calls, batchedCall{key, len(b.lines)})
}

func (b *batch) reset() { b.calls, b.lines = b.calls[:0], b.lines[:0] }

// drop takes the calls in known out.
func (b *batch) drop(known *repeats) {
	if known.empty() {
		return
	}
	calls, lines, begin := b.calls[:0], b.lines[:0], 0
	for _, call := range b.calls {
		if !known.has(call.key) {
			lines = append(lines, b.lines[begin:call.end]...)
			calls = append(calls, batchedCall{call.key, len(lines)})
		}
		begin = call.end
	}
	b.calls, b.lines = calls, lines
}

// A printer writes the service's lines. Any number of goroutines may use it.
type printer struct {
	log      *slog.Logger
	turn     chan struct{} // holds a token when nobody prints
	stopping chan struct{} // closed when nobody is to wait for long any more
	stuck    atomic.Bool   // somebody has given up waiting

	// Of whoever prints:
	out       io.Writer
	failing   bool      // the last write failed, which has been told
	torn      bool      // what was written last ends within a line
	late      *repeats  // what was printed while clients may have given up
	lateUntil time.Time // when they have got over it
}

func newPrinter(out io.Writer, log *slog.Logger) *printer {
	p := &printer{
		out: out, log: log, late: newRepeats(rememberedLate),
		turn: make(chan struct{}, 1), stopping: make(chan struct{}),
	}
	p.turn <- struct{}{}
	return p
}

// print writes the batch's lines, but for those of calls that were printed late
// and have come again, and empties it. An error means that lines may have been
// written in part or not at all. It is told to the log once for each row of
// failures.
//
// The output is a pipe or a file, whose Write cannot be interrupted: if it
// still blocks when the service has ended, a goroutine stays behind in it. The
// batch is then its own.
func (p *printer) print(b *batch) error {
	if len(b.calls) == 0 {
		return nil
	}
	asked := time.Now()
	if _, err := await(p, p.turn); err != nil {
		return err
	}
	printed := make(chan error, 1)
	go func() {
		err := p.printNow(b, asked)
		p.turn <- struct{}{}
		printed <- err
	}()
	err, stuck := await(p, printed)
	return errors.Join(stuck, err)
}

// await receives from c, for lastPrint at most once the service is ending.
func await[T any](p *printer, c <-chan T) (value T, err error) {
	select {
	case value = <-c:
		return value, nil
	case <-p.stopping:
	}
	timer := time.NewTimer(lastPrint)
	defer timer.Stop()
	select {
	case value = <-c:
		return value, nil
	case <-timer.C:
		p.stuck.Store(true)
		return value, errStuck
	}
}

// printNow is print for whoever has the turn.
func (p *printer) printNow(b *batch, asked time.Time) error {
	defer b.reset()
	if time.Now().After(p.lateUntil) {
		// A simple client may well send equal calls, each over a connection of
		// its own: they are no repetitions.
		p.late.forget()
	}
	b.drop(p.late)
	err := p.write(b.lines)
	switch {
	case err != nil && !p.failing:
		p.log.Error("operation log cannot be written", "err", err)
	case err == nil:
		p.remember(b, asked)
	}
	p.failing = err != nil
	return err
}

// write writes whole lines, or as much of them as there is room for: then the
// next ones begin on a line of their own.
func (p *printer) write(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	if p.torn {
		if _, err := p.out.Write([]byte{'\n'}); err != nil {
			return err
		}
		p.torn = false
	}
	n, err := p.out.Write(lines)
	p.torn = n > 0 && n < len(lines) && lines[n-1] != '\n'
	return err
}

// remember takes note of calls that may come again because they, or others
// before them, were printed late.
func (p *printer) remember(b *batch, asked time.Time) {
	now := time.Now()
	if now.Sub(asked) > slowPrint {
		p.lateUntil = now.Add(lateTime)
	}
	for _, call := range b.calls {
		if now.Before(p.lateUntil) {
			p.late.add(call.key)
		}
	}
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
