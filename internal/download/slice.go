package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"lonja"
	"lonja/internal/classic"
)

// fetch fetches a slice from a holder, to its place in the file if the size is
// known, or becomes so on the way, and that place is free; else to its side.
func (m *multi) fetch(ctx context.Context, a *attempt) event {
	f := fetcher{multi: m, attempt: a, part: m.plan.slice(a.slice)}
	got, err := f.run(ctx)
	return event{attempt: a, got: got, err: err}
}

// A fetcher is one attempt at a slice.
type fetcher struct {
	*multi
	*attempt
	part classic.Slice
	s    *stream
}

func (f *fetcher) run(ctx context.Context) (got length, err error) {
	holder := f.holders[f.holder]
	f.s, err = request(ctx, holder.At, classic.PeerRequest{Name: holder.Name, Slice: f.part}, f.opts)
	if err != nil {
		return length{}, err
	}
	defer f.s.close()
	if f.mustWait() {
		got, ended, err := f.aside()
		if ended || err != nil {
			return got, f.local(err)
		}
	}
	got, err = f.finish(ctx)
	return got, f.local(err)
}

// mustWait reports whether there is no place in the file to write to, yet.
func (f *fetcher) mustWait() bool { return !f.inPlace || f.size.Load() == unknown }

// local completes an error of the local disk, which knows no name.
func (f *fetcher) local(err error) error {
	if e, ok := errors.AsType[*lonja.Error](err); ok && e.Kind == lonja.LocalFile && e.Op == "" {
		return writeFailed(f.target, e.Err)
	}
	return err
}

// aside receives beside the file. It returns when the slice has ended, or
// when there is a place for it.
func (f *fetcher) aside() (got length, ended bool, err error) {
	f.side = &side{target: f.target}
	enough := f.opts.testOnlySideLimit + 1
	for f.mustWait() {
		most, sure := f.most()
		if f.have > most {
			got, err = f.tooMuch(most, sure)
			return got, true, err
		}
		w, step, err := f.side.writer(f.file, f.have)
		if err != nil {
			return length{}, false, err
		}
		if f.have < enough {
			step = min(step, enough-f.have)
		}
		if err := f.receive(w, min(step, most-f.have+1)); err == io.EOF {
			return length{bytes: f.have}, true, nil
		} else if err != nil {
			return length{}, false, err
		}
		if f.have == enough && f.size.Load() == unknown {
			f.askSize()
			enough = 0
		}
	}
	return length{}, false, nil
}

// most returns how long the slice can be at most, and whether that is sure.
// While nobody has told the size, the other slices give an idea: without it a
// holder could fill the disk.
func (f *fetcher) most() (bytes int64, sure bool) {
	if size := f.size.Load(); size != unknown {
		_, want := f.part.Range(size)
		return want, true
	}
	if longest := f.longest.Load(); longest != unknown {
		return 2*longest + f.opts.testOnlySideMost, false
	}
	return math.MaxInt64 - 1, false
}

func (f *fetcher) tooMuch(most int64, sure bool) (length, error) {
	if sure {
		return length{most, true}, nil
	}
	return length{}, lonja.E(lonja.Malformed, "", fmt.Errorf(
		"sent more than %d bytes as slice %d, when another slice has %d", most, f.part.Index, f.longest.Load()))
}

// askSize wants the size, and leaves the processor and the line to the question
// for a moment: what comes in the meantime would have to be copied. It must
// not wait for longer, because a peer that serves one connection at a time
// answers when the slice is over.
func (f *fetcher) askSize() {
	f.events <- event{attempt: f.attempt, wantsSize: true}
	select {
	case <-f.sizeKnown:
	case <-time.After(sizePause):
	}
}

// finish receives what is missing at the slice's place in the file, whose
// size is known, after what is beside it already. It writes nothing behind
// that place, which belongs to others.
func (f *fetcher) finish(ctx context.Context) (got length, err error) {
	offset, want := f.part.Range(f.size.Load())
	if f.have > want {
		return length{want, true}, nil
	}
	dst, err := f.file.Handle(offset)
	if err != nil {
		return length{}, err
	}
	defer closeWritten(dst, f.target, &err)
	if f.side != nil {
		if err := f.side.moveTo(ctx, dst, f.have); err != nil {
			return length{}, err
		}
		f.dropSide()
	}
	for f.have < want {
		if err := f.receive(dst, min(stepSize, want-f.have)); err != nil {
			return length{bytes: f.have}, ignoreEOF(err)
		}
	}
	more, err := f.anyMore()
	return length{want, more}, err
}

// anyMore waits for the end of a slice that is complete, and reports whether a
// further byte came instead.
func (f *fetcher) anyMore() (bool, error) {
	for {
		n, err := f.s.receive(io.Discard, 1)
		if n > 0 || err != nil {
			return n > 0, ignoreEOF(err)
		}
	}
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func (f *fetcher) receive(dst io.Writer, limit int64) error {
	n, err := f.s.receive(dst, limit)
	f.have += n
	f.count(n)
	return err
}
