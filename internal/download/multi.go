package download

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

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
// A slice that takes far longer than others did is asked of another holder too,
// once one has nothing else to do; what comes first counts.
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

	// These three belong to run.
	running map[job]*attempt
	kept    []*attempt    // for each slice, the attempt that delivered it, or nil
	slowest time.Duration // that a delivered slice took

	longest  atomic.Int64 // of the slices delivered, in bytes, or unknown
	received atomic.Int64 // bytes that have come and count
}

// An attempt is one job that was begun. It belongs to the goroutine that does
// it, until it has reported, and then to run.
type attempt struct {
	job
	begun   time.Time
	cancel  context.CancelFunc
	useless bool // canceled, because what it brings is not needed any more

	// Of two attempts at a slice only one may write to its place in the file.
	inPlace bool
	side    *side // has its bytes while their place is not known, or not its own
	have    int64 // bytes that have come and are counted
}

// An event is what an attempt reports: once that it wants to know the size, if
// it does, and in the end what came of it.
type event struct {
	*attempt
	wantsSize bool

	got  length // of a slice
	size int64  // of the file
	err  error
}

func newMulti(holders []lonja.Holder, target string, file *partial.File, opts Options) *multi {
	names := make([]string, len(holders))
	for i, h := range holders {
		names[i] = h.At.String()
	}
	m := &multi{
		opts: opts, holders: holders, target: target, file: file,
		plan: newPlan(names), events: make(chan event), sizeKnown: make(chan struct{}),
		running: make(map[job]*attempt), kept: make([]*attempt, len(holders)),
	}
	m.announce = sync.OnceFunc(func() { close(m.sizeKnown) })
	m.size.Store(unknown)
	m.longest.Store(unknown)
	return m
}

// run carries out the plan until it is finished, and returns when no job is
// running any more. A failure that is not a holder's ends all jobs.
func (m *multi) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var jobs sync.WaitGroup
	defer jobs.Wait()
	looks := time.NewTicker(lookEvery)
	defer looks.Stop()
	var fatal error
	for {
		for fatal == nil && len(m.running) < m.opts.MaxConns {
			j, ok := m.plan.next()
			if !ok {
				break
			}
			m.publishSize()
			m.begin(ctx, &jobs, j)
		}
		if len(m.running) == 0 {
			break
		}
		select {
		case e := <-m.events:
			if err := m.take(e); err != nil && fatal == nil {
				fatal = err
				cancel()
			}
		case now := <-looks.C:
			m.lookForSlow(now)
		}
		m.publishSize()
		m.cancelUseless()
	}
	if fatal != nil {
		return fatal
	}
	return m.plan.err
}

func (m *multi) begin(ctx context.Context, jobs *sync.WaitGroup, j job) {
	a := &attempt{job: j, begun: time.Now(), inPlace: true}
	for other, rival := range m.running {
		if other.slice == j.slice && rival.inPlace {
			a.inPlace = false
		}
	}
	if j.slice != theSize {
		m.dropKept(j.slice) // it did not count any more
	}
	ctx, a.cancel = context.WithCancel(ctx)
	m.running[j] = a
	jobs.Go(func() { m.events <- m.do(ctx, a) })
}

// Attempts that take longer than slowAfter, and slowFactor times as long as the
// slowest slice that was delivered, are far slower than others.
const (
	slowAfter  = 3 * time.Second
	slowFactor = 3
)

func (m *multi) lookForSlow(now time.Time) {
	for j, a := range m.running {
		patience := slowAfter
		if j.slice != theSize {
			if m.longest.Load() == unknown {
				continue // there is nothing to compare it with
			}
			patience = max(patience, slowFactor*m.slowest)
		}
		if now.Sub(a.begun) >= patience {
			m.plan.isSlow(j)
		}
	}
}

// cancelUseless ends attempts at what is there meanwhile.
func (m *multi) cancelUseless() {
	for j, a := range m.running {
		if !a.useless && m.plan.isUseless(j) {
			a.useless = true
			a.cancel()
		}
	}
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

// take tells the plan what an attempt reports. It returns an error that is not
// the holder's and ends everything.
func (m *multi) take(e event) error {
	if e.wantsSize {
		m.plan.wantSize()
		return nil
	}
	delete(m.running, e.job)
	e.cancel()
	begun := e.have > 0
	if e.err != nil {
		m.drop(e.attempt)
	}
	switch kind := lonja.KindOf(e.err); {
	case e.err == nil && e.slice == theSize:
		m.plan.sizeTold(e.job, e.size)
	case e.err == nil:
		m.delivered(e)
	case kind == lonja.Canceled && e.useless:
		m.plan.dropped(e.job)
	case kind == lonja.LocalFile || kind == lonja.Canceled:
		return e.err
	case e.slice == theSize:
		m.plan.sizeFailed(e.job, e.err)
	default:
		m.plan.sliceFailed(e.job, begun, e.err)
	}
	return nil
}

func (m *multi) delivered(e event) {
	if !m.plan.sliceDelivered(e.job, e.got) {
		m.drop(e.attempt)
		return
	}
	m.dropKept(e.slice)
	m.kept[e.slice] = e.attempt
	m.slowest = max(m.slowest, time.Since(e.attempt.begun))
	m.longest.Store(max(m.longest.Load(), e.got.bytes))
}

func (m *multi) do(ctx context.Context, a *attempt) event {
	if a.slice == theSize {
		size, err := probe(ctx, m.holders[a.holder], m.opts)
		return event{attempt: a, size: size, err: err}
	}
	return m.fetch(ctx, a)
}

// assemble brings the slices that still wait beside the file to their place in
// it.
func (m *multi) assemble(ctx context.Context) error {
	// What a holder sent of a wrong file may reach further than the right one.
	if err := m.file.Truncate(m.plan.size); err != nil {
		return err
	}
	for i, a := range m.kept {
		if a.side == nil {
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
	return m.kept[i].side.moveTo(ctx, dst, length)
}

// drop takes back what an attempt brought.
func (m *multi) drop(a *attempt) {
	a.dropSide()
	m.count(-a.have)
	a.have = 0
}

func (a *attempt) dropSide() {
	if a.side != nil {
		a.side.close()
		a.side = nil
	}
}

func (m *multi) dropKept(i int) {
	if m.kept[i] != nil {
		m.drop(m.kept[i])
		m.kept[i] = nil
	}
}

// dropSides gives up what run has left beside the file.
func (m *multi) dropSides() {
	for _, a := range m.kept {
		if a != nil {
			a.dropSide()
		}
	}
}

// count keeps the number of bytes that have come.
func (m *multi) count(n int64) { m.opts.Progress(m.received.Add(n)) }
