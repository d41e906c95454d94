package oplog

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"lonja"
	"lonja/internal/oncrpc"
)

const (
	// defaultQueue is 0.4 seconds of a directory at its limit, and some 3 MiB
	// of memory with entries of the usual size.
	defaultQueue = 16 << 10

	// dialTime bounds the opening of one connection.
	dialTime = 3 * time.Second

	// flushTime bounds what Run does after its context has ended.
	flushTime = time.Second
)

// ClientOptions say where a Client finds the operation log.
type ClientOptions struct {
	// Target is the host of the service, whose rpcbind then says where it
	// listens there; or host:port, which needs no rpcbind. An IPv6 address
	// stands in brackets, at least before a port. Empty: there is no operation log.
	Target string
	// QueueSize bounds the entries that wait; 0 is 16,384.
	QueueSize int
	// Log gets what operators should know, once for each row of failures; nil
	// discards it.
	Log *slog.Logger

	// testOnlyDial stands in for the network.
	testOnlyDial dialFunc
}

// A dialFunc opens a connection, as net.Dialer's DialContext does.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// A Client carries entries to the operation log. Record, Queued and Dropped may
// be called by any number of goroutines, before and during Run. Entries that are
// recorded after Run go nowhere.
type Client struct {
	target target
	queue  *queue
	log    *slog.Logger
	dial   dialFunc
}

// NewClient returns a client that has not touched the network yet. The error,
// of kind lonja.Invalid, says what is wrong with the target.
func NewClient(o ClientOptions) (*Client, error) {
	where, err := parseTarget(o.Target)
	if err != nil {
		return nil, lonja.E(lonja.Invalid, "operation log", err)
	}
	c := &Client{target: where, log: o.Log, dial: o.testOnlyDial}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.dial == nil {
		c.dial = (&net.Dialer{Timeout: dialTime}).DialContext
	}
	if where.host != "" {
		c.queue = newQueue(positive(o.QueueSize, defaultQueue))
	}
	return c, nil
}

// Record puts an entry into the queue, and returns at once. When the queue is
// full, the oldest entry in it is lost. An entry over the limits of the
// protocol is lost, too. The client keeps the entry's strings until they are sent.
func (c *Client) Record(r lonja.OperationRecord) {
	switch {
	case c.queue == nil:
	case !oncrpc.FitsLogEntry(r):
		c.queue.drop(1)
	default:
		c.queue.push(r)
	}
}

// Dropped returns how many entries were lost.
func (c *Client) Dropped() uint64 {
	if c.queue == nil {
		return 0
	}
	return c.queue.lost()
}

// Queued returns how many entries wait to be sent.
func (c *Client) Queued() int {
	if c.queue == nil {
		return 0
	}
	return c.queue.waiting()
}

// Run carries entries to the service until ctx ends. Then it still sends what
// waits, for a second at most and only while the service answers. The error
// counts the entries that are lost nevertheless. Run may be called once.
func (c *Client) Run(ctx context.Context) error {
	if c.queue == nil {
		<-ctx.Done()
		return nil
	}
	flushing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	flushed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(flushed)
		pause(flushing, flushTime)
		cancel()
	})
	s := &sender{Client: c, window: newWindow(rand.Uint32()), closing: ctx.Done()}
	s.run(flushing)
	cancel()
	if !stop() {
		<-flushed
	}
	left := s.queue.len() + s.window.state(false).unanswered
	if left == 0 {
		return nil
	}
	c.queue.drop(left)
	return lonja.E(lonja.Unavailable, "operation log", fmt.Errorf("%d entries are lost at the end", left))
}
