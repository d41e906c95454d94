package presence

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lonja"
)

// The lengths that the tests use.
const (
	testLease    = 4 * time.Second
	testSession  = 2 * time.Second
	testBeat     = 200 * time.Millisecond
	testSilence  = time.Second
	testRemember = time.Minute
	simStep      = 50 * time.Millisecond
)

func place(port uint16) lonja.Endpoint {
	return lonja.EndpointFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), port)
}

// A sim is a cluster with its network: messages of one node to another keep
// their order, and that is all.
type sim struct {
	now    time.Time
	nodes  []*simNode // also the dead ones
	next   uint64     // id of the next node
	lose   func() bool
	twice  func() bool
	delay  func() time.Duration
	silent map[lonja.UserName]bool // users whose program does not answer any more
}

type simNode struct {
	*Table
	id    uint64
	dead  bool
	wakes time.Time                         // it is paused until then
	group int                               // nodes of different groups do not hear each other
	inbox []simMessage                      // in the order of arrival
	seen  map[lonja.UserName]lonja.Endpoint // what the changes add up to
	told  map[lonja.UserName]string         // the same of details
	mine  map[lonja.UserName]bool
}

type simMessage struct {
	from uint64
	at   time.Time
	data []byte
}

func newSim() *sim {
	return &sim{
		now: time.Unix(1_700_000_000, 0), next: 1, silent: map[lonja.UserName]bool{},
		lose:  func() bool { return false },
		twice: func() bool { return false },
		delay: func() time.Duration { return simStep / 2 },
	}
}

func (s *sim) join() *simNode {
	n := &simNode{
		Table: New(Options{Node: s.next, Lease: testLease, Session: testSession, Beat: testBeat, Silence: testSilence, Remember: testRemember}, s.now),
		id:    s.next, seen: map[lonja.UserName]lonja.Endpoint{}, mine: map[lonja.UserName]bool{},
		told: map[lonja.UserName]string{},
	}
	s.next++
	s.nodes = append(s.nodes, n)
	return n
}

func (s *sim) live() []*simNode {
	return slices.DeleteFunc(slices.Clone(s.nodes), func(n *simNode) bool { return n.dead })
}

// take applies changes as a directory does.
func (n *simNode) take(changes []Change) {
	for _, c := range changes {
		delete(n.seen, c.User)
		delete(n.mine, c.User)
		if c.Online {
			n.seen[c.User], n.told[c.User] = c.At, c.Detail
		}
		if c.Mine {
			n.mine[c.User] = true
		}
	}
}

// flush publishes what n has to say.
func (s *sim) flush(n *simNode) {
	for _, data := range n.Flush(s.now) {
		for _, to := range s.nodes {
			if to.dead || to.group != n.group || to != n && s.lose() {
				continue
			}
			to.put(simMessage{n.id, s.now.Add(s.delay()), data})
			if s.twice() {
				to.put(simMessage{n.id, s.now.Add(s.delay()), data})
			}
		}
	}
}

// put queues a message by its time of arrival, but not before an earlier one
// of the same sender.
func (n *simNode) put(m simMessage) {
	at := len(n.inbox)
	for at > 0 && n.inbox[at-1].at.After(m.at) && n.inbox[at-1].from != m.from {
		at--
	}
	n.inbox = slices.Insert(n.inbox, at, m)
}

// step lets time pass: messages arrive, the users of each node are asked
// whether they are there, and everybody publishes.
func (s *sim) step() {
	s.now = s.now.Add(simStep)
	for _, n := range s.live() {
		if s.now.Before(n.wakes) {
			continue
		}
		for len(n.inbox) > 0 && !n.inbox[0].at.After(s.now) {
			changes, err := n.Receive(n.inbox[0].data, s.now)
			if err != nil {
				panic(err)
			}
			n.inbox = n.inbox[1:]
			n.take(changes)
		}
		for user := range n.mine {
			if !s.silent[user] {
				changes, _ := n.Renew(user, s.now)
				n.take(changes)
			}
		}
		n.take(n.Tick(s.now))
		s.flush(n)
	}
}

func (s *sim) run(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		s.step()
	}
}

func (s *sim) connect(n *simNode, user lonja.UserName, port uint16) Stamp {
	s.now = s.now.Add(time.Millisecond) // no two operations at one time
	stamp, changes := n.Connect(user, place(port), s.now)
	n.take(changes)
	delete(s.silent, user)
	return stamp
}

func (s *sim) connectSession(n *simNode, user lonja.UserName, port uint16, detail string) Stamp {
	s.now = s.now.Add(time.Millisecond)
	stamp, changes := n.ConnectSession(user, place(port), Session{Length: testSession, Detail: detail}, s.now)
	n.take(changes)
	delete(s.silent, user)
	return stamp
}

func (s *sim) disconnect(n *simNode, user lonja.UserName) bool {
	s.now = s.now.Add(time.Millisecond)
	changes, ok := n.Disconnect(user, s.now)
	n.take(changes)
	return ok
}

// String names a node in what a failing test prints.
func (n *simNode) String() string { return fmt.Sprintf("node %d", n.id) }

// GoString is what rapid prints.
func (n *simNode) GoString() string { return n.String() }

// kill ends a node; the memory of its leases is lost.
func (s *sim) kill(n *simNode) { n.dead, n.inbox = true, nil }

// leave ends it in order.
func (s *sim) leave(n *simNode) {
	n.Leave()
	s.flush(n)
	s.kill(n)
}

// heal ends what is wrong with the network, and waits until nothing of it can
// be seen any more.
func (s *sim) heal() {
	for _, n := range s.nodes {
		n.group = 0
	}
	s.lose = func() bool { return false }
	s.run(auditSilences*testSilence + 2*testLease + 4*testSilence)
}

// view is what a node knows, by its table and by the changes that it told:
// both must be the same.
func (n *simNode) view() (map[lonja.UserName]lonja.Endpoint, error) {
	all := map[lonja.UserName]lonja.Endpoint{}
	for user := range n.slab.byUser {
		lease, ok := n.Lookup(user)
		if !ok {
			continue
		}
		all[user] = lease.At
		if at, ok := n.seen[user]; !ok || at != lease.At || n.told[user] != lease.Detail || lease.Mine != n.mine[user] {
			return nil, fmt.Errorf("node %d: %s: the table has %+v, its changes %v %v", n.id, user, lease, at, n.mine[user])
		}
	}
	if len(all) != len(n.seen) || len(all) != n.Len() {
		return nil, fmt.Errorf("node %d: %d leases, %d by its changes, Len %d", n.id, len(all), len(n.seen), n.Len())
	}
	return all, n.check()
}

// check proves what must hold of a table at any time.
func (n *simNode) check() error {
	type sum struct {
		records, leases int
		digest          uint64
	}
	sums := make([]sum, len(n.nodes))
	sessions := 0
	for user, slot := range n.slab.byUser {
		r := n.slab.at(slot)
		if r.user != user || r.flags&used == 0 || n.nodes[r.node] == nil {
			return fmt.Errorf("node %d: slot %d of %s: %+v", n.id, slot, user, *r)
		}
		s := &sums[r.node]
		s.records++
		if r.flags&online != 0 {
			s.leases++
			s.digest += r.digest()
			sessions += r.heldSession()
		}
	}
	if got := n.Stats().Sessions; got != sessions {
		return fmt.Errorf("node %d: it counts %d sessions, the records give %d", n.id, got, sessions)
	}
	for i, o := range n.nodes {
		if o != nil && (sum{o.records, o.leases, o.digest}) != sums[i] {
			return fmt.Errorf("node %d: it counts %d %d %x for node %d, the records give %+v", n.id, o.records, o.leases, o.digest, o.id, sums[i])
		}
	}
	return nil
}
