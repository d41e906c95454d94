package natsstore

import (
	"context"
	"encoding/json"
	"errors"
)

// A source tells the messages of the stream in their order, from some place
// on. Its errors are *broken; one that is broken is not used again.
type source interface {
	next(ctx context.Context) (told, error)
	close()
}

const (
	// fewMessages are got by asking sooner than a reader is made.
	fewMessages = 32
	// maxAsked bounds what is got by asking at all: some seconds of it.
	maxAsked = 8192
)

// newSource returns a source of what is after f.last. A reader is the faster
// one, but only the leader of all servers can make it, and after a disaster
// that one has to be elected first, as the stream's leader has. A feed that has
// lost its place needs not wait for both: what it missed is mostly a handful.
func (f *feed) newSource(ctx context.Context) (source, error) {
	highest := f.store.highest.Load()
	missed := highest - min(f.last, highest)
	mayAsk := !f.beginning && missed <= maxAsked
	if mayAsk && missed <= fewMessages {
		return &asker{f.store, f.last + 1}, nil
	}
	r, err := f.newReader(ctx)
	switch {
	case err == nil:
		return r, nil
	case mayAsk:
		return &asker{f.store, f.last + 1}, nil
	}
	return nil, err
}

// An asker asks the stream's leader for one message after the other.
type asker struct {
	store *Store
	from  uint64 // the sequence of the next message, or of one before it
}

// next returns the next message. It waits for one, as long as one attempt may
// take.
func (a *asker) next(ctx context.Context) (told, error) {
	question, err := json.Marshal(map[string]any{"seq": a.from, "next_by_subj": a.store.name + ".>"})
	if err != nil {
		return told{}, &broken{err}
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	wait := backoff{}
	for {
		m, found, err := a.store.ask(ctx, question)
		switch {
		case found:
			a.from = m.seq + 1
			return m, nil
		case err == nil:
			err = errors.New("no message comes")
		}
		if !wait.next(ctx) {
			return told{}, &broken{err}
		}
	}
}

func (a *asker) close() {}
