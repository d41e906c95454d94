package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/store"
)

// Headers of a message that the stream acts on.
const (
	expectHeader      = "Nats-Expected-Last-Subject-Sequence"
	lifeHeader        = "Nats-TTL"
	batchHeader       = "Nats-Batch-Id"
	batchNumberHeader = "Nats-Batch-Sequence"
	batchCommitHeader = "Nats-Batch-Commit"
)

// A write is one Apply, over all its attempts.
type write struct {
	batch []store.Change
	nonce nonce
	// bases are the sequences that the keys' last messages are expected to
	// have. Where a change expects nothing, a tombstone is nothing too.
	bases []uint64
	// began is the highest sequence that was known when it began: what has no
	// higher one was there before.
	began    uint64
	attempts int
	// lost is set once an attempt had no answer: from then on, what stands
	// where ours should be may have come after ours.
	lost bool
}

// Apply implements store.Store.
func (s *Store) Apply(ctx context.Context, batch []store.Change) (store.Rev, error) {
	if err := store.Check(batch); err != nil {
		return 0, err
	}
	if err := s.usable(ctx, "apply"); err != nil {
		return 0, err
	}
	limited, end := s.under(ctx, patience)
	defer end()
	rev, err := s.carryOut(limited, s.newWrite(batch))
	if err == nil {
		s.raise(rev)
		s.tried(nil)
		return store.Rev(rev), nil
	}
	err = s.failure(ctx, "apply", err)
	if errors.Is(err, lonja.Unavailable) {
		s.tried(err)
	}
	return 0, err
}

func (s *Store) newWrite(batch []store.Change) *write {
	w := &write{batch: batch, nonce: s.newNonce(), bases: make([]uint64, len(batch)), began: s.highest.Load()}
	for i, c := range batch {
		w.bases[i] = uint64(c.Expect)
	}
	return w
}

// carryOut tries until it is known what came of w, or ctx ends. A missing
// answer is not a failure: what the cluster holds decides.
func (s *Store) carryOut(ctx context.Context, w *write) (uint64, error) {
	wait := backoff{}
	for {
		rev, result, err := s.send(ctx, w)
		switch result {
		case done:
			return rev, nil
		case failed:
			return 0, err
		case lost:
			w.lost = true
		case conflict:
			if rev, kept, err := s.settle(ctx, w); kept || err != nil {
				return rev, err
			}
		case notDone: // again
		}
		if !wait.next(ctx) {
			return 0, err
		}
	}
}

// send makes one attempt.
func (s *Store) send(ctx context.Context, w *write) (uint64, outcome, error) {
	w.attempts++
	if len(w.batch) == 1 {
		return s.request(ctx, s.message(w, 0))
	}
	select {
	case s.batches <- struct{}{}:
		defer func() { <-s.batches }()
	case <-ctx.Done():
		return 0, notDone, ctx.Err()
	}
	id := fmt.Sprintf("%x-%d", w.nonce, w.attempts)
	for i := range w.batch {
		m := s.message(w, i)
		m.Header.Set(batchHeader, id)
		m.Header.Set(batchNumberHeader, strconv.Itoa(i+1))
		if i == len(w.batch)-1 {
			m.Header.Set(batchCommitHeader, "1")
			return s.request(ctx, m)
		}
		if err := s.conn.PublishMsg(m); err != nil {
			result := requestOutcome(err)
			if result == lost {
				result = notDone // nothing is, before the last message
			}
			return 0, result, printable(err)
		}
	}
	panic("unreachable: the batch has a last message")
}

// message returns the message of the i-th change.
func (s *Store) message(w *write, i int) *nats.Msg {
	c := w.batch[i]
	m := nats.NewMsg(s.subject(c.Key))
	m.Header.Set(expectHeader, strconv.FormatUint(w.bases[i], 10))
	if c.Value == nil {
		m.Header.Set(lifeHeader, tombstoneLife.String())
	}
	m.Data = record{kindOf(c), w.nonce, w.bases[i], c.Value}.seal(c.Key)
	return m
}

// A verdict is what the last message of a key says about a write.
type verdict int

const (
	tryAgain verdict = iota // nothing: the expectation holds, or does now
	ours                    // it is of this write
	others                  // it is another's, and ours was never there
	unclear                 // it is another's, and ours may have been before it
)

// settle looks at what stands where w should be. It returns the revision and
// true if w is kept after all, an error if it cannot be, and neither if it is
// to be tried again.
func (s *Store) settle(ctx context.Context, w *write) (rev uint64, kept bool, err error) {
	verdicts, seqs := make([]verdict, len(w.batch)), make([]uint64, len(w.batch))
	looks, ctx := errgroup.WithContext(ctx)
	looks.SetLimit(32)
	for i := range w.batch {
		looks.Go(func() (err error) {
			verdicts[i], seqs[i], err = s.look(ctx, w, i)
			return err
		})
	}
	if err := looks.Wait(); err != nil {
		return 0, false, err
	}
	var stranger error
	for i, v := range verdicts {
		switch v {
		case ours: // then all are, one after the other
			return seqs[i] + uint64(len(w.batch)-1-i), true, nil
		case others:
			stranger = lonja.E(lonja.Conflict, "apply", fmt.Errorf("key %s", w.batch[i].Key))
		case unclear:
			if stranger == nil {
				stranger = lonja.E(lonja.Unavailable, "apply", fmt.Errorf("key %s was changed again before it was known whether this change was made", w.batch[i].Key))
			}
		case tryAgain:
		}
	}
	return 0, false, stranger
}

// look compares the i-th change with the last message of its key.
func (s *Store) look(ctx context.Context, w *write, i int) (verdict, uint64, error) {
	key := w.batch[i].Key
	m, found, err := s.last(ctx, s.subject(key))
	if err == nil && (!found || m.seq < w.bases[i]) && 0 < w.bases[i] && w.bases[i] <= s.highest.Load() {
		// The caller has seen a newer one: this may be a leader that is none
		// any more. Who knows of the newer one is asked again.
		info, unknown := s.askInfo(ctx)
		if unknown != nil || info.State.LastSeq < w.bases[i] {
			return tryAgain, 0, nil
		}
		m, found, err = s.last(ctx, s.subject(key))
	}
	if err != nil {
		return 0, 0, err
	}
	if !found {
		return w.judgeNothing(i), 0, nil
	}
	r, err := unseal(key, m.data)
	if err != nil {
		return 0, 0, err
	}
	return w.judge(i, m.seq, r), m.seq, nil
}

// judgeNothing judges a key that has no message: it was purged, its tombstone
// has come to its end, or it never had one.
func (w *write) judgeNothing(i int) verdict {
	switch {
	case w.batch[i].Expect == 0:
		w.bases[i] = 0
		return tryAgain
	case w.lost:
		return unclear
	}
	return others
}

// judge judges a key's last message.
func (w *write) judge(i int, seq uint64, r record) verdict {
	switch {
	case r.nonce == w.nonce:
		return ours
	case seq == w.bases[i]: // a write that was under way has come to nothing
		return tryAgain
	case r.kind == deleted && w.batch[i].Expect == 0 && (!w.lost || seq <= w.began):
		w.bases[i] = seq // nothing of ours was before it
		return tryAgain
	case w.lost && r.replaces != w.bases[i]:
		return unclear
	}
	return others
}
