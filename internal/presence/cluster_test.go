package presence

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"lonja"
)

// cluster returns nodes that know each other.
func cluster(n int) (*sim, []*simNode) {
	s := newSim()
	for range n {
		s.join()
	}
	s.run(time.Second)
	return s, s.nodes
}

func wantAt(t *testing.T, nodes []*simNode, user lonja.UserName, at lonja.Endpoint) {
	t.Helper()
	for _, n := range nodes {
		if n.dead {
			continue
		}
		if lease, ok := n.Lookup(user); !ok || lease.At != at {
			t.Errorf("node %d: %s: got %+v, %v, want %v", n.id, user, lease, ok, at)
		}
		if _, err := n.view(); err != nil {
			t.Error(err)
		}
	}
}

func wantGone(t *testing.T, nodes []*simNode, user lonja.UserName) {
	t.Helper()
	for _, n := range nodes {
		if lease, ok := n.Lookup(user); ok && !n.dead {
			t.Errorf("node %d: %s is at %+v", n.id, user, lease)
		}
	}
}

func TestEveryNodeKnowsAndMayEndIt(t *testing.T) {
	s, nodes := cluster(3)
	s.connect(nodes[0], "ana", 1)
	s.run(4 * simStep)
	wantAt(t, nodes, "ana", place(1))
	if !s.disconnect(nodes[1], "ana") {
		t.Error("not connected at another node")
	}
	s.run(4 * simStep)
	wantGone(t, nodes, "ana")
	s.connect(nodes[2], "ana", 2)
	s.run(4 * simStep)
	wantAt(t, nodes, "ana", place(2))
	if s.run(2 * testLease); nodes[0].Stats().Behind > 0 {
		t.Errorf("%+v", nodes[0].Stats())
	}
	wantAt(t, nodes, "ana", place(2))
}

// Of a dead node's users each survivor adopts a share, and none of them
// notices; the same, at once, when it leaves in order.
func TestUsersOfANodeThatIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(*sim, *simNode)
		after time.Duration
	}{
		"dead": {(*sim).kill, testSilence + 4*simStep},
		"left": {(*sim).leave, 4 * simStep},
	} {
		t.Run(name, func(t *testing.T) {
			const users = 60
			s, nodes := cluster(3)
			stamps := map[lonja.UserName]Stamp{}
			for i := range users {
				user := lonja.UserName(fmt.Sprint("user", i))
				stamps[user] = s.connect(nodes[2], user, uint16(i))
			}
			s.run(4 * simStep)
			c.end(s, nodes[2])
			s.run(c.after)
			a, b := nodes[0].Stats(), nodes[1].Stats()
			if a.Held+b.Held != users || a.Held < users/4 || b.Held < users/4 || a.Nodes != 2 {
				t.Errorf("%+v and %+v", a, b)
			}
			for user, stamp := range stamps {
				if lease, ok := nodes[0].Lookup(user); !ok || lease.Stamp != stamp {
					t.Fatalf("%s: %+v, %v; its connection was %d", user, lease, ok, stamp)
				}
			}
			s.run(2 * testLease)
			if nodes[0].Len() != users {
				t.Errorf("%d of %d are left, of users who answer", nodes[0].Len(), users)
			}
		})
	}
}

// A node that died and is back before anybody noticed is not ready before the
// others have adopted what it held.
func TestReadyWaitsForOnesOwnUsers(t *testing.T) {
	s, nodes := cluster(3)
	for i := range 20 {
		s.connect(nodes[2], lonja.UserName(fmt.Sprint("user", i)), 1)
	}
	s.run(4 * simStep)
	s.kill(nodes[2])
	back, began := s.join(), s.now
	for !back.Ready(s.now) {
		s.step()
	}
	if back.Len() != 20 {
		t.Errorf("it is ready and knows of %d users, want 20", back.Len())
	}
	if took := s.now.Sub(began); took > testSilence+2*testBeat {
		t.Errorf("it takes %v", took)
	}
}

// Others hear a node that this one never does: it does not wait for ever.
func TestReadyInSpiteOfANodeThatIsNotHeard(t *testing.T) {
	s, nodes := cluster(3)
	deaf := s.join()
	for began := s.now; !deaf.Ready(s.now); s.step() {
		if s.now.Sub(began) > testSilence+2*testBeat {
			t.Fatal("it waits for ever")
		}
		deaf.inbox = slices.DeleteFunc(deaf.inbox, func(m simMessage) bool { return m.from == nodes[2].id })
	}
	if s.now.Sub(deaf.start) < testSilence {
		t.Error("it does not wait for the node at all")
	}
}

// What one survivor only knew of is not lost with the node that held it.
func TestTheOtherAdoptsWhatTheChosenOneMissed(t *testing.T) {
	s, nodes := cluster(3)
	for i := range 20 {
		s.connect(nodes[2], lonja.UserName(fmt.Sprint("user", i)), 1)
	}
	nodes[0].group = 1 // it hears none of this
	s.flush(nodes[2])
	s.kill(nodes[2])
	s.step()
	nodes[0].group = 0
	s.run(2*testSilence + testBeat)
	for i := range 20 {
		wantAt(t, nodes, lonja.UserName(fmt.Sprint("user", i)), place(1))
	}
}

// A node that was cut off gets its users back, but those who went on elsewhere.
func TestANodeThatWasCutOffReturns(t *testing.T) {
	s, nodes := cluster(3)
	for _, user := range []lonja.UserName{"stays", "moves", "ends", "silent"} {
		s.connect(nodes[2], user, 1)
	}
	s.run(4 * simStep)
	nodes[2].group = 1
	s.run(2 * testSilence)
	s.connect(nodes[2], "new", 3)
	s.connect(nodes[0], "moves", 2)
	s.disconnect(nodes[1], "ends")
	s.silent["silent"] = true
	s.run(testSilence)
	wantAt(t, nodes[2:], "new", place(3))
	wantAt(t, nodes[2:], "moves", place(1))
	s.heal()
	wantAt(t, nodes, "stays", place(1))
	wantAt(t, nodes, "moves", place(2))
	wantAt(t, nodes, "new", place(3))
	wantGone(t, nodes, "ends")
	wantGone(t, nodes, "silent")
	for user, held := range map[lonja.UserName]int{"stays": 2, "moves": 0, "new": 2} {
		if !nodes[held].mine[user] {
			t.Errorf("%s is not held by node %d", user, nodes[held].id)
		}
	}
}

// A user renewed at another node than its holder moves there; the lease ends
// at neither.
func TestRenewalMovesTheLease(t *testing.T) {
	s, nodes := cluster(2)
	stamp := s.connect(nodes[0], "ana", 1)
	s.silent["ana"] = true // nobody asks for it; it renews by itself
	s.run(4 * simStep)
	for i := range 12 {
		n := nodes[i/4%2]
		changes, ok := n.RenewLease("ana", stamp, s.now)
		if n.take(changes); !ok || !n.mine["ana"] {
			t.Fatalf("renewal %d: %v, %v", i, ok, changes)
		}
		s.run(testLease / 2)
		wantAt(t, nodes, "ana", place(1))
	}
	s.run(2 * testLease)
	wantGone(t, nodes, "ana")
}

// Two nodes that do not hear each other adopt a lease. It is renewed at one of
// them only; that it runs out at the other does not end it, whichever it is.
func TestALeaseRunsOutForItsHolderOnly(t *testing.T) {
	for renewed := range 2 {
		s, nodes := cluster(3)
		stamp := s.connect(nodes[2], "ana", 1)
		s.silent["ana"] = true // nobody asks for it; it renews by itself
		s.run(4 * simStep)
		s.kill(nodes[2])
		nodes[0].group = 1
		s.run(5 * testSilence / 2)
		for range 8 {
			changes, ok := nodes[renewed].RenewLease("ana", stamp, s.now)
			if nodes[renewed].take(changes); !ok {
				t.Fatal("it cannot be renewed")
			}
			s.run(testLease / 4)
		}
		wantGone(t, nodes[1-renewed:][:1], "ana")
		nodes[0].group = 0
		s.run(testLease / 2)
		wantAt(t, nodes, "ana", place(1))
	}
}

// A node whose clock is behind puts its operations after those that it knows.
func TestClocksNeedNotAgree(t *testing.T) {
	now, behind := epochTime, epochTime.Add(-time.Hour)
	a, b := New(Options{Node: 1}, now), New(Options{Node: 2}, behind)
	first, _ := a.Connect("ana", place(1), now)
	a.owes = true
	for range 3 {
		receive(t, behind, b, a.Flush(now))
		receive(t, now, a, b.Flush(behind))
	}
	if _, ok := b.Lookup("ana"); !ok {
		t.Fatal("ana did not arrive")
	}
	if second, _ := b.Connect("luis", place(2), behind); second <= first {
		t.Errorf("stamp %d after %d", second, first)
	}
	b.Disconnect("ana", behind)
	receive(t, now, a, b.Flush(behind))
	if _, ok := a.Lookup("ana"); ok || a.Len() != 1 {
		t.Errorf("%d users; ana: %v", a.Len(), ok)
	}
}

// The end of an account reaches nodes at different times: only the holder acts.
func TestDropIsTheHolders(t *testing.T) {
	s, nodes := cluster(2)
	s.connect(nodes[0], "ana", 1)
	s.run(4 * simStep)
	if changes := nodes[1].Drop("ana", s.now); len(changes) > 0 {
		t.Errorf("at another node: %+v", changes)
	}
	nodes[0].take(nodes[0].Drop("ana", s.now))
	s.run(4 * simStep)
	wantGone(t, nodes, "ana")
}

func TestGoneNodesAreForgotten(t *testing.T) {
	s, nodes := cluster(2)
	s.kill(nodes[1])
	for range 2 * maxNodes {
		n := s.join()
		s.flush(n)
		s.kill(n)
		s.nodes = s.nodes[:2]
		s.step()
	}
	if got := len(nodes[0].nodes); got > maxNodes {
		t.Errorf("%d nodes are remembered", got)
	}
	s.run(testRemember + 2*testSilence)
	for i, n := range nodes[0].nodes[1:] {
		if n != nil {
			t.Fatalf("node %d of %d: %+v", i, len(nodes[0].nodes), *n)
		}
	}
}

// A message that comes late, or twice, does not bring back who said bye.
func TestWhoLeftStaysAway(t *testing.T) {
	s, nodes := cluster(2)
	late := nodes[1].beat()
	s.leave(nodes[1])
	s.step()
	receive(t, s.now, nodes[0].Table, [][]byte{late})
	if got := nodes[0].Stats(); got.Nodes != 1 {
		t.Errorf("%+v", got)
	}
}
