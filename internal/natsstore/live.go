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

// These bound what waits for a feed: messages, and bytes of all of them. More
// are lost, which the feed notices.
const (
	liveBacklog = 8192
	liveBytes   = 64 << 20
)

// liveSilence is after how long a feed looks whether the cluster has gone on
// without it: the last messages before an election may never be sent on.
const liveSilence = 250 * time.Millisecond

// A live is what the leader sends on as it stores it: every message of the
// stream, in their order, from some point on. It may lose some, which the
// sequences show.
type live struct {
	store  *Store
	prefix string // of the subjects, before those of the stream
	sub    *nats.Subscription
	head   *nats.Msg // taken out of sub, not yet returned
	behind uint64    // one more than the place of the feed when it was last found behind
}

// listen begins to listen.
func (s *Store) listen(ctx context.Context) (*live, error) {
	l := &live{store: s, prefix: s.name + liveSubject}
	var err error
	if l.sub, err = s.conn.SubscribeSync(l.prefix + ">"); err != nil {
		return nil, err
	}
	if err = l.sub.SetPendingLimits(liveBacklog, liveBytes); err == nil {
		err = s.settled(ctx)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *live) close() { _ = l.sub.Unsubscribe() }

// first returns the sequence of the first message after last that has come, or
// last+1 if none has.
func (l *live) first(last uint64) uint64 {
	for {
		if l.head == nil {
			m, err := l.sub.NextMsg(0)
			if errors.Is(err, nats.ErrSlowConsumer) {
				continue
			}
			if err != nil {
				return last + 1 // none, or next returns the error
			}
			l.head = m
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
		m, err := l.receive(ctx)
		switch {
		case ctx.Err() != nil:
			return told{}, &broken{ctx.Err()}
		case err == nil:
			l.head = m
		case errors.Is(err, nats.ErrSlowConsumer): // what is lost shows in the sequences
		case !errors.Is(err, context.DeadlineExceeded):
			return told{}, &broken{err}
		case l.isBehind(last):
			return told{}, &broken{fmt.Errorf("nothing came after %d, but there is more", last)}
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

// receive waits for a message, but not longer than liveSilence.
func (l *live) receive(ctx context.Context) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, liveSilence)
	defer cancel()
	return l.sub.NextMsgWithContext(ctx)
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
