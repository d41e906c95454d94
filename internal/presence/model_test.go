package presence

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lonja"
)

// A cluster with its users, and a naive model of what is true.
type model struct {
	*sim
	users  map[lonja.UserName]*modelUser
	asked  []waiter
	chance *rand.Rand // of the network; a draw for each message would be slow
}

// A modelUser is a user's last operation.
type modelUser struct {
	online    bool
	at        lonja.Endpoint
	detail    string // of a session
	renewed   bool   // with another detail, which only who lives may know
	stamp     Stamp
	by        *simNode
	uncertain bool // nobody who lives knows of it
}

// A waiter is an operation whose caller waits until all nodes have it.
type waiter struct {
	by    *simNode
	seq   uint64
	user  lonja.UserName
	stamp Stamp
}

const maxSimNodes = 4

// TestAgainstModel: whatever happens to nodes and network, all nodes agree
// some time later, and the last operation of each user counts. On the way no
// user who answers is lost to the node that it connected to.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{sim: newSim(), users: map[lonja.UserName]*modelUser{}}
		m.chance = rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		m.twice = func() bool { return m.chance.IntN(10) == 0 }
		m.delay = func() time.Duration { return time.Duration(m.chance.IntN(150)) * time.Millisecond }
		for range rapid.IntRange(2, 3).Draw(t, "nodes") {
			m.join()
		}
		t.Repeat(map[string]func(*rapid.T){
			"connect": m.drawConnect, "disconnect": m.drawDisconnect, "silence": m.drawSilence, "renew": m.drawRenew,
			"session": m.drawSession, "renew session": m.drawRenewSession,
			"kill": m.drawKill, "leave": m.drawLeave, "join": m.drawJoin,
			"loss": m.drawLoss, "split": m.drawSplit, "pause": m.drawPause, "run": m.drawRun, "": m.invariants,
		})
		for _, n := range m.nodes {
			n.wakes = m.now
		}
		m.twice = func() bool { return false }
		m.delay = newSim().delay
		m.heal()
		m.converged(t)
	})
}

func (m *model) node(t *rapid.T) *simNode { return rapid.SampledFrom(m.live()).Draw(t, "node") }

func drawUser(t *rapid.T) lonja.UserName {
	return rapid.SampledFrom([]lonja.UserName{"a", "b", "c", "d", "e", "f"}).Draw(t, "user")
}

func (m *model) drawConnect(t *rapid.T) {
	n, user, port := m.node(t), drawUser(t), rapid.Uint16().Draw(t, "port")
	m.users[user] = &modelUser{online: true, at: place(port), stamp: m.connect(n, user, port), by: n}
	m.asked = append(m.asked, waiter{n, n.Seq(), user, m.users[user].stamp})
}

func (m *model) drawSession(t *rapid.T) {
	n, user, port := m.node(t), drawUser(t), rapid.Uint16().Draw(t, "port")
	detail := drawDetail(t)
	m.users[user] = &modelUser{online: true, at: place(port), detail: detail, stamp: m.connectSession(n, user, port, detail), by: n}
	m.asked = append(m.asked, waiter{n, n.Seq(), user, m.users[user].stamp})
}

func drawDetail(t *rapid.T) string {
	return rapid.SampledFrom([]string{"x", "yy", strings.Repeat("z", MaxDetail)}).Draw(t, "detail")
}

// drawRenewSession has a user's node tell its own directory node, which knows of
// it, where it may be reached now.
func (m *model) drawRenewSession(t *rapid.T) {
	user := drawUser(t)
	u := m.users[user]
	if u == nil || !u.online || u.by.dead || m.silent[user] {
		t.Skip("nobody to renew it")
	}
	lease, _ := u.by.Lookup(user)
	if lease.Detail == "" || lease.Stamp != u.stamp || !lease.Mine {
		t.Skip("not a session of this node")
	}
	detail, at := drawDetail(t), place(rapid.Uint16().Draw(t, "port"))
	changes, ok := u.by.RenewSession(user, at, Session{Length: testSession, Detail: detail}, m.now)
	if !ok || len(changes) > 1 {
		t.Fatalf("renewed: %v, %+v", ok, changes)
	}
	u.by.take(changes)
	u.renewed = u.renewed || u.at != at || u.detail != detail
	u.at, u.detail = at, detail
}

func (m *model) drawDisconnect(t *rapid.T) {
	n, user := m.node(t), drawUser(t)
	if m.disconnect(n, user) {
		m.users[user] = &modelUser{stamp: n.slab.at(n.slab.byUser[user]).stamp, by: n}
		m.asked = append(m.asked, waiter{n, n.Seq(), user, m.users[user].stamp})
		if _, ok := n.Lookup(user); ok {
			t.Fatalf("%s is connected after its end", user)
		}
	}
}

func (m *model) drawSilence(t *rapid.T) { m.silent[drawUser(t)] = true }

func (m *model) drawRenew(t *rapid.T) {
	n, user := m.node(t), drawUser(t)
	if m.silent[user] {
		t.Skip("nobody to renew it")
	}
	changes, _ := n.Renew(user, m.now)
	n.take(changes)
}

// gone notes which operations went with a node.
func (m *model) gone() {
	for user, u := range m.users {
		if !u.by.dead {
			continue
		}
		known := false
		for _, n := range m.live() {
			slot, ok := n.slab.byUser[user]
			known = known || ok && n.slab.at(slot).stamp == u.stamp
		}
		u.uncertain = u.uncertain || !known
	}
}

func (m *model) drawKill(t *rapid.T) {
	if len(m.live()) < 2 {
		t.Skip("the last one")
	}
	m.kill(m.node(t))
	m.gone()
}

func (m *model) drawLeave(t *rapid.T) {
	if len(m.live()) < 2 {
		t.Skip("the last one")
	}
	m.leave(m.node(t))
	m.gone()
}

func (m *model) drawJoin(t *rapid.T) {
	if len(m.live()) == maxSimNodes {
		t.Skip("enough of them")
	}
	m.join()
}

func (m *model) drawLoss(t *rapid.T) {
	percent := rapid.SampledFrom([]int{0, 10, 50}).Draw(t, "percent")
	m.lose = func() bool { return m.chance.IntN(100) < percent }
}

func (m *model) drawSplit(t *rapid.T) {
	for _, n := range m.live() {
		n.group = rapid.IntRange(0, 1).Draw(t, "group")
	}
}

func (m *model) drawPause(t *rapid.T) {
	length := rapid.SampledFrom([]time.Duration{testSilence / 2, 2 * testSilence, 2 * testLease}).Draw(t, "length")
	m.node(t).wakes = m.now.Add(length)
}

func (m *model) drawRun(t *rapid.T) {
	for range rapid.SampledFrom([]int{1, 3, 30}).Draw(t, "steps") {
		m.step()
		m.invariants(t)
	}
}

// invariants holds at any time.
func (m *model) invariants(t *rapid.T) {
	for _, n := range m.live() {
		if _, err := n.view(); err != nil {
			t.Fatal(err)
		}
	}
	m.acked(t)
	for user, u := range m.users {
		if !u.online || u.by.dead || m.silent[user] {
			continue
		}
		if lease, ok := u.by.Lookup(user); !ok || !u.renewed && (lease.At != u.at || lease.Detail != u.detail) {
			t.Fatalf("%s answers, but is not known where it connected, at node %d: %+v, %v", user, u.by.id, lease, ok)
		}
	}
}

// acked proves that what is acknowledged is there, at all nodes that serve as
// far as the one that was asked can know.
func (m *model) acked(t *rapid.T) {
	m.asked = slices.DeleteFunc(m.asked, func(w waiter) bool {
		if w.by.dead || w.by.slab.at(w.by.slab.byUser[w.user]).stamp != w.stamp {
			return true // a later operation counts
		}
		if !w.by.Acked(w.seq) {
			return false
		}
		for _, n := range m.live() {
			known := slices.ContainsFunc(w.by.nodes[1:], func(o *node) bool { return o != nil && o.id == n.id && o.live && o.acks })
			slot, ok := n.slab.byUser[w.user]
			if known && (!ok || n.slab.at(slot).stamp < w.stamp) {
				t.Fatalf("node %d acknowledged %d of node %d, and does not know of %s", n.id, w.seq, w.by.id, w.user)
			}
		}
		return true
	})
}

// converged holds once everything is well again, for long enough.
func (m *model) converged(t *rapid.T) {
	views := make([]map[lonja.UserName]lonja.Endpoint, 0, maxSimNodes)
	first := m.live()[0]
	for _, n := range m.live() {
		view, err := n.view()
		if err != nil {
			t.Fatal(err)
		}
		if !n.Ready(m.now) || !n.Acked(n.Seq()) || n.Pending() || n.Stats().Nodes != len(m.live()) {
			t.Fatalf("node %d: ready %v, acked %v, pending %v, %+v", n.id, n.Ready(m.now), n.Acked(n.Seq()), n.Pending(), n.Stats())
		}
		if views = append(views, view); !maps.Equal(view, views[0]) {
			t.Fatalf("node %d has %v, another %v", n.id, view, views[0])
		}
		for user := range view {
			if n.told[user] != first.told[user] {
				t.Fatalf("%s: node %d has the detail %.9q, another %.9q", user, n.id, n.told[user], first.told[user])
			}
		}
	}
	for user, u := range m.users {
		at, ok := views[0][user]
		switch want := u.online && !m.silent[user]; {
		case m.silent[user] && ok:
			t.Fatalf("%s is silent, but still there", user)
		case u.uncertain:
		case ok != want || ok && !u.renewed && (at != u.at || first.told[user] != u.detail):
			t.Fatalf("%s: got %v %v, want %v %v", user, at, ok, u.at, want)
		}
	}
	held := 0
	for _, n := range m.live() {
		held += n.Stats().Held
	}
	if held != len(views[0]) {
		t.Fatalf("%d leases are held by somebody, %d are known", held, len(views[0]))
	}
}
