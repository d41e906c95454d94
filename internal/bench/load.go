package bench

import (
	"context"
	"net"
	"sync"
	"time"
)

// A load is many clients at once on one directory.
type load struct {
	directory string // host and port
	clients   int
	seed      uint64
	timeout   time.Duration
	limit     bool  // the directory is a limit server
	clock     clock // nil: no date-time service
	window    window
}

// run has the clients work until the end of the window, sees what they began
// to its end, and returns what they all counted. It is early, and the tally of
// no use, when ctx ends.
func (l load) run(ctx context.Context) (*Tally, error) {
	clients := make([]*client, l.clients)
	for i := range clients {
		clients[i] = l.client(i)
	}
	var working sync.WaitGroup
	for _, c := range clients {
		working.Go(func() { c.run(ctx) })
	}
	working.Wait()
	var sum Tally
	for _, c := range clients {
		sum.merge(&c.tally)
	}
	return &sum, ctx.Err()
}

func (l load) client(i int) *client {
	return &client{
		directory: l.directory,
		dialer:    &net.Dialer{Timeout: l.timeout, KeepAlive: -1},
		script:    newScript(l.seed, i, l.clients),
		limit:     l.limit,
		clock:     l.clock,
		in:        make([]byte, readSize),
		window:    l.window,
	}
}
