package bench

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// A writeFunc makes record n of a writer durable; it returns when it is.
type writeFunc func(ctx context.Context, writer, n int) error

// A writing is what writers saw during one measurement.
type writing struct {
	done      int             // writes whose answer came within it
	latencies []time.Duration // of those that began within it
	others    float64         // share of the processors that other programs took
}

// keepWriting has so many writers write, one record after the other, each
// waiting for its answer, until the end of the window. The first error ends it.
func keepWriting(ctx context.Context, writers int, w window, write writeFunc) (*writing, error) {
	tallies := make([]writing, writers)
	group, ctx := errgroup.WithContext(ctx)
	for i := range writers {
		group.Go(func() error { return tallies[i].keep(ctx, i, w, write) })
	}
	sum := &writing{}
	group.Go(func() (err error) {
		sum.others, err = othersDuring(ctx, w)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, t := range tallies {
		sum.done += t.done
		sum.latencies = append(sum.latencies, t.latencies...)
	}
	return sum, nil
}

func (t *writing) keep(ctx context.Context, writer int, w window, write writeFunc) error {
	for n := 0; ; n++ {
		start := time.Now()
		if !start.Before(w.to) {
			return nil
		}
		if err := write(ctx, writer, n); err != nil {
			return err
		}
		end := time.Now()
		if w.has(end) {
			t.done++
		}
		if w.has(start) {
			t.latencies = append(t.latencies, end.Sub(start))
		}
	}
}
