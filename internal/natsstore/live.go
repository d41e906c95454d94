package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// liveBacklog bounds the messages that wait for a feed. More are lost, which
// the feed notices by their sequences.
const liveBacklog = 8192

// liveSilence is after how long a feed looks whether the cluster has gone on
// without it: the last messages before an election may never be sent on.
const liveSilence = 250 * time.Millisecond

// A live is what the leader sends on as it stores it: every message of the
// stream, in their order, from some point on. It may lose some, which the
// sequences show.
type live struct {
	store    *Store
	prefix   string // of the subjects, before those of the stream
	sub      *nats.Subscription
	messages chan *nats.Msg
	head     *nats.Msg // taken out of messages, not yet returned
	behind   uint64    // the place of the feed when it was last found behind
	look     *time.Ticker
}

// listen begins to listen.
func (s *Store) listen(ctx context.Context) (*live, error) {
	l := &live{store: s, prefix: s.name + liveSubject, messages: make(chan *nats.Msg, liveBacklog)}
	var err error
	if l.sub, err = s.conn.ChanSubscribe(l.prefix+">", l.messages); err != nil {
		return nil, err
	}
	l.look = time.NewTicker(liveSilence)
	if err := s.settled(ctx); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *live) close() {
	l.look.Stop()
	_ = l.sub.Unsubscribe()
}

// first returns the sequence of the first message after last that has come, or
// last+1 if none has.
func (l *live) first(last uint64) uint64 {
	for {
		if l.head == nil {
			select {
			case l.head = <-l.messages:
			default:
				return last + 1
			}
		}
		seq, err := sequence(l.head)
		if err != nil {
			return last + 1 // next returns the error
		}
		if seq > last {
			return seq
		}
		l.head = nil
	}
}

// next returns the next message. Its errors are *broken.
func (l *live) next(ctx context.Context, last uint64) (told, error) {
	for l.head == nil {
		select {
		case l.head = <-l.messages:
		case <-l.look.C:
			if l.isBehind(last) {
				return told{}, &broken{fmt.Errorf("nothing came after %d, but there is more", last)}
			}
		case <-ctx.Done():
			return told{}, &broken{ctx.Err()}
		}
	}
	m := l.head
	l.head = nil
	seq, err := sequence(m)
	if err != nil {
		return told{}, &broken{err}
	}
	return told{strings.TrimPrefix(m.Subject, l.prefix), m.Data, seq}, nil
}

// isBehind reports whether something was acknowledged after last, and was
// already when it was last asked.
func (l *live) isBehind(last uint64) bool {
	if l.store.highest.Load() <= last {
		l.behind = 0
		return false
	}
	was := l.behind == last+1
	l.behind = last + 1
	return was
}

// sequence returns the sequence that a message has in the stream.
func sequence(m *nats.Msg) (uint64, error) {
	seq, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil || seq == 0 {
		return 0, errors.New("a message without a sequence")
	}
	return seq, nil
}
