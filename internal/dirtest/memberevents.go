package dirtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lonja"
)

var eventCases = []memberCase{
	{"events", "Watch tells in order what has happened, to whom the filter and the audience let it", MemberOptions{}, testEvents},
	{"events: presence", "who comes, goes, and is reached otherwise", MemberOptions{}, testPresenceEvents},
	{"events: holders", "who has a content that is watched", MemberOptions{}, testHolderEvents},
	{"events: revoked", "revocations are always told", MemberOptions{}, testRevokedEvents},
	{"events: whose", "Watch ends when its member may not act for the user any more, whatever happens else", MemberOptions{}, testWatchEndsWithRights},
	{"events: checks and ends", "Watch ends with its context, and with told's error", MemberOptions{}, testWatchEnds},
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// A watch is one call of Watch, and what it has told.
type watch struct {
	*members
	events chan lonja.Event
}

// watch begins to watch and returns when what happens next is told.
func (n *node) watch(filter lonja.EventFilter) *watch {
	n.Helper()
	w := &watch{n.members, make(chan lonja.Event, 1000)}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- n.dir.Watch(ctx, n.Member, filter, func(e lonja.Event) error {
			w.events <- e
			return nil
		})
	}()
	n.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, lonja.NotConnected) {
			n.Errorf("watch: %v", err)
		}
	})
	w.want(lonja.Event{Kind: lonja.EventsLost})
	return w
}

func (w *watch) want(want ...lonja.Event) {
	w.Helper()
	for _, e := range want {
		select {
		case got := <-w.events:
			w.same("event", got, e)
		case <-time.After(patience):
			w.Fatalf("no event, want %+v", e)
		}
	}
}

func testEvents(m *members) {
	ctx := m.Context()
	nodes := m.online("ana", "eva", "luis")
	ana, eva, luis := nodes[0], nodes[1], nodes[2]
	all := eva.watch(lonja.EventFilter{Matching: &lonja.Query{}})
	songs := luis.watch(lonja.EventFilter{Matching: &lonja.Query{Words: "song", Extension: "mp3", MinSize: 5}})
	first := ana.publish("song.mp3")
	secret := ana.publish("secret song.mp3", to("eva"))
	text := ana.publish("text.txt")
	m.ok(ana.dir.Delete(ctx, "ana", "secret song.mp3"))
	m.ok(ana.dir.Delete(ctx, "ana", "song.mp3"))
	all.want(
		lonja.Event{Kind: lonja.Published, User: "ana", Listing: first},
		lonja.Event{Kind: lonja.Published, User: "ana", Listing: secret},
		lonja.Event{Kind: lonja.Published, User: "ana", Listing: text},
		lonja.Event{Kind: lonja.Withdrawn, User: "ana", Listing: secret},
		lonja.Event{Kind: lonja.Withdrawn, User: "ana", Listing: first},
	)
	songs.want(
		lonja.Event{Kind: lonja.Published, User: "ana", Listing: first},
		lonja.Event{Kind: lonja.Withdrawn, User: "ana", Listing: first},
	)
	account := ana.account()
	m.ok(ana.dir.Unregister(ctx, "ana"))
	all.want(
		lonja.Event{Kind: lonja.Withdrawn, User: "ana", Listing: text},
		lonja.Event{Kind: lonja.KeyRevoked, User: "ana", Key: ana.Key, Account: account},
	)
}

func testPresenceEvents(m *members) {
	ctx := m.Context()
	eva := m.online("eva")[0]
	ana := m.member("ana")
	w := eva.watch(lonja.EventFilter{Presence: true})
	ana.connect(4001)
	w.want(lonja.Event{Kind: lonja.UserConnected, User: "ana", Peer: ana.peer(4001)})
	m.ok(ana.dir.RenewMember(ctx, ana.Member, nil))
	m.ok(ana.dir.RenewMember(ctx, ana.Member, ana.ways(4002)))
	w.want(lonja.Event{Kind: lonja.UserConnected, User: "ana", Peer: ana.peer(4002)})
	m.ok(ana.dir.Disconnect(ctx, "ana"))
	w.want(lonja.Event{Kind: lonja.UserLeft, User: "ana"})
	m.ok(m.Classic.Register(ctx, "old"))
	m.ok(m.Classic.Connect(ctx, "old", m.way(4009)))
	w.want(lonja.Event{Kind: lonja.UserConnected, User: "old", Peer: lonja.Peer{User: "old", At: m.way(4009)}})
	m.ok(m.Classic.Unregister(ctx, "old"))
	w.want(lonja.Event{Kind: lonja.UserLeft, User: "old"})
}

func testHolderEvents(m *members) {
	ctx := m.Context()
	nodes := m.online("ana", "eva", "luis")
	ana, eva, luis := nodes[0], nodes[1], nodes[2]
	w := eva.watch(lonja.EventFilter{Holders: []lonja.FileID{fileOf("wanted")}})
	other := luis.watch(lonja.EventFilter{Holders: []lonja.FileID{fileOf("wanted")}})
	ana.publish("unwanted")
	l := ana.publish("file", content("wanted"))
	here := lonja.Event{Kind: lonja.HolderAppeared, User: "ana", Peer: ana.peer(4000), Listing: l}
	gone := lonja.Event{Kind: lonja.HolderLeft, User: "ana", Listing: l}
	w.want(here)
	m.ok(ana.dir.Disconnect(ctx, "ana"))
	w.want(gone)
	ana.connect(4000)
	w.want(here)
	m.ok(ana.dir.Delete(ctx, "ana", "file"))
	w.want(gone)
	other.want(here, gone, here, gone)
	secret := ana.publish("secret", content("wanted"), to("eva"))
	w.want(lonja.Event{Kind: lonja.HolderAppeared, User: "ana", Peer: ana.peer(4000), Listing: secret})
	l = ana.publish("file", content("wanted"))
	here.Listing = l
	w.want(here)
	other.want(here) // and not the secret one, which came before
}

func testRevokedEvents(m *members) {
	ctx := m.Context()
	nodes := m.online("ana", "eva")
	ana, eva := nodes[0], nodes[1]
	m.ok(ana.dir.AddKey(ctx, ana.Member, ana.endorse("phone", time.Now().Unix())))
	w := eva.watch(lonja.EventFilter{})
	ana.publish("not told")
	m.ok(ana.dir.RevokeKey(ctx, ana.Member, ana.revocation("phone")))
	w.want(lonja.Event{Kind: lonja.KeyRevoked, User: "ana", Key: publicOf(keyOf("phone"))})
}

// begin has the node watch everything; what it ends with comes in the channel.
func (n *node) begin() (ended chan error, told chan lonja.Event) {
	n.Helper()
	ended, told = make(chan error, 1), make(chan lonja.Event, 1000)
	go func() {
		ended <- n.dir.Watch(n.Context(), n.Member, lonja.EventFilter{Presence: true, Matching: &lonja.Query{}}, func(e lonja.Event) error {
			told <- e
			return nil
		})
	}()
	select {
	case e := <-told:
		n.same("the first event", e, lonja.Event{Kind: lonja.EventsLost})
	case err := <-ended:
		n.Fatalf("watch: %v", err)
	}
	return ended, told
}

// endsWith waits for the end of a watch.
func (m *members) endsWith(what string, ended chan error, want ...lonja.Kind) {
	m.Helper()
	select {
	case err := <-ended:
		if !slices.Contains(want, lonja.KindOf(err)) || err == nil {
			m.Errorf("%s: watch ends with %v, want %v", what, err, want)
		}
	case <-time.After(patience):
		m.Errorf("%s: watch goes on", what)
	}
}

func testWatchEndsWithRights(m *members) {
	ctx := m.Context()
	eva := m.member("eva")

	m.ok(m.Classic.Register(ctx, "open"))
	m.ok(m.Classic.Connect(ctx, "open", m.way(4001)))
	stranger, owner := m.node("open", "stranger"), m.node("open", "owner")
	ended, told := stranger.begin()
	m.ok(owner.dir.Claim(ctx, owner.Member, m.Addr))
	m.endsWith("somebody else has claimed the name", ended, lonja.OtherKey)
	eva.publish("for the owner", to("open"))
	close(told)
	for e := range told {
		if e.Kind == lonja.Published {
			m.Errorf("a stranger was told %+v", e)
		}
	}

	ana, phone := m.member("ana"), m.node("ana", "phone")
	m.ok(ana.dir.AddKey(ctx, ana.Member, ana.endorse("phone", time.Now().Unix())))
	ended, _ = phone.begin()
	m.ok(ana.dir.RevokeKey(ctx, ana.Member, ana.revocation("phone")))
	m.endsWith("the key was revoked", ended, lonja.OtherKey)

	ended, _ = ana.begin()
	m.ok(ana.dir.Unregister(ctx, "ana"))
	next := m.node("ana", "next")
	m.ok(next.dir.RegisterMember(ctx, next.Member, ""))
	m.endsWith("the account is gone", ended, lonja.NoSuchUser, lonja.OtherKey)
	again := m.node("ana", "next")
	ended, _ = again.begin()
	m.ok(next.dir.Unregister(ctx, "ana"))
	m.ok(next.dir.RegisterMember(ctx, next.Member, ""))
	m.endsWith("the account is another, of the same key", ended, lonja.NoSuchUser)
}

func testWatchEnds(m *members) {
	ctx := m.Context()
	ana := m.member("ana")
	told := func(lonja.Event) error { return nil }
	nobody, other := m.node("nobody", "nobody"), m.node("ana", "other")
	m.is(nobody.dir.Watch(ctx, nobody.Member, lonja.EventFilter{}, told), lonja.NoSuchUser)
	m.is(other.dir.Watch(ctx, other.Member, lonja.EventFilter{}, told), lonja.OtherKey)
	m.is(ana.dir.Watch(ctx, ana.Member, lonja.EventFilter{Holders: make([]lonja.FileID, lonja.MaxWatched+1)}, told), lonja.Invalid)
	m.is(ana.dir.Watch(ctx, ana.Member, lonja.EventFilter{Matching: &lonja.Query{MinSize: -1}}, told), lonja.Invalid)
	stop := fmt.Errorf("that is enough")
	if err := ana.dir.Watch(ctx, ana.Member, lonja.EventFilter{}, func(lonja.Event) error { return stop }); !errors.Is(err, stop) {
		m.Errorf("got error %v, want that of told", err)
	}
	ended, cancel := context.WithCancel(ctx)
	err := ana.dir.Watch(ended, ana.Member, lonja.EventFilter{}, func(lonja.Event) error { cancel(); return nil })
	m.ok(err)
}
