package bench

import (
	"context"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A load is many clients at once on one directory.
type load struct {
	directory string // host and port
	clients   int
	seed      uint64
	timeout   time.Duration
	limit     bool                  // the directory is a limit server
	newClock  func() (clock, error) // nil: no date-time service
}

// primedAtOnce is how many clients ask for the time for the first time at
// once: a thousand that connect in one moment would only meet their time limit.
const primedAtOnce = 16

// prepare makes the clients and has each ask for the time once, so that it is
// connected to the date-time service and knows how to ask.
func (l load) prepare(ctx context.Context) ([]*client, error) {
	clients := make([]*client, l.clients)
	var priming errgroup.Group
	priming.SetLimit(primedAtOnce)
	for i := range clients {
		priming.Go(func() (err error) {
			clients[i], err = l.client(i)
			if err == nil && clients[i].clock != nil {
				clients[i].clock.Now(ctx) // without the time an operation is counted as such
			}
			return err
		})
	}
	if err := priming.Wait(); err != nil {
		closeClocks(clients)
		return nil, err
	}
	return clients, nil
}

// client returns the load's client number i.
func (l load) client(i int) (*client, error) {
	c := &client{
		directory: l.directory,
		dialer:    &net.Dialer{Timeout: l.timeout, KeepAlive: -1},
		script:    newScript(l.seed, i, l.clients),
		limit:     l.limit,
		in:        make([]byte, readSize),
	}
	if l.newClock == nil {
		return c, nil
	}
	var err error
	c.clock, err = l.newClock()
	return c, err
}

// work has the clients work until the end of the window, sees what they began
// to its end, and returns what they all counted. It is early, and the tally of
// no use, when ctx ends.
func work(ctx context.Context, clients []*client, w window) *Tally {
	var working sync.WaitGroup
	for _, c := range clients {
		working.Go(func() {
			c.window = w
			c.run(ctx)
		})
	}
	working.Wait()
	var sum Tally
	for _, c := range clients {
		sum.merge(&c.tally)
	}
	return &sum
}

// closeClocks ends the clients' connections to the date-time service.
func closeClocks(clients []*client) {
	for _, c := range clients {
		if c != nil && c.clock != nil {
			c.clock.Close()
		}
	}
}
