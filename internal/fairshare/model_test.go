package fairshare

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lonja"
)

// A model is the naive account of what a Share was told and has said.
type model struct {
	s      *Share
	opts   Options
	now    time.Duration
	all    []*modelRequest
	places map[lonja.UserName]Place // of those in the queue, before the step
	paid   int64                    // bytes for which a rate counts
}

type modelRequest struct {
	*Request
	user           lonja.UserName
	wants, flies   bool
	left           int
	noSlot, beyond bool
}

// TestAgainstModel: whatever is asked in whatever order, no more are served than
// there are slots, who has none is sent nothing, the queue stays in order, and
// rates hold.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"ask": m.ask, "begin": m.begin, "begin more": m.begin, "want": m.want, "want more": m.want, "stop": m.stop,
			"next": m.next, "next more": m.next, "sent": m.sent, "end": m.end, "wait": m.wait, "": m.invariants,
		})
		m.finish(t)
	})
}

func newModel(t *rapid.T) *model {
	m := &model{
		places: make(map[lonja.UserName]Place),
		opts: Options{
			Slots: rapid.IntRange(1, 3).Draw(t, "slots"), Queue: rapid.IntRange(1, 4).Draw(t, "queue"),
			TurnBytes: rapid.Int64Range(1, 1<<20).Draw(t, "turn"), TurnTime: time.Second, Overrun: rapid.Int64Range(1, 1<<20).Draw(t, "overrun"),
			Claim: 300 * time.Millisecond, Linger: 100 * time.Millisecond, Keep: time.Second, Patience: 200 * time.Millisecond,
			Total: rapid.SampledFrom([]Rate{0, LeastRate, 1e6}).Draw(t, "total"), Each: rapid.SampledFrom([]Rate{0, LeastRate, 1e6}).Draw(t, "each"),
		},
	}
	m.s = New(m.opts)
	return m
}

func drawUser(t *rapid.T) lonja.UserName {
	return lonja.UserName(fmt.Sprint("user", rapid.IntRange(0, 6).Draw(t, "user")))
}

func (m *model) ask(t *rapid.T) { m.told(t, drawUser(t), m.s.Ask) }

// told looks at what a user learns of its place.
func (m *model) told(t *rapid.T, name lonja.UserName, ask func(lonja.UserName, time.Duration) Place) {
	u := m.s.users[name]
	was, kept := m.places[name], u != nil && u.queued && !m.s.stale(u, m.now)
	place := ask(name, m.now)
	if kept && was > 0 && place > was {
		t.Fatalf("%s goes back from place %d to %d", name, was, place)
	}
	if place == NoPlace && len(m.s.queue) < m.opts.Queue {
		t.Fatalf("no place, with %d in the queue", len(m.s.queue))
	}
}

func (m *model) begin(t *rapid.T) {
	how := Terms{Unlimited: rapid.Bool().Draw(t, "unlimited"), NoSlot: rapid.IntRange(0, 4).Draw(t, "no slot") == 0}
	name := drawUser(t)
	if how.NoSlot || how.Unlimited {
		r, _ := m.s.Begin(name, how, m.now)
		m.all = append(m.all, &modelRequest{Request: r, user: name, noSlot: true, beyond: how.Unlimited})
		return
	}
	m.told(t, name, func(name lonja.UserName, now time.Duration) Place {
		r, place := m.s.Begin(name, how, now)
		if (r != nil) != (place == Served) {
			t.Fatalf("place %d, request %v", place, r)
		}
		if r != nil {
			m.all = append(m.all, &modelRequest{Request: r, user: name, beyond: how.Unlimited})
		}
		return place
	})
}

// some draws one of those requests of which it holds.
func (m *model) some(t *rapid.T, holds func(*modelRequest) bool) *modelRequest {
	var those []*modelRequest
	for _, r := range m.all {
		if holds(r) {
			those = append(those, r)
		}
	}
	if len(those) == 0 {
		t.Skip("there is none")
	}
	return rapid.SampledFrom(those).Draw(t, "request")
}

func (m *model) want(t *rapid.T) {
	r := m.some(t, func(r *modelRequest) bool { return !r.wants && !r.flies })
	r.wants, r.left = true, rapid.IntRange(1, 1<<20).Draw(t, "bytes")
	m.s.Want(r.Request, r.left, m.now)
}

func (m *model) stop(t *rapid.T) {
	r := m.some(t, func(r *modelRequest) bool { return r.wants })
	r.wants = false
	m.s.Stop(r.Request)
}

func (m *model) next(t *rapid.T) {
	r, n, at := m.s.Next(m.now)
	if r == nil {
		if at <= m.now {
			t.Fatalf("nothing now at %v, but at %v", m.now, at)
		}
		// Until then there is nothing.
		if earlier := m.now + (min(at, m.now+time.Minute)-m.now)/2; earlier < at {
			m.now = earlier
			if again, _, _ := m.s.Next(earlier); again != nil {
				t.Fatalf("told to wait until %v, there is something at %v", at, earlier)
			}
		}
		return
	}
	i := slices.IndexFunc(m.all, func(o *modelRequest) bool { return o.Request == r })
	got := m.all[i]
	if !got.wants || got.flies || n <= 0 || n > min(got.left, MostQuantum) {
		t.Fatalf("%d bytes of a request that is %+v", n, got)
	}
	if u := m.s.users[got.user]; !got.noSlot && !u.slot {
		t.Fatalf("%s has no slot and is sent something", got.user)
	}
	got.wants, got.flies = false, true
	if !got.beyond {
		m.paid += int64(n)
		if rate := m.opts.Total; rate > 0 {
			if most := float64(rate)*(m.now+burst).Seconds() + MostQuantum; float64(m.paid) > most {
				t.Fatalf("%d bytes after %v at %v", m.paid, m.now, rate)
			}
		}
	}
}

func (m *model) sent(t *rapid.T) {
	r := m.some(t, func(r *modelRequest) bool { return r.flies })
	r.flies = false
	m.s.Sent(r.Request, m.now)
}

func (m *model) end(t *rapid.T) {
	m.endOne(m.some(t, func(*modelRequest) bool { return true }))
}

func (m *model) endOne(r *modelRequest) {
	m.s.End(r.Request, m.now)
	m.s.End(r.Request, m.now) // does no harm
	m.all = without(m.all, r)
}

func (m *model) wait(t *rapid.T) {
	m.now += time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "time"))
}

// invariants compares the Share's own accounts with each other and with the model's.
func (m *model) invariants(t *rapid.T) {
	clear(m.places)
	for i, u := range m.s.queue {
		m.places[u.name] = Place(i + 1)
	}
	slots, sending := 0, 0
	for name, u := range m.s.users {
		if u.slot {
			slots++
		}
		if len(u.flying) > 0 {
			sending++
		}
		if u.slot != slices.Contains(m.s.served, u) || u.queued != slices.Contains(m.s.queue, u) || u.inReady != slices.Contains(m.s.ready, u) {
			t.Fatalf("%s is not where it says: %+v", name, u)
		}
		if u.inReady != u.mayHave() {
			t.Fatalf("%s is ready: %v, may have: %v", name, u.inReady, u.mayHave())
		}
		counted, requests, flying := 0, 0, 0
		for _, r := range m.all {
			if r.user == name {
				requests++
				if !r.noSlot {
					counted++
				}
				if r.flies {
					flying++
				}
			}
		}
		if counted != u.counted || requests != u.requests || flying != len(u.flying) {
			t.Fatalf("%s has %d requests, %d counted, %d flying; it thinks %+v", name, requests, counted, flying, u)
		}
		if !u.slot && !u.queued && u.requests == 0 {
			t.Fatalf("%s is not forgotten", name)
		}
	}
	if slots != len(m.s.served) || slots > m.opts.Slots || sending != m.s.sending || len(m.s.queue) > m.opts.Queue+m.opts.Slots {
		t.Fatalf("%d slots, %d served, %d in the queue, %d sending, not %d", slots, len(m.s.served), len(m.s.queue), m.s.sending, sending)
	}
	if len(m.s.queue) > 0 && len(m.s.served) < m.opts.Slots {
		t.Fatalf("%d wait, with %d slots of %d in use", len(m.s.queue), slots, m.opts.Slots)
	}
}

// finish has all that is under way be sent to the end: it does not take for ever,
// and nothing is left.
func (m *model) finish(t *rapid.T) {
	for _, r := range m.all {
		if !r.wants && !r.flies {
			r.wants, r.left = true, 100_000
			m.s.Want(r.Request, r.left, m.now)
		}
	}
	for step := 0; len(m.all) > 0; step++ {
		if step > 10_000 {
			t.Fatalf("%d requests get nothing", len(m.all))
		}
		for _, r := range slices.Clone(m.all) {
			if r.flies {
				m.endOne(r)
			}
		}
		r, _, at := m.s.Next(m.now)
		switch {
		case r != nil:
			i := slices.IndexFunc(m.all, func(o *modelRequest) bool { return o.Request == r })
			m.all[i].wants, m.all[i].flies = false, true
		case len(m.all) == 0:
		case at == Never:
			t.Fatalf("%d requests wait for ever", len(m.all))
		default:
			m.now = at
		}
		m.invariants(t)
	}
}
