package natsstore

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// How a reader reads: so much on its way at a time, and so long without any
// sign of life from the server before another one is asked.
const (
	readMessages = 8192
	readBytes    = 8 << 20
	readExpiry   = 30 * time.Second
	readSilence  = time.Second // heartbeats; two that are missing are too many
)

// A reader reads the stream as one replica has it. Its errors are *broken.
type reader struct {
	store    *Store
	name     string // of the consumer
	replica  string // the server that it reads at
	messages jetstream.MessagesContext
	count    uint64 // messages so far
}

// newReader makes a reader of what is after f.last, on whichever replica the
// cluster likes, but not on one that was found short if another can be had. It
// needs no acknowledgements and leaves nothing behind.
func (f *feed) newReader(ctx context.Context) (*reader, error) {
	config := jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverAllPolicy,
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: readExpiry,
	}
	if f.last > 0 {
		config.DeliverPolicy = jetstream.DeliverByStartSequencePolicy
		config.OptStartSeq = f.last + 1
	}
	for tries := 1; ; tries++ {
		r, consumer, err := f.store.makeConsumer(ctx, config)
		if err != nil {
			return nil, &broken{err}
		}
		if f.store.isShort(r.replica) && tries < readerTries {
			r.close()
			continue
		}
		r.messages, err = consumer.Messages(
			jetstream.PullMaxMessagesWithBytesLimit(readMessages, readBytes),
			jetstream.PullExpiry(readExpiry),
			jetstream.PullHeartbeat(readSilence),
		)
		if err != nil {
			return nil, &broken{err}
		}
		return r, nil
	}
}

// readerTries is how often the cluster is asked for a reader elsewhere: it
// takes one of three replicas at random.
const readerTries = 20

func (s *Store) makeConsumer(ctx context.Context, config jetstream.ConsumerConfig) (*reader, jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, questionTime())
	defer cancel()
	consumer, err := s.js.CreateConsumer(ctx, s.name, config)
	if err != nil {
		return nil, nil, err
	}
	info := consumer.CachedInfo()
	r := &reader{store: s, name: info.Name}
	if info.Cluster != nil {
		r.replica = info.Cluster.Leader
	}
	return r, consumer, nil
}

// isShort reports whether a replica was found to leave records out.
func (s *Store) isShort(replica string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.short[replica]
}

func (s *Store) setShort(replica string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.short == nil {
		s.short = make(map[string]bool)
	}
	s.short[replica] = true
}

// next returns the next message. A reader that is broken is not used again.
func (r *reader) next(ctx context.Context) (told, error) {
	if ctx.Err() != nil { // many messages may be waiting
		return told{}, &broken{ctx.Err()}
	}
	m, err := r.messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return told{}, &broken{err}
	}
	about, err := m.Metadata()
	if err != nil {
		return told{}, &broken{err}
	}
	r.count++
	if about.Sequence.Consumer != r.count {
		return told{}, &broken{fmt.Errorf("message %d of a reader came as number %d", about.Sequence.Consumer, r.count)}
	}
	return told{m.Subject(), m.Data(), about.Sequence.Stream}, nil
}

// close tells the server that a reader is not needed any more. If it does not
// hear, the consumer ends by itself.
func (r *reader) close() {
	if r.messages != nil {
		r.messages.Stop()
	}
	ctx, cancel := context.WithTimeout(r.store.ctx, time.Second)
	defer cancel()
	_ = r.store.js.DeleteConsumer(ctx, r.store.name, r.name)
}
