// Package hub carries messages between the subscribers of one process: the
// Publish and Subscribe of the engines that serve one node only.
package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"lonja"
	"lonja/internal/store"
)

// backlog bounds the messages that wait for one subscriber.
const backlog = 1024

// A Hub hands each message to all that subscribe to its subject. Its zero
// value is ready for use, by any number of goroutines at once.
type Hub struct {
	mu     sync.Mutex
	subs   map[*subscription]struct{}
	closed bool
}

type subscription struct {
	subject  string
	messages chan []byte // closed when the hub is
}

var errClosed = lonja.E(lonja.Unavailable, "messages", errors.New("the store is closed"))

// Publish implements store.Store.
func (h *Hub) Publish(ctx context.Context, subject string, message []byte) error {
	if ctx.Err() != nil {
		return lonja.E(lonja.Canceled, "publish", ctx.Err())
	}
	if len(message) > store.MaxMessage {
		return lonja.E(lonja.Invalid, "publish", fmt.Errorf("a message of %d bytes, at most %d", len(message), store.MaxMessage))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errClosed
	}
	for s := range h.subs {
		if s.subject != subject {
			continue
		}
		select {
		case s.messages <- slices.Clone(message):
		default: // too slow: the message is lost for it
		}
	}
	return nil
}

// Subscribe implements store.Store.
func (h *Hub) Subscribe(ctx context.Context, subject string, ready func(), tell func([]byte)) error {
	s := &subscription{subject, make(chan []byte, backlog)}
	if err := h.add(s); err != nil {
		return err
	}
	defer h.remove(s)
	ready()
	for {
		select {
		case m, open := <-s.messages:
			if !open {
				return errClosed
			}
			tell(m)
		case <-ctx.Done():
			return lonja.E(lonja.Canceled, "subscribe", ctx.Err())
		}
	}
}

func (h *Hub) add(s *subscription) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errClosed
	}
	if h.subs == nil {
		h.subs = make(map[*subscription]struct{})
	}
	h.subs[s] = struct{}{}
	return nil
}

func (h *Hub) remove(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, s)
}

// Close ends all subscriptions.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.closed = true
	for s := range h.subs {
		close(s.messages)
	}
}
