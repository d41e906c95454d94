package download

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"lonja"
	"lonja/internal/partial"
)

// FetchMulti gets a file by GET_MULTIFILE, in as many slices as it has
// holders, 1 to lonja.MaxHolders, all at once, and puts it at target, for which
// partial.Create says what may stand there. It returns the file's size. The
// same peer may stand among the holders more than once, with several files.
//
// A holder that refuses, cannot be reached, breaks off, or sends a slice of the
// wrong length is replaced by another for that slice. For that the slices'
// lengths are compared, and if they do not fit each other, or a slice is
// larger than sideLimit, holders are asked for the size. A file whose slices
// are all smaller and fit takes one connection for each slice and no more.
//
// The error is of kind Disagreement if holders that are consistent with
// themselves have files of different sizes. If a slice cannot be had of
// anybody it is of the kind with which all holders failed, such as NoSuchFile,
// or Unavailable if they failed in different ways. It is LocalFile if the
// target cannot be written, Canceled if ctx ended, and Invalid for a wrong
// number of holders.
func FetchMulti(ctx context.Context, holders []lonja.Holder, target string, opts Options) (size int64, err error) {
	if len(holders) < 1 || len(holders) > lonja.MaxHolders {
		return 0, lonja.E(lonja.Invalid, fetching,
			fmt.Errorf("there are %d holders, not 1 to %d", len(holders), lonja.MaxHolders))
	}
	opts = opts.withDefaults()
	file, err := opts.create(target)
	if err != nil {
		return 0, err
	}
	defer file.Abort()
	m := newMulti(holders, target, file, opts)
	defer m.dropSides()
	if err := m.run(ctx); err != nil {
		return 0, err
	}
	if err := m.assemble(ctx); err != nil {
		return 0, err
	}
	return m.plan.size, file.Commit()
}

// A multi is one call of FetchMulti. Its run method owns the plan; each job
// that the plan gives runs in a goroutine of its own and reports by an event.
type multi struct {
	opts    Options
	holders []lonja.Holder
	target  string
	file    *partial.File
	plan    *plan
	events  chan event

	// size is the plan's, for the slices under way to look at; sizeKnown is
	// closed when it is known for the first time.
	size      atomic.Int64
	sizeKnown chan struct{}
	announce  func() // closes sizeKnown

	// sides has, for each slice, its bytes while their place in the file is
	// not known. An element belongs to the job that fetches its slice, and
	// between jobs to run.
	sides []*side

	received atomic.Int64 // bytes that have come and count
	had      []int64      // of them, those of each slice; owned like sides
}

// An event is what a job reports: once that it wants to know the size, if it
// does, and in the end what came of it.
type event struct {
	job
	wantsSize bool

	got   length // of a slice
	size  int64  // of the file
	begun bool   // some content had come
	err   error
}

func newMulti(holders []lonja.Holder, target string, file *partial.File, opts Options) *multi {
	names := make([]string, len(holders))
	for i, h := range holders {
		names[i] = h.At.String()
	}
	m := &multi{
		opts: opts, holders: holders, target: target, file: file,
		plan: newPlan(names), events: make(chan event), sides: make([]*side, len(holders)),
		had: make([]int64, len(holders)), sizeKnown: make(chan struct{}),
	}
	m.announce = sync.OnceFunc(func() { close(m.sizeKnown) })
	m.size.Store(unknown)
	return m
}

// run carries out the plan until it is finished, and returns when no job is
// running any more. A failure that is not a holder's ends all jobs.
func (m *multi) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var jobs sync.WaitGroup
	defer jobs.Wait()
	running := 0
	var fatal error
	for {
		for fatal == nil && running < m.opts.MaxConns {
			j, ok := m.plan.next()
			if !ok {
				break
			}
			m.publishSize()
			running++
			jobs.Go(func() { m.events <- m.do(ctx, j) })
		}
		if running == 0 {
			break
		}
		e := <-m.events
		if e.wantsSize {
			m.plan.wantSize()
			continue
		}
		running--
		if ours := m.report(e); ours != nil && fatal == nil {
			fatal = ours
			cancel()
		}
		m.publishSize()
	}
	if fatal != nil {
		return fatal
	}
	return m.plan.err
}

// publishSize shows the slices under way what the plan knows. None of them ever
// sees the size change: the plan goes from one to another only when no job is
// running.
func (m *multi) publishSize() {
	m.size.Store(m.plan.size)
	if m.plan.size != unknown {
		m.announce()
	}
}

// report tells the plan what came of a job. It returns an error that is not
// the holder's and ends everything.
func (m *multi) report(e event) error {
	switch kind := lonja.KindOf(e.err); {
	case e.err == nil && e.slice == theSize:
		m.plan.sizeTold(e.job, e.size)
	case e.err == nil:
		m.plan.sliceDelivered(e.job, e.got)
	case kind == lonja.LocalFile || kind == lonja.Canceled:
		return e.err
	case e.slice == theSize:
		m.plan.sizeFailed(e.job, e.err)
	default:
		m.plan.sliceFailed(e.job, e.begun, e.err)
	}
	return nil
}

func (m *multi) do(ctx context.Context, j job) event {
	if j.slice == theSize {
		size, err := probe(ctx, m.holders[j.holder], m.opts)
		return event{job: j, size: size, err: err}
	}
	return m.fetch(ctx, j)
}

// assemble brings the slices that still wait beside the file to their place in
// it.
func (m *multi) assemble(ctx context.Context) error {
	// What a holder sent of a wrong file may reach further than the right one.
	if err := m.file.Truncate(m.plan.size); err != nil {
		return err
	}
	for i, side := range m.sides {
		if side == nil {
			continue // it is there already
		}
		if err := m.intoPlace(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// intoPlace moves slice i from beside the file to its place.
func (m *multi) intoPlace(ctx context.Context, i int) (err error) {
	offset, length := m.plan.slice(i).Range(m.plan.size)
	dst, err := m.file.Handle(offset)
	if err != nil {
		return err
	}
	defer closeWritten(dst, m.target, &err)
	return m.sides[i].moveTo(ctx, dst, length)
}

func (m *multi) dropSide(i int) {
	if m.sides[i] != nil {
		m.sides[i].close()
		m.sides[i] = nil
	}
}

func (m *multi) dropSides() {
	for i := range m.sides {
		m.dropSide(i)
	}
}
