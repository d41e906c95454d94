package natsstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"lonja"
	"lonja/internal/store"
)

// messageBacklog bounds the messages that wait for one subscriber.
const messageBacklog = 4096

// Publish implements store.Store.
func (s *Store) Publish(ctx context.Context, subject string, message []byte) error {
	if err := s.usable(ctx, "publish"); err != nil {
		return err
	}
	if len(message) > store.MaxMessage {
		return lonja.E(lonja.Invalid, "publish", fmt.Errorf("a message of %d bytes, at most %d", len(message), store.MaxMessage))
	}
	if err := s.conn.Publish(s.name+messageSubject+subject, message); err != nil {
		return s.failure(ctx, "publish", err)
	}
	return nil
}

// Subscribe implements store.Store. While there is no connection messages are
// lost; with the next one they come again.
func (s *Store) Subscribe(ctx context.Context, subject string, ready func(), tell func([]byte)) error {
	if err := s.usable(ctx, "subscribe"); err != nil {
		return err
	}
	sub, err := s.conn.SubscribeSync(s.name + messageSubject + subject)
	if err != nil {
		return s.failure(ctx, "subscribe", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := sub.SetPendingLimits(messageBacklog, messageBacklog*store.MaxMessage/64); err != nil {
		return s.failure(ctx, "subscribe", err)
	}
	if err := s.settled(ctx); err != nil {
		return s.failure(ctx, "subscribe", err)
	}
	ready()
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	for {
		m, err := sub.NextMsgWithContext(running)
		switch {
		case err == nil:
			tell(m.Data)
		case errors.Is(err, nats.ErrSlowConsumer): // told once for each run of messages that were lost
		default:
			return s.failure(ctx, "subscribe", err)
		}
	}
}

// settled waits until the server has taken all that was sent.
func (s *Store) settled(ctx context.Context) error {
	ctx, end := s.under(ctx, patience)
	defer end()
	return s.conn.FlushWithContext(ctx)
}
