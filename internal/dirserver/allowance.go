package dirserver

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"

	"lonja"
)

// An allowance is the memory that all long answers may take together. Without
// it a few hundred clients that ask for a long list and never read it would
// take as many times its size.
type allowance struct {
	total int64 // in bytes
	free  *semaphore.Weighted
}

func newAllowance(total int64) *allowance {
	return &allowance{total, semaphore.NewWeighted(total)}
}

// errAnswersHeld is why an answer was not given.
var errAnswersHeld = errors.New("no memory is left for its answer: slow clients hold all that answers may take")

// try takes size bytes, or all there is for an answer that is larger than that.
// It is false when others hold too much.
func (a *allowance) try(size int) (share, bool) {
	n := min(int64(size), a.total)
	if !a.free.TryAcquire(n) {
		return share{}, false
	}
	return share{a, n}, true
}

// wait is try for who can wait, in turn. The error is of kind Unavailable when
// that took too long.
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
