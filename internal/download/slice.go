package download

import (
	"context"
	"errors"
	"io"
	"time"

	"lonja"
	"lonja/internal/classic"
)

// fetch fetches a slice from a holder, to its place in the file if the size is
// known, or becomes so on the way, and else to sides.
func (m *multi) fetch(ctx context.Context, j job) event {
	m.forget(j.slice) // what came of an attempt that does not count any more
	f := fetcher{multi: m, job: j, slice: m.plan.slice(j.slice)}
	got, err := f.run(ctx)
	m.had[j.slice] = f.have
	if err != nil {
		m.forget(j.slice)
	}
	return event{job: j, got: got, begun: f.have > 0, err: err}
}

func (m *multi) forget(i int) {
	m.dropSide(i)
	m.count(-m.had[i])
	m.had[i] = 0
}

// count keeps the number of bytes that have come.
func (m *multi) count(n int64) { m.opts.Progress(m.received.Add(n)) }

// A fetcher fetches one slice from one holder.
type fetcher struct {
	*multi
	job   job
	slice classic.Slice
	s     *stream
	have  int64
}

func (f *fetcher) run(ctx context.Context) (got length, err error) {
	holder := f.holders[f.job.holder]
	f.s, err = request(ctx, holder.At, classic.PeerRequest{Name: holder.Name, Slice: f.slice}, f.opts)
	if err != nil {
		return length{}, err
	}
	defer f.s.close()
	if f.size.Load() == unknown {
		ended, err := f.aside()
		if ended || err != nil {
			return length{bytes: f.have}, f.local(err)
		}
	}
	got, err = f.finish(ctx)
	return got, f.local(err)
}

// local completes an error of the local disk, which knows no name.
func (f *fetcher) local(err error) error {
	if e, ok := errors.AsType[*lonja.Error](err); ok && e.Kind == lonja.LocalFile && e.Op == "" {
		return writeFailed(f.target, e.Err)
	}
	return err
}

// aside receives beside the file. It returns when the slice has ended, or
// when the size has become known.
func (f *fetcher) aside() (ended bool, err error) {
	side := &side{target: f.target}
	f.sides[f.job.slice] = side
	enough := f.opts.testOnlySideLimit + 1
	for f.size.Load() == unknown {
		w, step, err := side.writer(f.file, f.have)
		if err != nil {
			return false, err
		}
		if f.have < enough {
			step = min(step, enough-f.have)
		}
		if err := f.receive(w, step); err == io.EOF {
			return true, nil
		} else if err != nil {
			return false, err
		}
		if f.have == enough {
			f.askSize()
			enough = 0
		}
	}
	return false, nil
}

// askSize wants the size, and leaves the processor and the line to the question
// for a moment: what comes in the meantime would have to be copied. It must
// not wait for longer, because a peer that serves one connection at a time
// answers when the slice is over.
func (f *fetcher) askSize() {
	f.events <- event{job: f.job, wantsSize: true}
	select {
	case <-f.sizeKnown:
	case <-time.After(sizePause):
	}
}

// finish receives what is missing at the slice's place in the file, whose
// size is known, after what is beside it already. It writes nothing behind
// that place, which belongs to others.
func (f *fetcher) finish(ctx context.Context) (got length, err error) {
	offset, want := f.slice.Range(f.size.Load())
	if f.have > want {
		return length{want, true}, nil
	}
	dst, err := f.file.Handle(offset)
	if err != nil {
		return length{}, err
	}
	defer closeWritten(dst, f.target, &err)
	if side := f.sides[f.job.slice]; side != nil {
		if err := side.moveTo(ctx, dst, f.have); err != nil {
			return length{}, err
		}
		f.dropSide(f.job.slice)
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
