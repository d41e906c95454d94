package natsstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lonja"
	"lonja/internal/store"
)

// maxAbsence is how long a feed may be without a message: less than tombstones
// last, so that it has missed none. The keepers' marks come all the time.
const maxAbsence = tombstoneLife / 2

// A feed is one call of Feed.
//
// It reads the stream until it has caught up, and then follows the messages
// that the stream's leader sends on as it stores them (live.go). Since the
// stream has only the latest message of each key, a reader comes too late for
// some: their sequences are left out, and newer messages of the same keys stand
// further on. Until the feed has come to those, what it has told is not how
// things were at any one moment, and it does not say how far it is.
type feed struct {
	store *Store
	tell  func(store.Event) error

	last  uint64    // the sequence up to which all is told
	heard time.Time // when the last message came

	// In the beginning:
	beginning bool
	records   uint64  // that were read
	keysMet   *keySet // that had a value

	// While it catches up:
	catching bool
	missed   []span // the sequences that were left out
	until    uint64 // the mark at which newer messages of all keys have come; 0 before it is known
}

// A span is a range of sequences, both ends among them.
type span struct{ from, to uint64 }

// Feed implements store.Store. It leaves out a change if the feed was behind
// and another of the same key followed, but never that a key was deleted and
// made anew. An error of kind Damaged may be that of one replica only: the next
// feed reads at another. In the beginning it may tell the deletion of a key that it has not
// told, of one in some hundreds that were deleted. It ends with an error of kind
// Unavailable if it was away for so long that deletions may have been forgotten
// meanwhile.
func (s *Store) Feed(ctx context.Context, tell func(store.Event) error) error {
	if err := s.usable(ctx, "feed"); err != nil {
		return err
	}
	info, err := s.leaderInfo(ctx)
	if err != nil {
		return s.failure(ctx, "feed", err)
	}
	f := &feed{store: s, tell: tell, heard: time.Now(), beginning: true, keysMet: newKeySet(info.State.Msgs)}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	wait := backoff{}
	for {
		last := f.last
		err := f.run(running)
		b, again := errors.AsType[*broken](err)
		if !again {
			return err
		}
		if known := s.usable(ctx, "feed"); known != nil {
			return known
		}
		if err := f.outOfTouch(time.Now(), b.err); err != nil {
			return err
		}
		s.log.Info("the feed catches up", "after", f.last, "because", lonja.Printable(b.Error()))
		if f.last > last {
			wait = backoff{}
		}
		wait.next(running)
	}
}

// outOfTouch is the error of a feed that has heard nothing for so long that
// deletions may have been forgotten meanwhile, or nil.
func (f *feed) outOfTouch(now time.Time, because error) error {
	away := now.Sub(f.heard)
	if away <= maxAbsence {
		return nil
	}
	return lonja.E(lonja.Unavailable, "feed", fmt.Errorf("out of touch with the cluster for %s: %w", away.Round(time.Second), because))
}

// broken says that the feed has lost its place: no reason to end it, it
// catches up.
type broken struct{ err error }

func (b *broken) Error() string { return b.err.Error() }

// run catches up and follows, until it loses its place, tell fails, or ctx
// ends.
func (f *feed) run(ctx context.Context) error {
	f.catching, f.until = true, 0
	live, err := f.catchUp(ctx)
	if err != nil {
		return err
	}
	defer live.close()
	// Whatever has taken the place of what the reader missed was there before
	// this mark.
	if f.until, err = f.mark(ctx); err != nil {
		return err
	}
	for {
		m, err := live.next(ctx, f.last)
		if err != nil {
			return err
		}
		if m.seq > f.last+1 {
			return &broken{fmt.Errorf("%d came after %d", m.seq, f.last)}
		}
		if err := f.event(m); err != nil {
			return err
		}
	}
}

// catchUp reads the stream to its end, and returns where it goes on from
// there.
func (f *feed) catchUp(ctx context.Context) (_ *live, err error) {
	r, err := f.newSource(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	// So much first: meanwhile all that is new would have to wait in memory.
	mark, err := f.readToMark(ctx, r)
	if err != nil {
		return nil, err
	}
	if begun, ok := r.(*reader); ok && f.beginning {
		if err := f.checkBeginning(ctx, begun, mark); err != nil {
			return nil, err
		}
	}
	live, err := f.store.listen(ctx)
	if err != nil {
		return nil, &broken{err}
	}
	defer func() {
		if err != nil {
			live.close()
		}
	}()
	if _, err := f.readToMark(ctx, r); err != nil {
		return nil, err
	}
	// The servers between the leader and us may have taken a while to know that
	// we listen.
	return live, f.readTo(ctx, r, live.first(f.last)-1)
}

// readToMark writes a mark and reads until there. A replica that lags ends its
// stream too early, but does not have the mark yet.
func (f *feed) readToMark(ctx context.Context, r source) (uint64, error) {
	mark, err := f.mark(ctx)
	if err != nil {
		return 0, err
	}
	return mark, f.readTo(ctx, r, mark)
}

func (f *feed) readTo(ctx context.Context, r source, seq uint64) error {
	for f.last < seq {
		m, err := r.next(ctx)
		if err != nil {
			return err
		}
		if err := f.event(m); err != nil {
			return err
		}
	}
	return nil
}

func (f *feed) mark(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	mark, err := f.store.mark(ctx)
	if e, ok := errors.AsType[*lonja.Error](err); ok {
		return 0, e
	}
	if err != nil {
		return 0, &broken{err}
	}
	return mark, nil
}

// checkBeginning makes sure that what was read until mark was whole.
//
// A server that was stopped in order trusts its own index when it starts, and
// leaves out a record with a flipped bit without a word. After a kill, or
// without the index, it fetches such a record from the others.
func (f *feed) checkBeginning(ctx context.Context, r *reader, mark uint64) error {
	lacks, err := f.lacks(ctx, r, mark)
	if err != nil || lacks == 0 {
		return err
	}
	// The leader may let tombstones go a little later than the replica.
	select {
	case <-time.After(expirySpread):
	case <-ctx.Done():
		return &broken{ctx.Err()}
	}
	if mark, err = f.readToMark(ctx, r); err != nil {
		return err
	}
	if lacks, err = f.lacks(ctx, r, mark); err != nil || lacks == 0 {
		return err
	}
	f.store.setShort(r.replica)
	return lonja.E(lonja.Damaged, "feed", fmt.Errorf(
		"stream %s as server %s has it lacks %d of its records: it is damaged. Stop that server, remove index.db from the msgs directory of the stream there, and start it: it takes from the others what it lacks. Until then, another server is asked the next time",
		f.store.name, lonja.Printable(r.replica), lacks))
}

// expirySpread is how much later one server may let tombstones go than another.
const expirySpread = 3 * time.Second

// countTries is how often the leader is asked for its count, until it has it
// from before any newer message.
const countTries = 5

// lacks returns how many messages have not come at least, of those that the
// leader still has from before the mark. Purges, and changes of what was
// already read, make that less than it was, never more.
//
// A message after the mark may be one more or take another's place, as each
// mark does, and the leader's count does not tell which. A lack could hide
// behind it, so the count is taken again at a newer mark. Where writes never
// pause the bound stays that much lower.
func (f *feed) lacks(ctx context.Context, r *reader, mark uint64) (uint64, error) {
	for tries := 1; ; tries++ {
		info, err := f.store.leaderInfo(ctx)
		if err != nil {
			return 0, &broken{err}
		}
		state := info.State
		if state.LastSeq < mark {
			return 0, &broken{errors.New("a leader that lags")}
		}
		newer := state.LastSeq - mark
		if newer == 0 || tries == countTries {
			come := f.records + newer + 1 // the mark
			return state.Msgs - min(state.Msgs, come), nil
		}
		if mark, err = f.readToMark(ctx, r); err != nil {
			return 0, err
		}
	}
}

// A told is a message of the stream, as a reader or the leader tells it.
type told struct {
	subject string
	data    []byte
	seq     uint64
}

// event takes a message in.
func (f *feed) event(m told) error {
	f.heard = time.Now()
	if m.seq <= f.last {
		return nil // a replica that lags began before what was asked for
	}
	if f.catching && !f.beginning && m.seq > f.last+1 {
		f.missed = append(f.missed, span{f.last + 1, m.seq - 1})
	}
	if err := f.take(m); err != nil {
		return err
	}
	f.last = m.seq
	f.store.raise(m.seq)
	if f.catching && f.until != 0 && f.last >= f.until {
		f.catching, f.missed = false, nil
		f.beginning, f.keysMet = false, nil
		return f.tell(store.Event{Rev: store.Rev(f.last)})
	}
	return nil
}

// take tells what a message says.
func (f *feed) take(m told) error {
	rev := store.Rev(m.seq)
	if m.subject == f.store.name+markSubject {
		if f.catching {
			return nil
		}
		return f.tell(store.Event{Rev: rev})
	}
	key, err := f.store.key(m.subject)
	if err != nil {
		return err
	}
	r, err := unseal(key, m.data)
	if err != nil {
		return err
	}
	met := f.beginning && f.keysMet.has(key)
	if f.beginning {
		f.records++
	}
	switch {
	case r.kind == deleted && f.beginning && !met:
		return nil // it was not told
	case r.kind == deleted:
		return f.tell(store.Event{Key: key, Rev: rev})
	case r.kind == created && r.replaces != 0 && (met || f.hasMissed(r.replaces)):
		if err := f.tell(store.Event{Key: key, Rev: store.Rev(f.last)}); err != nil {
			return err
		}
	}
	if f.beginning {
		f.keysMet.add(key)
	}
	return f.tell(store.Event{Key: key, Value: r.value, Rev: rev})
}

// hasMissed reports whether a message was left out.
func (f *feed) hasMissed(seq uint64) bool {
	return slices.ContainsFunc(f.missed, func(s span) bool { return s.from <= seq && seq <= s.to })
}
