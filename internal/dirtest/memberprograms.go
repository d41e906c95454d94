package dirtest

import (
	"context"
	"errors"
	"time"

	"lonja"
)

// program returns the node as another program with its key would be it. A number
// of 0 is one that does not tell which it is.
func (n *node) program(number byte) *node {
	other := *n
	other.Node = lonja.NodeID{}
	if number != 0 {
		other.Node = lonja.NodeID{0: 0xa5, 15: number}
	}
	return &other
}

func (n *node) renew(ways []lonja.Endpoint) error {
	return n.dir.RenewMember(n.Context(), n.Member, ways)
}

func (n *node) disconnect() error { return n.dir.DisconnectMember(n.Context(), n.Member) }

// announced returns where the directory says that the user is.
func (n *node) announced() []lonja.Peer {
	n.Helper()
	peers, err := listUsers(n.Context(), n.dir, n.User)
	n.ok(err)
	return peers
}

func testOtherProgram(m *members) {
	first := m.member("ana").program(1)
	second := first.program(2)
	first.connect(4000)
	m.ok(first.renew(nil))
	first.connect(4000) // it has slept: its own session is taken over as before
	m.ok(first.renew(first.ways(4001)))

	watched := first.watchUntilTold()
	second.connect(4002)
	m.is(<-watched, lonja.TakenOver)
	m.is(first.renew(nil), lonja.TakenOver)
	m.is(first.renew(first.ways(4000)), lonja.TakenOver)
	m.is(first.disconnect(), lonja.TakenOver)
	m.is(first.dir.Watch(m.Context(), first.Member, lonja.EventFilter{}, noEvent), lonja.TakenOver)
	m.same("users", first.announced(), []lonja.Peer{first.peer(4002)})
	m.ok(second.renew(nil))
	m.same("users, renewed", first.announced(), []lonja.Peer{first.peer(4002)})
	m.ok(second.renew(second.ways(4003)))

	m.ok(second.disconnect())
	m.is(first.renew(nil), lonja.NotConnected) // nobody has it: it may begin anew
	first.connect(4000)
	m.ok(first.renew(nil))
	m.is(second.renew(nil), lonja.TakenOver)
}

func testYields(m *members) {
	ctx := m.Context()
	ana, phone := m.member("ana"), m.node("ana", "phone")
	m.ok(ana.dir.AddKey(ctx, ana.Member, ana.endorse("phone", time.Now().Unix())))
	stays, spare, other := ana.program(1), ana.program(2), ana.program(3)
	spare.Yields, other.Yields = true, true
	begin := func(n *node, port uint16) error { return n.dir.ConnectMember(ctx, n.Member, n.ways(port)) }

	untold := ana.program(0)
	untold.Yields = true
	m.is(begin(untold, 4000), lonja.Invalid)

	m.ok(begin(stays, 4001))
	m.is(begin(spare, 4002), lonja.AlreadyConnected)
	m.ok(stays.renew(nil))
	m.ok(stays.disconnect())
	m.ok(begin(spare, 4002)) // nobody has one
	m.ok(spare.renew(nil))
	m.ok(begin(spare, 4003)) // it has slept
	m.same("users", spare.announced(), []lonja.Peer{spare.peer(4003)})
	m.is(begin(other, 4004), lonja.AlreadyConnected)

	// One whose session the directory had forgotten begins it again, as if nobody had one.
	m.is(stays.renew(nil), lonja.NotConnected)
	m.is(stays.disconnect(), lonja.NotConnected)
	m.is(stays.dir.Watch(ctx, stays.Member, lonja.EventFilter{}, noEvent), lonja.NotConnected)
	m.is(phone.renew(nil), lonja.NotConnected)
	m.ok(spare.renew(spare.ways(4005)))
	m.same("users, renewed", spare.announced(), []lonja.Peer{spare.peer(4005)})
	watched := spare.watchUntilTold()
	m.ok(begin(stays, 4001))
	m.is(<-watched, lonja.TakenOver)
	m.is(spare.renew(nil), lonja.TakenOver)
	m.is(spare.disconnect(), lonja.TakenOver)
	m.is(begin(spare, 4002), lonja.AlreadyConnected)
	m.ok(stays.renew(nil))
	m.ok(stays.disconnect())

	m.ok(begin(spare, 4002))
	m.ok(begin(phone, 4006)) // another key
	m.is(spare.renew(nil), lonja.OtherKey)
	m.is(begin(spare, 4002), lonja.AlreadyConnected)
	m.same("users, with the other key", phone.announced(), []lonja.Peer{phone.peer(4006)})
}

func testConnectWithoutKey(m *members) {
	ctx := m.Context()
	ana := m.member("ana")
	other, nobody := m.node("ana", "other"), m.node("nobody", "nobody")
	m.is(other.dir.ConnectWithoutKey(ctx, other.Member, m.way(4000)), lonja.OtherKey)
	m.is(nobody.dir.ConnectWithoutKey(ctx, nobody.Member, m.way(4000)), lonja.NoSuchUser)
	m.same("users", ana.announced(), []lonja.Peer(nil))
	m.ok(ana.dir.ConnectWithoutKey(ctx, ana.Member, m.way(4000)))
	m.is(ana.dir.ConnectWithoutKey(ctx, ana.Member, m.way(4001)), lonja.AlreadyConnected)
	m.is(other.dir.ConnectWithoutKey(ctx, other.Member, m.way(4001)), lonja.OtherKey)
	m.same("users, with ana", ana.announced(), []lonja.Peer{{User: "ana", At: m.way(4000)}})
	m.is(ana.renew(nil), lonja.NotConnected)
	m.ok(m.Classic.Register(ctx, "open"))
	open := m.node("open", "open")
	m.ok(open.dir.ConnectWithoutKey(ctx, open.Member, m.way(4002)))
}

func testUntoldPrograms(m *members) {
	untold := m.member("ana").program(0)
	told, other := untold.program(1), untold.program(2)
	untold.connect(4000)
	m.ok(told.renew(told.ways(4001))) // an update in the middle of a session
	m.is(other.renew(nil), lonja.TakenOver)
	m.ok(untold.renew(untold.ways(4002))) // as it always could
	m.same("users", told.announced(), []lonja.Peer{told.peer(4002)})
	m.is(other.renew(nil), lonja.TakenOver) // and the session is still that of who told
	m.ok(told.renew(nil))
	untold.connect(4003)
	m.ok(told.renew(nil))
	m.ok(untold.disconnect())
	m.is(told.renew(nil), lonja.NotConnected)
}

func noEvent(lonja.Event) error { return nil }

// watchUntilTold begins to watch, and returns what ends that.
func (n *node) watchUntilTold() <-chan error {
	n.Helper()
	begun, ended := make(chan struct{}, 1), make(chan error, 1)
	ctx, cancel := context.WithTimeout(n.Context(), time.Minute)
	go func() {
		defer cancel()
		err := n.dir.Watch(ctx, n.Member, lonja.EventFilter{}, func(lonja.Event) error {
			select {
			case begun <- struct{}{}:
			default:
			}
			return nil
		})
		if err == nil {
			err = errors.New("the watch has not ended by itself")
		}
		ended <- err
	}()
	select {
	case <-begun:
	case err := <-ended:
		n.Fatalf("the watch has ended: %v", err)
	}
	return ended
}
