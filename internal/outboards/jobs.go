package outboards

import (
	"context"
	"errors"
	"sync"

	"lonja"
)

// jobs are the files that are hashed, one at a time, each once however many wait
// for it.
type jobs struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	turn    chan struct{} // holds a token while none is hashed
	most    int

	mu      sync.Mutex // guards below
	ended   bool
	waiting map[lonja.FileID]*job
}

// A job is one of them. Its error is to be read when it is done.
type job struct {
	done chan struct{}
	err  error
}

func (j *jobs) begin(most int) {
	j.ctx, j.cancel = context.WithCancel(context.Background())
	j.turn = make(chan struct{}, 1)
	j.turn <- struct{}{}
	j.most, j.waiting = most, make(map[lonja.FileID]*job)
}

// end ends them all, and waits for that.
func (j *jobs) end() {
	j.mu.Lock()
	j.ended = true
	j.mu.Unlock()
	j.cancel()
	j.running.Wait()
}

// get returns the job for a content, which is a new one that does that if there is
// none. The error is of kind Limited if there are too many.
func (j *jobs) get(id lonja.FileID, do func(context.Context) error) (*job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if there := j.waiting[id]; there != nil {
		return there, nil
	}
	switch {
	case j.ended:
		return nil, lonja.E(lonja.Canceled, "hash", errors.New("this program ends"))
	case len(j.waiting) >= j.most:
		return nil, lonja.E(lonja.Limited, "hash", errors.New("too many files wait to be hashed: ask again later"))
	}
	added := &job{done: make(chan struct{})}
	j.waiting[id] = added
	j.running.Go(func() {
		added.err = j.inTurn(do)
		j.mu.Lock()
		delete(j.waiting, id)
		j.mu.Unlock()
		close(added.done)
	})
	return added, nil
}

func (j *jobs) inTurn(do func(context.Context) error) error {
	select {
	case <-j.turn:
		defer func() { j.turn <- struct{}{} }()
		return do(j.ctx)
	case <-j.ctx.Done():
		return lonja.E(lonja.Canceled, "hash", j.ctx.Err())
	}
}
