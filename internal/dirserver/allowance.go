package dirserver

import (
	"context"
	"errors"
	"runtime"
	"time"

	"golang.org/x/sync/semaphore"

	"lonja"
)

// An allowance is the memory that all long answers may take together. Without
// it a few hundred clients that ask for a long list and never read it would
// take as many times its size.
//
// Nobody knows how long a list is before it is there. So lists are made by as
// many goroutines at once as make them any faster, and only what was written
// of them is counted.
type allowance struct {
	total  int64 // in bytes
	free   *semaphore.Weighted
	making *semaphore.Weighted
}

func newAllowance(total int64) *allowance {
	makers := max(leastMakers, runtime.GOMAXPROCS(0))
	return &allowance{total, semaphore.NewWeighted(total), semaphore.NewWeighted(int64(makers))}
}

// leastMakers keeps one list that takes its time from stopping all others.
const leastMakers = 4

// begin waits until one goroutine more may make a list. It calls done when the
// list is written, or forgotten, and waits for nothing before that.
func (a *allowance) begin(ctx context.Context) (done func(), err error) {
	if err := a.making.Acquire(ctx, 1); err != nil {
		return nil, lonja.E(lonja.Canceled, "answer", err)
	}
	return func() { a.making.Release(1) }, nil
}

// errAnswersHeld is why an answer was not given.
var errAnswersHeld = errors.New("no memory is left for its answer: slow clients hold all that answers may take")

// try makes h a share of size bytes, or of all there is for an answer that is
// larger than that. It is false when others hold too much.
func (a *allowance) try(h *share, size int) bool {
	n := min(int64(size), a.total)
	if !a.free.TryAcquire(n) {
		return false
	}
	*h = share{a, n}
	return true
}

// wait returns such a share once there is one, to who asked first. The error is
// of kind Unavailable when that took too long.
func (a *allowance) wait(ctx context.Context, size int, atMost time.Duration) (share, error) {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	n := min(int64(size), a.total)
	if a.free.Acquire(ctx, n) != nil {
		return share{}, lonja.E(lonja.Unavailable, "answer", errAnswersHeld)
	}
	return share{a, n}, nil
}

// A share is what one answer has of an allowance. It is for one goroutine; the
// zero share is none.
type share struct {
	of   *allowance
	size int64
}

// shrink gives back what is above size bytes.
func (h *share) shrink(size int) {
	if surplus := h.size - int64(size); surplus > 0 {
		h.of.free.Release(surplus)
		h.size -= surplus
	}
}
