package bench

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"lonja"
	"lonja/internal/classic"
)

// An insider is a client in the same process: it performs the requests of its
// script on a directory itself, at a given pace, and checks what comes of them.
type insider struct {
	directory lonja.Directory
	script    *script
	at        lonja.Endpoint
	every     time.Duration // between the beginnings of two operations

	latencies map[lonja.Operation][]time.Duration
}

func newInsider(d lonja.Directory, seed uint64, i, insiders int, every time.Duration) *insider {
	return &insider{
		directory: d, script: newScript(seed, i, insiders), every: every,
		at:        lonja.EndpointFrom(netip.MustParseAddr("10.0.0.1"), classic.MinPort),
		latencies: make(map[lonja.Operation][]time.Duration),
	}
}

// run performs operations until the window ends. The first wrong answer ends
// it.
func (c *insider) run(ctx context.Context, w window) error {
	due := time.Now()
	for due.Before(w.to) {
		time.Sleep(time.Until(due))
		due = due.Add(c.every)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		st := c.script.next()
		if st.user < 0 {
			continue // only a wire can carry what is malformed
		}
		start := time.Now()
		err := c.perform(ctx, &st.req)
		took := time.Since(start)
		status := classic.Status(st.req.Op, err)
		if !st.allowed.has(status) {
			return fmt.Errorf("%s ended with %w, which is wrong", st.req.Op, err)
		}
		c.script.answered(&st, status)
		if w.has(start) {
			c.latencies[st.req.Op] = append(c.latencies[st.req.Op], took)
		}
	}
	return nil
}

func (c *insider) perform(ctx context.Context, r *classic.Request) (err error) {
	d := c.directory
	switch r.Op {
	case lonja.OpRegister:
		err = d.Register(ctx, r.User)
	case lonja.OpUnregister:
		err = d.Unregister(ctx, r.User)
	case lonja.OpConnect:
		err = d.Connect(ctx, r.User, c.at)
	case lonja.OpDisconnect:
		err = d.Disconnect(ctx, r.User)
	case lonja.OpPublish:
		err = d.Publish(ctx, r.User, lonja.Listing{Name: r.Name, Description: r.Description, Size: lonja.UnknownSize})
	case lonja.OpDelete:
		err = d.Delete(ctx, r.User, r.Name)
	case lonja.OpListUsers:
		_, err = d.ListUsers(ctx, r.User)
	case lonja.OpListContent:
		_, err = d.ListContent(ctx, r.User, r.Owner)
	case lonja.OpHolders:
		_, err = d.Holders(ctx, r.User, r.Name)
	default:
		err = fmt.Errorf("there is no way to perform %s", r.Op)
	}
	return err
}
