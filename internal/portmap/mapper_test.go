package portmap

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
)

// The rules of the mapper, on routers in memory and a clock that jumps. How it
// talks to routers is tested with the protocols.

const testPort = 4445

// testOutside is a public address; nothing is sent to it.
var testOutside = netip.MustParseAddr("1.2.3.21")

// A box is a router in memory. All of it belongs to one goroutine at a time.
type box struct {
	address   netip.Addr
	lease     time.Duration // what it gives at most; 0 is mappings for good
	off       bool          // it does not answer
	refuses   bool
	table     map[uint16]time.Time // the ends of our mappings
	foreign   []uint16             // ports that lead to others
	begun     int                  // how often it was switched on
	additions int
}

func newBox() *box {
	return &box{address: testOutside, lease: 24 * time.Hour, table: map[uint16]time.Time{}}
}

// restart has the box forget.
func (b *box) restart() {
	clear(b.table)
	b.begun++
}

// live reports whether the port leads to us now.
func (b *box) live(port uint16) bool {
	end, ok := b.table[port]
	return ok && (end.IsZero() || time.Now().Before(end))
}

// find is what a mapper looks for routers with.
func (b *box) find(context.Context, network, uint16) ([]router, error) {
	if b.off {
		return nil, errSilent
	}
	return []router{&connection{b, b.begun}}, nil
}

var errSilent = lonja.E(lonja.Unavailable, "ask", errors.New("no answer"))

// A connection is a router as found: one that was switched off and on is to be
// found again, as its control address may be another.
type connection struct {
	*box
	found int
}

func (c *connection) by() string { return "memory" }

func (c *connection) answers(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return lonja.E(lonja.Canceled, "ask", err)
	}
	if c.off || c.found != c.begun {
		return errSilent
	}
	return nil
}

func (c *connection) outside(ctx context.Context) (netip.Addr, error) {
	return c.address, c.answers(ctx)
}

func (c *connection) add(ctx context.Context, want uint16, lease time.Duration) (grant, error) {
	if err := c.answers(ctx); err != nil {
		return grant{}, err
	}
	if c.refuses {
		return grant{}, lonja.E(lonja.Refused, "map", errors.New("no"))
	}
	for slices.Contains(c.foreign, want) {
		want++
	}
	c.additions++
	lease = min(lease, c.lease)
	c.table[want] = time.Time{}
	if lease > 0 {
		c.table[want] = time.Now().Add(lease)
	}
	return grant{want, lease}, nil
}

func (c *connection) check(ctx context.Context, outside uint16) error {
	if err := c.answers(ctx); err != nil {
		return err
	}
	if !c.live(outside) {
		return lonja.E(lonja.Refused, "check", errors.New("gone"))
	}
	return nil
}

func (c *connection) remove(ctx context.Context, outside uint16) error {
	if err := c.answers(ctx); err != nil {
		return err
	}
	delete(c.table, outside)
	return nil
}

var home = network{gateway: netip.MustParseAddr("192.168.1.1"), local: netip.MustParseAddr("192.168.1.11")}

// A rig is a mapper, and what it is told and tells. Everything runs in the
// test's goroutine, in a bubble whose clock jumps.
type rig struct {
	*box
	at     network
	states []State
	mapper *mapper
}

func startRig(b *box, at network) *rig {
	r := &rig{box: b, at: at}
	r.mapper = newMapper(Options{Port: testPort, Changed: func(s State) { r.states = append(r.states, s) }})
	r.mapper.look = func() network { return r.at }
	r.mapper.find = func(ctx context.Context, at network, port uint16) ([]router, error) { return r.find(ctx, at, port) }
	r.pass(0)
	return r
}

func (r *rig) state() State {
	if len(r.states) == 0 {
		return State{Problem: Starting}
	}
	return r.states[len(r.states)-1]
}

// pass does what run does for so long.
func (r *rig) pass(d time.Duration) {
	for end := time.Now().Add(d); ; {
		r.mapper.step(context.Background())
		left := time.Until(end)
		if left <= 0 {
			return
		}
		time.Sleep(min(r.mapper.pause(wall()), left))
	}
}

// end does what run does when its context has ended.
func (r *rig) end() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return r.mapper.drop(ctx)
}

// mustBe fails unless the port is mapped to this one outside, and the router
// agrees.
func (r *rig) mustBe(t *testing.T, port uint16) {
	t.Helper()
	s := r.state()
	if s.Problem != None || s.Mapping.Endpoint != lonja.EndpointFrom(r.address, port) || !r.live(port) {
		t.Errorf("the state is %q and the router has %v, want port %d", s, r.table, port)
	}
}

func (r *rig) mustEnd(t *testing.T) {
	t.Helper()
	if err := r.end(); err != nil || len(r.table) > 0 {
		t.Errorf("at the end (%v) the router has %v", err, r.table)
	}
}

func inBubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func TestMapperKeepsTheMapping(t *testing.T) {
	inBubble(t, "renewed at half its life, and removed", func(t *testing.T) {
		r := startRig(newBox(), home)
		r.mustBe(t, testPort)
		r.pass(DefaultLease/2 - time.Second)
		if r.additions != 1 {
			t.Errorf("%d requests before half the life", r.additions)
		}
		r.pass(2 * time.Second)
		if r.additions != 2 {
			t.Errorf("%d requests after half the life, want 2", r.additions)
		}
		r.pass(48 * time.Hour)
		r.mustBe(t, testPort)
		if want := 2 + 48*2; r.additions != want {
			t.Errorf("%d requests in two days, want %d", r.additions, want)
		}
		r.mustEnd(t)
	})
	inBubble(t, "a router that gives less", func(t *testing.T) {
		b := newBox()
		b.lease = 20 * time.Second
		r := startRig(b, home)
		for range 100 {
			r.pass(7 * time.Second)
			r.mustBe(t, testPort)
		}
		r.mustEnd(t)
	})
	inBubble(t, "a router that gives next to nothing is not overrun", func(t *testing.T) {
		b := newBox()
		b.lease = time.Millisecond
		r := startRig(b, home)
		r.pass(time.Hour)
		if most := int(time.Hour/leastRenewal) + 1; r.additions > most {
			t.Errorf("%d requests in an hour, want %d at most", r.additions, most)
		}
		r.mustEnd(t)
	})
	inBubble(t, "mappings for good", func(t *testing.T) {
		b := newBox()
		b.lease = 0
		r := startRig(b, home)
		r.pass(24 * time.Hour)
		r.mustBe(t, testPort)
		if until := r.state().Mapping.Until; !until.IsZero() {
			t.Errorf("it ends at %v", until)
		}
		r.mustEnd(t)
	})
	inBubble(t, "a clock that is set back", func(t *testing.T) {
		r := startRig(newBox(), home)
		r.pass(lookEvery)
		r.mapper.stepped = wall().Add(time.Hour)
		r.pass(0)
		if r.additions != 2 {
			t.Errorf("%d requests, want a renewal", r.additions)
		}
		r.pass(checkEvery)
		if r.additions != 2 {
			t.Errorf("%d requests, want no more", r.additions)
		}
		r.mustEnd(t)
	})
	inBubble(t, "another port", func(t *testing.T) {
		b := newBox()
		b.foreign = []uint16{testPort, testPort + 1}
		r := startRig(b, home)
		r.mustBe(t, testPort+2)
		b.foreign = nil
		r.pass(DefaultLease)
		r.mustBe(t, testPort+2) // others know it by now
		r.mustEnd(t)
	})
}

func TestMapperCopesWithRouters(t *testing.T) {
	inBubble(t, "forgets", func(t *testing.T) {
		r := startRig(newBox(), home)
		r.restart()
		r.pass(checkEvery)
		r.mustBe(t, testPort)
		r.mustEnd(t)
	})
	inBubble(t, "loses the port to another", func(t *testing.T) {
		r := startRig(newBox(), home)
		clear(r.table)
		r.foreign = []uint16{testPort}
		r.pass(checkEvery)
		r.mustBe(t, testPort+1)
		r.mustEnd(t)
	})
	inBubble(t, "gives another port, and would keep the old one", func(t *testing.T) {
		r := startRig(newBox(), home)
		r.foreign = []uint16{testPort}
		r.pass(DefaultLease / 2)
		r.mustBe(t, testPort+1)
		if r.live(testPort) {
			t.Errorf("the router has %v", r.table)
		}
		r.mustEnd(t)
	})
	inBubble(t, "maps the port when nobody waits any more", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newBox()
		m := newMapper(Options{Port: testPort})
		m.look = func() network { return home }
		m.find = func(context.Context, network, uint16) ([]router, error) {
			return []router{tardy{&connection{b, 0}, cancel}}, nil
		}
		if err := m.run(ctx); err != nil || b.additions != 1 || len(b.table) > 0 {
			t.Errorf("%v; after %d requests the router has %v", err, b.additions, b.table)
		}
	})
	inBubble(t, "gets another address", func(t *testing.T) {
		r := startRig(newBox(), home)
		r.address = netip.MustParseAddr("1.2.3.99")
		r.pass(checkEvery)
		r.mustBe(t, testPort)
		r.mustEnd(t)
	})
	inBubble(t, "is off for a while", func(t *testing.T) {
		b := newBox()
		b.off = true
		r := startRig(b, home)
		if s := r.state(); s.Problem != NoAnswer {
			t.Errorf("the state is %q", s)
		}
		b.off = false
		r.pass(firstRetry)
		r.mustBe(t, testPort)
		b.off = true
		r.pass(checkEvery)
		if s := r.state(); s.Problem != NoAnswer {
			t.Errorf("the state is %q", s)
		}
		b.restart()
		b.off = false
		r.pass(firstRetry)
		r.mustBe(t, testPort)
		r.mustEnd(t)
	})
	inBubble(t, "is off at the end", func(t *testing.T) {
		r := startRig(newBox(), home)
		r.off = true
		if err := r.end(); !errors.Is(err, lonja.Unavailable) {
			t.Errorf("got %v", err)
		}
	})
	inBubble(t, "never answers the removal", func(t *testing.T) {
		r := startRig(newBox(), home)
		begun := time.Now()
		m := &mapper{router: deaf{}, outside: testPort}
		if err := m.drop(t.Context()); !errors.Is(err, lonja.Canceled) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begun); took != removePatience {
			t.Errorf("it took %v, want %v", took, removePatience)
		}
		r.mustEnd(t)
	})
	inBubble(t, "is behind another", func(t *testing.T) {
		b := newBox()
		b.address = netip.MustParseAddr("192.168.0.10")
		r := startRig(b, home)
		if s := r.state(); s.Problem != DoubleNAT || r.additions != 0 {
			t.Errorf("the state is %q after %d requests", s, r.additions)
		}
		r.mustEnd(t)
	})
	inBubble(t, "says no, ever more rarely asked", func(t *testing.T) {
		b := newBox()
		b.refuses = true
		r := startRig(b, home)
		if s := r.state(); s.Problem != Refused || s.Detail != "no" {
			t.Errorf("the state is %q", s)
		}
		r.pass(24 * time.Hour)
		if len(r.states) != 1 {
			t.Errorf("it told the same %d times", len(r.states))
		}
		r.mustEnd(t)
	})
}

// tardy is a router that maps the port, but by the time that it answers the
// context has ended.
type tardy struct {
	*connection
	cancel func()
}

func (r tardy) add(ctx context.Context, want uint16, lease time.Duration) (grant, error) {
	_, _ = r.connection.add(ctx, want, lease)
	r.cancel()
	return grant{}, lonja.E(lonja.Canceled, "map", ctx.Err())
}

// deaf is a router that answers nothing.
type deaf struct{ router }

func (deaf) remove(ctx context.Context, _ uint16) error {
	<-ctx.Done()
	return lonja.E(lonja.Canceled, "remove", ctx.Err())
}

func TestMapperTakesTheFirstThatMaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		no, yes := newBox(), newBox()
		no.refuses = true
		m := newMapper(Options{Port: testPort})
		m.look = func() network { return home }
		m.find = func(context.Context, network, uint16) ([]router, error) {
			return []router{&connection{no, 0}, &connection{yes, 0}}, nil
		}
		m.step(t.Context())
		if m.state.Problem != None || !yes.live(testPort) {
			t.Errorf("the state is %q", m.state)
		}
		yes.address = netip.Addr{}
		m.check(t.Context())
		if m.state.Problem != Refused {
			t.Errorf("the state is %q, want what says the most", m.state)
		}
	})
}

func TestMapperFollowsTheNetwork(t *testing.T) {
	elsewhere := network{gateway: netip.MustParseAddr("10.0.0.1"), local: netip.MustParseAddr("10.0.0.7")}
	direct := network{gateway: netip.MustParseAddr("1.1.1.1"), local: netip.MustParseAddr("1.1.1.7")}
	inBubble(t, "another network", func(t *testing.T) {
		r := startRig(newBox(), home)
		old := r.box
		r.box, r.at = newBox(), elsewhere
		r.box.address = netip.MustParseAddr("1.2.3.22")
		r.pass(lookEvery)
		r.mustBe(t, testPort)
		if len(old.table) > 0 {
			t.Errorf("the router left behind has %v", old.table)
		}
		r.mustEnd(t)
	})
	inBubble(t, "none, and one again", func(t *testing.T) {
		r := startRig(newBox(), network{})
		if s := r.state(); s.Problem != NoRouter {
			t.Errorf("the state is %q", s)
		}
		r.pass(24 * time.Hour)
		r.at = home
		r.pass(lookEvery)
		r.mustBe(t, testPort)
		r.off, r.at = true, network{}
		r.pass(lookEvery)
		if s := r.state(); s.Problem != NoRouter {
			t.Errorf("the state is %q", s)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
	inBubble(t, "a public address", func(t *testing.T) {
		r := startRig(newBox(), direct)
		r.pass(24 * time.Hour)
		if s := r.state(); s.Problem != Direct || r.additions > 0 {
			t.Errorf("the state is %q after %d requests", s, r.additions)
		}
		r.mustEnd(t)
	})
}

func TestRetriesBecomeRare(t *testing.T) {
	want := []time.Duration{15, 30, 60, 120, 240, 480, 960, 1800, 1800}
	for i, seconds := range want {
		if got := retryAfter(i); got != seconds*time.Second {
			t.Errorf("after %d failures: %v, want %v", i, got, seconds*time.Second)
		}
	}
	if got := retryAfter(1 << 40); got != lastRetry {
		t.Errorf("after very many failures: %v", got)
	}
}
