package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
)

// A directory keeps the rule of sessions: who does not renew within a minute is
// forgotten. It fails with what it is told to.
type directory struct {
	mu      sync.Mutex
	fails   error
	renewed time.Time    // zero: no session
	node    lonja.NodeID // whose session it is
	ways    []lonja.Endpoint
	asked   []string // what, and when
	begun   time.Time
}

var errAway = lonja.E(lonja.Unavailable, "", errors.New("away"))

const (
	patience = time.Minute
	validFor = 12 * time.Hour
)

func (d *directory) note(what string) error {
	d.asked = append(d.asked, fmt.Sprint(what, " ", time.Since(d.begun).Round(time.Second)))
	return d.fails
}

// grant gives a certificate if one is wanted. The caller holds mu.
func (d *directory) grant(ways []lonja.Endpoint, certificate bool) Grant {
	d.renewed = time.Now()
	if ways != nil {
		d.ways = ways
	}
	if !certificate {
		return Grant{}
	}
	return Grant{Certificate: [][]byte{{1}}, NotBefore: time.Now(), NotAfter: time.Now().Add(validFor)}
}

func (d *directory) Begin(_ context.Context, m lonja.Member, ways []lonja.Endpoint) (Grant, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.note("begin"); err != nil {
		return Grant{}, err
	}
	d.node = m.Node
	return d.grant(ways, true), nil
}

func (d *directory) Renew(_ context.Context, m lonja.Member, ways []lonja.Endpoint, certificate bool) (Grant, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.note("renew"); err != nil {
		return Grant{}, err
	}
	if d.renewed.IsZero() || time.Since(d.renewed) > patience {
		return Grant{}, lonja.NotConnected
	}
	if d.node != m.Node {
		return Grant{}, lonja.TakenOver
	}
	return d.grant(ways, certificate), nil
}

func (d *directory) do(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *directory) connected() (yes bool) {
	d.do(func() { yes = !d.renewed.IsZero() && time.Since(d.renewed) <= patience })
	return yes
}

// A scene is a session with a directory, in synthetic time.
type scene struct {
	*directory
	*Session
	grants []bool // begun, of each grant
	end    func() error
}

func play(t *testing.T, act func(t *testing.T, s *scene)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{directory: &directory{begun: time.Now()}}
		ways := []lonja.Endpoint{{}}
		s.Session = New(Options{
			Directory: s.directory, Member: lonja.Member{User: "ana"}, Ways: func() []lonja.Endpoint { return ways },
			Granted: func(_ Grant, begun bool) { s.do(func() { s.grants = append(s.grants, begun) }) },
		})
		if err := s.Session.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		s.end = func() error { cancel(); return <-ended }
		act(t, s)
		cancel()
		synctest.Wait()
	})
}

func TestStaysConnected(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		for range 24 * 60 {
			time.Sleep(time.Minute)
			if !s.connected() {
				t.Fatalf("forgotten; asked %v", s.asked)
			}
		}
		if n := len(s.asked); n < 24*60*3 || n > 24*60*6 {
			t.Errorf("asked %d times in a day", n)
		}
		if left := time.Until(s.State().Grant.NotAfter); left < validFor/2-time.Minute {
			t.Errorf("the certificate lasts %v more only", left)
		}
		if err := s.end(); err != nil {
			t.Errorf("at the end: %v", err)
		}
	})
}

// TestComesBack after the directory was away, for long enough to forget or not.
func TestComesBack(t *testing.T) {
	for _, c := range []struct {
		away time.Duration
		err  error
	}{
		{20 * time.Second, errAway},
		{10 * time.Hour, errAway},
		{time.Hour, lonja.E(lonja.Untrusted, "", errors.New("another machine has its address here"))},
	} {
		away := c.away
		t.Run(away.String(), func(t *testing.T) {
			play(t, func(t *testing.T, s *scene) {
				s.do(func() { s.fails = c.err })
				time.Sleep(away)
				if state := s.State(); state.Connected || !errors.Is(state.Trouble, lonja.KindOf(c.err)) {
					t.Errorf("while it is away: %+v", state)
				}
				s.do(func() { s.fails = nil })
				time.Sleep(16 * time.Second)
				if !s.connected() || !s.State().Connected || s.State().Trouble != nil {
					t.Errorf("not back: %+v, asked %v", s.State(), s.asked)
				}
				s.do(func() {
					if begun := slices.Contains(s.grants[1:], true); begun != (away > patience) {
						t.Errorf("begun anew: %v", begun)
					}
				})
			})
		})
	}
}

// TestDoNotComeBackAtOnce: of many nodes whose directory restarts, no second
// sees more than a few in a hundred.
func TestDoNotComeBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const nodes = 1000
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		all := make([]*directory, nodes)
		for i := range all {
			all[i] = &directory{begun: time.Now()}
			s := New(Options{
				Directory: all[i], Ways: func() []lonja.Endpoint { return nil }, Granted: func(Grant, bool) {},
			})
			if err := s.Begin(ctx); err != nil {
				t.Fatal(err)
			}
			running.Go(func() { _ = s.Run(ctx) })
		}
		set := func(err error) {
			for _, d := range all {
				d.do(func() { d.fails, d.renewed = err, time.Time{} })
			}
		}
		set(errAway)
		time.Sleep(3 * time.Minute)
		set(nil)
		before, worst := 0, 0
		for range 30 {
			time.Sleep(time.Second)
			now := 0
			for _, d := range all {
				if d.connected() {
					now++
				}
			}
			worst, before = max(worst, now-before), now
		}
		if before != nodes || worst > nodes/5 {
			t.Errorf("%d of %d came back, at most %d in one second", before, nodes, worst)
		}
		cancel()
		running.Wait()
	})
}

// TestLostAtOnce: of many nodes that lose their connections at the same moment, all
// come back within Spread, the first soon, and no second sees many.
func TestLostAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			nodes  = 300
			spread = 30 // seconds
		)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		all := make([]*directory, nodes)
		sessions := make([]*Session, nodes)
		for i := range all {
			all[i] = &directory{begun: time.Now()}
			sessions[i] = New(Options{
				Directory: all[i], Ways: func() []lonja.Endpoint { return nil }, Granted: func(Grant, bool) {},
			})
			if err := sessions[i].Begin(ctx); err != nil {
				t.Fatal(err)
			}
			running.Go(func() { _ = sessions[i].Run(ctx) })
		}
		lost := time.Now()
		for _, s := range sessions {
			s.Lost()
		}
		var seconds [spread + 1]int // when each was back first
		time.Sleep(spread*time.Second + time.Millisecond)
		for _, d := range all {
			d.do(func() {
				if len(d.asked) < 2 {
					t.Error("one has not come back")
					return
				}
				var second int
				if _, err := fmt.Sscanf(d.asked[1], "renew %ds", &second); err != nil {
					t.Error(d.asked[1], err)
					return
				}
				seconds[min(second, spread)]++
			})
		}
		// With 10 expected a second, 50 of them have a chance below 1e-18; none in the
		// first five has one of (5/6)^300, below 1e-23.
		early := 0
		for second, n := range seconds {
			if second < 5 {
				early += n
			}
			if n > nodes/6 {
				t.Errorf("%d of %d came back in second %d", n, nodes, second)
			}
		}
		if early == 0 {
			t.Errorf("nobody was back five seconds after %v", lost)
		}
		cancel()
		running.Wait()
	})
}

func TestMovedIsToldSoon(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		time.Sleep(time.Second)
		before := len(s.asked)
		s.Moved()
		synctest.Wait()
		if len(s.asked) != before+1 {
			t.Errorf("asked %v", s.asked)
		}
	})
}

// TestGivesUp what can never be had again.
func TestGivesUp(t *testing.T) {
	for _, kind := range []lonja.Kind{lonja.OtherKey, lonja.NoSuchUser, lonja.Forbidden, lonja.TakenOver} {
		play(t, func(t *testing.T, s *scene) {
			s.do(func() { s.fails = kind })
			time.Sleep(time.Minute)
			if err := s.end(); !errors.Is(err, kind) {
				t.Errorf("got %v, want %v", err, kind)
			}
		})
	}
}

// TestEndsAsTold: what the directory has told elsewhere ends it at once, and the
// directory is asked no more.
func TestEndsAsTold(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		time.Sleep(time.Second)
		before := len(s.asked)
		for range 2 {
			s.End(lonja.TakenOver)
		}
		synctest.Wait()
		if state := s.State(); state.Connected || !errors.Is(state.Trouble, lonja.TakenOver) || len(s.asked) != before {
			t.Errorf("got %+v, asked %v", state, s.asked[before:])
		}
		if err := s.end(); !errors.Is(err, lonja.TakenOver) {
			t.Errorf("got error %v, want %v", err, lonja.TakenOver)
		}
	})
}

// TestOfTwoTheLaterStays: a program with a copy of the key takes the session over,
// and the one that had it leaves it alone from then on, also when it is free again.
func TestOfTwoTheLaterStays(t *testing.T) {
	play(t, func(t *testing.T, first *scene) {
		time.Sleep(time.Hour)
		second := New(Options{
			Directory: first.directory, Member: lonja.Member{User: "ana"},
			Ways: func() []lonja.Endpoint { return nil }, Granted: func(Grant, bool) {},
		})
		if first.Member().Node.IsZero() || first.Member() == second.Member() {
			t.Fatalf("%v and %v are not told apart", first.Member(), second.Member())
		}
		if err := second.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- second.Run(ctx) }()
		time.Sleep(time.Hour)
		if state := first.State(); state.Connected || !errors.Is(state.Trouble, lonja.TakenOver) {
			t.Errorf("the first: %+v", state)
		}
		if state := second.State(); !state.Connected || !first.connected() {
			t.Errorf("the second: %+v, asked %v", state, first.asked)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the second has ended: %v", err)
		}
		var asked int
		first.do(func() { first.renewed, asked = time.Time{}, len(first.asked) })
		time.Sleep(time.Hour)
		first.do(func() {
			if len(first.asked) != asked {
				t.Errorf("the first has come back: %v", first.asked[asked:])
			}
		})
		if err := first.end(); !errors.Is(err, lonja.TakenOver) {
			t.Errorf("the first: got error %v, want %v", err, lonja.TakenOver)
		}
	})
}
