package dirtest

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"lonja"
	"lonja/internal/statement"
)

var keyCases = []memberCase{
	{"register", "RegisterMember binds a new name to a key; only that one may act for it", MemberOptions{}, testRegisterMember},
	{"register: names", "the names of the secure dialect are text that can be shown", MemberOptions{}, testMemberNames},
	{"register: invited", "an invitation lets as many register as it says, until its end", MemberOptions{Invited: true}, testInvited},
	{"register: closed", "a closed directory takes nobody, invited or not", MemberOptions{Closed: true}, testClosed},
	{"claim", "Claim binds a name without a key to that of the node that is connected for it", MemberOptions{}, testClaim},
	{"keys: add", "AddKey takes what an earlier key of the account has endorsed, and the key agreed to", MemberOptions{}, testAddKey},
	{"keys: refuse", "AddKey takes nothing that is not rightly signed, and no more than MaxKeys", MemberOptions{}, testAddKeyRefuses},
	{"keys: revoke", "RevokeKey ends what a key may do, its session, and the listing of what it signed", MemberOptions{}, testRevokeKey},
	{"keys: refuse to revoke", "RevokeKey takes nothing that is not signed by a key of the account", MemberOptions{}, testRevokeRefuses},
	{"keys: revocations", "RevocationsPage tells each revocation once, however short the pages", MemberOptions{}, testRevocationPages},
	{"keys: the last one", "a name whose keys are all revoked stays bound", MemberOptions{}, testLastKey},
	{"take away", "UnregisterMember, DisconnectMember and DeleteMember do it for a key that may act, or for anybody with an open name", MemberOptions{}, testTakeAway},
	{"unregister", "Unregister removes the keys too, and tells that their certificates are good no more: whoever has the name next is another", MemberOptions{}, testUnregisterMember},
}

func testRegisterMember(m *members) {
	ctx := m.Context()
	nobody := m.node("ana", "ana")
	m.is(nobody.dir.Authorize(nobody.Member), lonja.NoSuchUser)
	ana := m.member("ana")
	m.is(ana.dir.RegisterMember(ctx, ana.Member, ""), lonja.NameInUse)
	m.is(m.Classic.Register(ctx, "ana"), lonja.NameInUse)
	m.ok(ana.dir.Authorize(ana.Member))
	other := m.node("ana", "other")
	m.is(other.dir.Authorize(other.Member), lonja.OtherKey)
	m.is(other.dir.ConnectMember(ctx, other.Member, nil), lonja.OtherKey)
	m.is(other.dir.RegisterMember(ctx, other.Member, ""), lonja.NameInUse)
	keys, err := ana.dir.Keys(ctx, "ana")
	m.ok(err)
	if len(keys) != 1 || keys[0].Key != ana.Key || keys[0].User != "ana" || !keys[0].By.IsZero() || keys[0].Revoked != 0 {
		m.Errorf("got the keys %+v, want that of ana", keys)
	}
	m.ok(m.Classic.Register(ctx, "luis"))
	luis := m.node("luis", "luis")
	m.ok(luis.dir.Authorize(luis.Member))
	if keys, err := ana.dir.Keys(ctx, "luis"); err != nil || len(keys) != 0 {
		m.Errorf("a name that is bound to none: got %v, %v", keys, err)
	}
	_, err = ana.dir.Keys(ctx, "nobody")
	m.is(err, lonja.NoSuchOwner)
}

func testMemberNames(m *members) {
	for _, user := range []lonja.UserName{"a\x00", "\xff", "a\nb", "a\x1b[2J", " a"} {
		n := m.node(user, "key")
		m.is(n.dir.RegisterMember(m.Context(), n.Member, ""), lonja.Invalid)
	}
}

func testInvited(m *members) {
	ctx := m.Context()
	register := func(user lonja.UserName, secret lonja.Invitation) error {
		n := m.node(user, string(user))
		return n.dir.RegisterMember(ctx, n.Member, secret)
	}
	m.is(m.Classic.Register(ctx, "classic"), lonja.Forbidden)
	m.is(register("ana", ""), lonja.Forbidden)
	m.is(register("ana", "made up"), lonja.Forbidden)
	two := m.Invite(2, 0)
	m.ok(register("ana", two))
	m.is(register("ana", two), lonja.NameInUse) // which costs nothing
	m.ok(register("luis", two))
	m.is(register("eva", two), lonja.Forbidden)
	m.ok(register("eva", m.Invite(1, time.Now().Add(time.Hour).Unix())))
}

func testClosed(m *members) {
	n := m.node("ana", "ana")
	m.is(n.dir.RegisterMember(m.Context(), n.Member, ""), lonja.Forbidden)
	m.is(n.dir.RegisterMember(m.Context(), n.Member, m.Invite(1, 0)), lonja.Forbidden)
	m.is(m.Classic.Register(m.Context(), "ana"), lonja.Forbidden)
}

func testClaim(m *members) {
	ctx := m.Context()
	ana, other := m.node("ana", "ana"), m.node("ana", "other")
	m.is(ana.dir.Claim(ctx, ana.Member, m.Addr), lonja.NoSuchUser)
	m.ok(m.Classic.Register(ctx, "ana"))
	m.is(ana.dir.Claim(ctx, ana.Member, m.Addr), lonja.NotConnected)

	m.ok(other.dir.ConnectMember(ctx, other.Member, other.ways(4000))) // not bound: as open as any
	m.is(ana.dir.Claim(ctx, ana.Member, m.Addr), lonja.Forbidden)
	m.ok(other.dir.Claim(ctx, other.Member, netip.MustParseAddr("192.0.2.77")))
	m.is(ana.dir.Authorize(ana.Member), lonja.OtherKey)
	m.is(ana.dir.Claim(ctx, ana.Member, m.Addr), lonja.OtherKey)
	m.ok(other.dir.Claim(ctx, other.Member, m.Addr)) // again

	m.ok(m.Classic.Register(ctx, "luis"))
	m.ok(m.Classic.Connect(ctx, "luis", m.way(4001)))
	luis := m.node("luis", "luis")
	m.ok(luis.dir.Claim(ctx, luis.Member, m.Addr))
	m.ok(luis.dir.ConnectMember(ctx, luis.Member, luis.ways(4002))) // in the place of its classic connection
	peers, _, err := luis.dir.UsersPage(ctx, "luis", "", 0)
	m.ok(err)
	m.same("users", peers, []lonja.Peer{luis.peer(4002), other.peer(4000)})
}

func testAddKey(m *members) {
	ctx, now := m.Context(), time.Now().Unix()
	ana := m.member("ana")
	phone, tablet := m.node("ana", "phone"), m.node("ana", "tablet")
	m.is(phone.dir.Authorize(phone.Member), lonja.OtherKey)
	first, second := ana.endorse("phone", now), phone.endorse("tablet", now)
	m.ok(ana.dir.AddKey(ctx, ana.Member, first))
	m.ok(phone.dir.Authorize(phone.Member))
	m.ok(phone.dir.AddKey(ctx, phone.Member, second))
	m.ok(tablet.dir.Authorize(tablet.Member))
	keys, err := tablet.dir.Keys(ctx, "ana")
	m.ok(err)
	m.ok(statement.CheckRing(keys))
	if len(keys) != 3 || keys[1].Endorsement != first || keys[2].Endorsement != second {
		m.Errorf("got %+v, want %+v and %+v after the first", keys, first, second)
	}
}

func testAddKeyRefuses(m *members) {
	ctx, now := m.Context(), time.Now().Unix()
	ana, eva := m.member("ana"), m.member("eva")
	stranger := m.node("ana", "stranger")
	ahead := ana.endorse("phone", now+2*24*3600)
	changed := ana.endorse("phone", now)
	changed.Label = "another"
	forEva := eva.endorse("phone", now)
	unagreed, other, account := ana.endorse("phone", now), ana.endorse("phone", now), ana.endorse("phone", now)
	unagreed.Consent, other.Consent = lonja.Signature{}, forEva.Consent
	var err error
	account.Consent, err = statement.SignConsent("ana", eva.Key, keyOf("phone"))
	m.ok(err)
	for what, e := range map[string]lonja.Endorsement{
		"of a stranger":                             stranger.endorse("phone", now),
		"that was changed":                          changed,
		"of another user":                           forEva,
		"dated far ahead":                           ahead,
		"of a key it has":                           eva.endorse("ana", now),
		"that is not signed":                        {User: "ana", Key: publicOf(keyOf("phone")), By: ana.Key},
		"of a key that has not agreed":              unagreed,
		"of a key that has agreed to another name":  other,
		"of a key that has agreed to another's ana": account,
	} {
		if err := ana.dir.AddKey(ctx, ana.Member, e); lonja.KindOf(err) != lonja.Untrusted {
			m.Errorf("an endorsement %s: got error %v, want %v", what, err, lonja.Untrusted)
		}
	}
	m.is(stranger.dir.AddKey(ctx, stranger.Member, stranger.endorse("phone", now)), lonja.OtherKey)
	m.ok(m.Classic.Register(ctx, "open"))
	open := m.node("open", "open")
	m.is(open.dir.AddKey(ctx, open.Member, open.endorse("phone", now)), lonja.OtherKey)
	for i := 1; i < lonja.MaxKeys; i++ {
		m.ok(ana.dir.AddKey(ctx, ana.Member, ana.endorse(fmt.Sprint(i), now)))
	}
	m.is(ana.dir.AddKey(ctx, ana.Member, ana.endorse("one more", now)), lonja.Limited)
}

func testRevokeKey(m *members) {
	ctx, before := m.Context(), time.Now().Unix()
	ana, eva := m.online("ana", "eva")[0], m.node("eva", "eva")
	phone := m.node("ana", "phone")
	m.ok(ana.dir.AddKey(ctx, ana.Member, ana.endorse("phone", before-10)))
	m.ok(ana.dir.Disconnect(ctx, "ana"))
	phone.connect(4005)
	phone.publish("by phone")
	phone.publish("again")
	kept := ana.listing("kept")
	m.ok(phone.dir.Publish(ctx, "ana", kept)) // who hands it in need not be who signed
	r := ana.revocation("phone")
	m.ok(ana.dir.RevokeKey(ctx, ana.Member, r))

	m.is(phone.dir.Authorize(phone.Member), lonja.OtherKey)
	m.is(phone.dir.ConnectMember(ctx, phone.Member, nil), lonja.OtherKey)
	if err := phone.dir.RenewMember(ctx, phone.Member, nil); lonja.KindOf(err) != lonja.NotConnected && lonja.KindOf(err) != lonja.OtherKey {
		m.Errorf("a session of a revoked key is renewed: got error %v", err)
	}
	peers, err := listUsers(ctx, eva.dir, "eva")
	m.ok(err)
	m.same("who is connected", peers, []lonja.Peer{eva.peer(4001)})
	m.same("what is listed", eva.names("ana"), []lonja.FileName{"kept"})
	keys, err := eva.dir.Keys(ctx, "ana")
	m.ok(err)
	if len(keys) != 2 || keys[1].Revoked != r.Date || statement.Speaks(keys, phone.Key) {
		m.Errorf("got %+v, want the second one revoked at %d", keys, r.Date)
	}
	all, err := eva.dir.Revocations(ctx, before)
	m.ok(err)
	m.same("revocations", all, []lonja.Revocation{r})
	none, err := eva.dir.Revocations(ctx, time.Now().Unix()+60)
	m.ok(err)
	m.same("later revocations", len(none), 0)

	ana.connect(4006)
	m.is(ana.dir.Publish(ctx, "ana", phone.listing("by phone")), lonja.Untrusted)
	ana.publish("by phone")
	m.same("what is listed then", eva.names("ana"), []lonja.FileName{"by phone", "kept"})
}

func testRevocationPages(m *members) {
	ctx, now := m.Context(), time.Now().Unix()
	ana := m.member("ana")
	var want []lonja.PublicKey
	for i := range 7 {
		name := fmt.Sprint("key ", i)
		m.ok(ana.dir.AddKey(ctx, ana.Member, ana.endorse(name, now-10)))
		m.ok(ana.dir.RevokeKey(ctx, ana.Member, ana.revocation(name)))
		want = append(want, publicOf(keyOf(name)))
	}
	var got []lonja.PublicKey
	pages := 0
	for after := lonja.Cursor(""); pages == 0 || after != ""; pages++ {
		page, next, err := ana.dir.RevocationsPage(ctx, now-10, after, 2)
		m.ok(err)
		for _, r := range page {
			got = append(got, r.Key)
		}
		after = next
	}
	byBytes := func(a, b lonja.PublicKey) int { return bytes.Compare(a[:], b[:]) }
	slices.SortFunc(got, byBytes)
	slices.SortFunc(want, byBytes)
	m.same("what all pages tell", got, want)
	m.same("pages of two", pages, 4)
	_, _, err := ana.dir.RevocationsPage(ctx, 0, "made up", 0)
	m.is(err, lonja.Invalid)
	_, _, err = ana.dir.RevocationsPage(ctx, 0, "", lonja.MaxPage+1)
	m.is(err, lonja.Invalid)
}

func testRevokeRefuses(m *members) {
	ctx, now := m.Context(), time.Now().Unix()
	ana, eva := m.member("ana"), m.member("eva")
	m.ok(ana.dir.AddKey(ctx, ana.Member, ana.endorse("phone", now-100)))
	changed := ana.revocation("phone")
	changed.Date--
	early, err := statement.SignRevocation(lonja.Revocation{User: "ana", Key: ana.Key, Date: now - 200}, keyOf("phone"))
	m.ok(err)
	for what, r := range map[string]lonja.Revocation{
		"of a stranger":         m.node("ana", "stranger").revocation("phone"),
		"of another user":       eva.revocation("eva"),
		"that was changed":      changed,
		"of a key it has not":   ana.revocation("tablet"),
		"that orphans others":   early,
		"of another user's key": ana.revocation("eva"),
	} {
		if err := ana.dir.RevokeKey(ctx, ana.Member, r); lonja.KindOf(err) != lonja.Untrusted {
			m.Errorf("a revocation %s: got error %v, want %v", what, err, lonja.Untrusted)
		}
	}
	nobody := m.node("nobody", "nobody")
	m.is(nobody.dir.RevokeKey(ctx, nobody.Member, nobody.revocation("x")), lonja.NoSuchUser)
	stranger := m.node("ana", "stranger")
	m.is(stranger.dir.RevokeKey(ctx, stranger.Member, stranger.revocation("phone")), lonja.OtherKey)
	m.ok(ana.dir.RevokeKey(ctx, ana.Member, ana.revocation("phone")))
	m.is(ana.dir.RevokeKey(ctx, ana.Member, ana.revocation("phone")), lonja.Untrusted)
}

func testLastKey(m *members) {
	ctx := m.Context()
	ana := m.member("ana")
	m.ok(ana.dir.RevokeKey(ctx, ana.Member, ana.revocation("ana")))
	m.is(ana.dir.Authorize(ana.Member), lonja.OtherKey)
	other := m.node("ana", "other")
	m.is(other.dir.Claim(ctx, other.Member, m.Addr), lonja.OtherKey)
	m.is(other.dir.RegisterMember(ctx, other.Member, ""), lonja.NameInUse)
}

func testUnregisterMember(m *members) {
	ctx := m.Context()
	nodes := m.online("ana", "eva")
	ana, eva := nodes[0], nodes[1]
	m.ok(ana.dir.AddKey(ctx, ana.Member, ana.endorse("phone", time.Now().Unix())))
	m.ok(ana.dir.AddKey(ctx, ana.Member, ana.endorse("lost", time.Now().Unix()-10)))
	lost := ana.revocation("lost")
	m.ok(ana.dir.RevokeKey(ctx, ana.Member, lost))
	ana.publish("file")
	account, before := ana.account(), time.Now().Unix()
	m.ok(ana.dir.Unregister(ctx, "ana"))
	m.is(ana.dir.Authorize(ana.Member), lonja.NoSuchUser)
	_, err := ana.dir.Account(ctx, ana.Member)
	m.is(err, lonja.NoSuchUser)
	m.ended(before, account, lost.Key)
	next := m.node("ana", "next")
	m.ok(next.dir.RegisterMember(ctx, next.Member, ""))
	if later := next.account(); later <= account {
		m.Errorf("the account after that of number %d has number %d", account, later)
	}
	_, err = ana.dir.Account(ctx, ana.Member)
	m.is(err, lonja.OtherKey)
	m.ok(m.Classic.Register(ctx, "open"))
	m.same("the number of an open name", m.node("open", "x").account(), uint64(0))
	m.is(ana.dir.Authorize(ana.Member), lonja.OtherKey)
	phone := m.node("ana", "phone")
	m.is(phone.dir.Authorize(phone.Member), lonja.OtherKey)
	m.same("what the next one has", len(eva.names("ana")), 0)
	keys, err := eva.dir.Keys(ctx, "ana")
	m.ok(err)
	if len(keys) != 1 || keys[0].Key != next.Key {
		m.Errorf("got %+v, want one key", keys)
	}
}

func testTakeAway(m *members) {
	ctx := m.Context()
	ana := m.online("ana")[0]
	other, nobody := m.node("ana", "other"), m.node("nobody", "nobody")
	ana.publish("file")
	is := func(n *node, unregister, disconnect, remove lonja.Kind) {
		m.Helper()
		m.is(n.dir.DeleteMember(ctx, n.Member, "file"), remove)
		m.is(n.dir.DisconnectMember(ctx, n.Member), disconnect)
		m.is(n.dir.UnregisterMember(ctx, n.Member), unregister)
	}
	is(other, lonja.OtherKey, lonja.OtherKey, lonja.OtherKey)
	is(nobody, lonja.NoSuchUser, lonja.NoSuchUser, lonja.NoSuchUser)
	m.same("what is left", ana.names("ana"), []lonja.FileName{"file"})
	m.ok(ana.dir.RenewMember(ctx, ana.Member, nil))
	m.ok(ana.dir.DeleteMember(ctx, ana.Member, "file"))
	m.is(ana.dir.DeleteMember(ctx, ana.Member, "file"), lonja.NotPublished)
	m.ok(ana.dir.DisconnectMember(ctx, ana.Member))
	m.is(ana.dir.DisconnectMember(ctx, ana.Member), lonja.NotConnected)
	m.ok(ana.dir.UnregisterMember(ctx, ana.Member))
	m.is(ana.dir.UnregisterMember(ctx, ana.Member), lonja.NoSuchUser)

	m.ok(m.Classic.Register(ctx, "open"))
	m.ok(m.Classic.Connect(ctx, "open", m.way(4003)))
	m.ok(m.Classic.Publish(ctx, "open", lonja.Listing{Name: "/f", Size: lonja.UnknownSize}))
	open := m.node("open", "open")
	m.ok(open.dir.DeleteMember(ctx, open.Member, "/f"))
	m.ok(open.dir.DisconnectMember(ctx, open.Member))
	m.is(open.dir.DeleteMember(ctx, open.Member, "/f"), lonja.NotConnected)
	m.ok(open.dir.UnregisterMember(ctx, open.Member))
}

// account returns the number of the node's account.
func (n *node) account() uint64 {
	n.Helper()
	number, err := n.dir.Account(n.Context(), n.Member)
	n.ok(err)
	return number
}

// ended fails the test unless the directory tells, of all that was revoked since
// then, that ana's account of that number has ended, once for each key that spoke
// then, and nothing of the key that was lost but what was said of it before.
func (m *members) ended(since int64, account uint64, lost lonja.PublicKey) {
	m.Helper()
	some := m.node("x", "x")
	all, err := some.dir.Revocations(m.Context(), since)
	m.ok(err)
	told := make(map[lonja.PublicKey]bool)
	for _, r := range all {
		if r.Key == lost {
			m.same("what ended the key that was lost", r.Account, uint64(0))
			continue
		}
		m.same("what is told of an account that has ended", r, lonja.Revocation{User: "ana", Key: r.Key, Date: r.Date, Account: account})
		told[r.Key] = true
	}
	m.same("whose certificates are good no more", told, map[lonja.PublicKey]bool{publicOf(keyOf("ana")): true, publicOf(keyOf("phone")): true})
}

var sessionCases = []memberCase{
	{"session", "ConnectMember announces where a node is reached; Disconnect ends it", MemberOptions{}, testSession},
	{"session: not needed", "a member asks and publishes without being connected; a name without a key does not", MemberOptions{}, testWithoutSession},
	{"session: taken over", "the same key takes its session over, another one does not", MemberOptions{}, testTakenOver},
	{"session: other program", "of two programs with one key the later has the session; the earlier is told, and ends nothing", MemberOptions{}, testOtherProgram},
	{"session: yields", "a session that yields takes over none, and is in nobody's way: neither with this key nor with another one", MemberOptions{}, testYields},
	{"session: without a key", "ConnectWithoutKey is Connect for who may act for the name, and no session", MemberOptions{}, testConnectWithoutKey},
	{"session: programs untold", "programs that do not tell which they are share a session, as they always did", MemberOptions{}, testUntoldPrograms},
	{"session: renewed", "RenewMember keeps a session, and says where the node is now", MemberOptions{}, testRenewed},
	{"session: refuse", "at most MaxWays, each a place", MemberOptions{}, testWays},
}

func testSession(m *members) {
	ctx := m.Context()
	ana := m.member("ana")
	m.is(ana.dir.RenewMember(ctx, ana.Member, nil), lonja.NotConnected)
	ana.connect(4000, 4001)
	m.ok(m.Classic.Register(ctx, "old"))
	m.ok(m.Classic.Connect(ctx, "old", m.way(4009)))
	peers, err := listUsers(ctx, ana.dir, "ana")
	m.ok(err)
	m.same("users", peers, []lonja.Peer{{User: "old", At: m.way(4009)}, ana.peer(4000, 4001)})
	m.ok(ana.dir.Disconnect(ctx, "ana"))
	m.is(ana.dir.RenewMember(ctx, ana.Member, nil), lonja.NotConnected)
	m.is(ana.dir.Disconnect(ctx, "ana"), lonja.NotConnected)
	peers, err = listUsers(ctx, ana.dir, "ana") // a member need not be connected to ask
	m.ok(err)
	m.same("users without ana", peers, []lonja.Peer{{User: "old", At: m.way(4009)}})
	nobody := m.node("nobody", "nobody")
	m.is(nobody.dir.ConnectMember(ctx, nobody.Member, nil), lonja.NoSuchUser)
}

func testWithoutSession(m *members) {
	ctx := m.Context()
	ana, eva := m.member("ana"), m.online("eva")[0]
	l := ana.publish("file")
	m.same("what eva learns", eva.names("ana"), []lonja.FileName{"file"})
	m.same("what ana finds", m.foundBy(ana.dir, "ana", lonja.Query{}), []string{"file of ana 0/1"})
	holders, _, err := ana.dir.HoldersPage(ctx, "ana", lonja.Wanted{File: l.Proof.File}, "", 0)
	m.ok(err)
	m.same("holders", len(holders), 0)
	m.ok(ana.dir.Delete(ctx, "ana", "file"))
	m.ok(m.Classic.Register(ctx, "open"))
	open := m.node("open", "open")
	_, err = open.dir.ListUsers(ctx, "open")
	m.is(err, lonja.NotConnected)
	_, _, err = open.dir.UsersPage(ctx, "open", "", 0)
	m.is(err, lonja.NotConnected)
	_, _, err = open.dir.ContentPage(ctx, "open", "ana", "", 0)
	m.is(err, lonja.NotConnected)
	_, _, err = open.dir.HoldersPage(ctx, "open", lonja.Wanted{Name: "file"}, "", 0)
	m.is(err, lonja.NotConnected)
	m.is(open.dir.Watch(ctx, open.Member, lonja.EventFilter{}, func(lonja.Event) error { return nil }), lonja.NotConnected)
}

func testTakenOver(m *members) {
	ctx := m.Context()
	ana, phone := m.member("ana"), m.node("ana", "phone")
	m.ok(ana.dir.AddKey(ctx, ana.Member, ana.endorse("phone", time.Now().Unix())))
	ana.connect(4000)
	m.is(phone.dir.ConnectMember(ctx, phone.Member, phone.ways(4001)), lonja.AlreadyConnected)
	m.is(phone.dir.RenewMember(ctx, phone.Member, nil), lonja.OtherKey)
	ana.connect(4002)
	peers, err := listUsers(ctx, ana.dir, "ana")
	m.ok(err)
	m.same("users", peers, []lonja.Peer{ana.peer(4002)})
	m.ok(ana.dir.Disconnect(ctx, "ana"))
	phone.connect(4001)
	m.ok(m.Classic.Register(ctx, "open"))
	m.ok(m.Classic.Connect(ctx, "open", m.way(4003)))
	open := m.node("open", "open")
	m.is(open.dir.ConnectMember(ctx, open.Member, nil), lonja.AlreadyConnected)
}

func testRenewed(m *members) {
	ctx := m.Context()
	ana := m.member("ana")
	ana.connect(4000)
	m.ok(ana.dir.RenewMember(ctx, ana.Member, nil))
	peers, err := listUsers(ctx, ana.dir, "ana")
	m.ok(err)
	m.same("users", peers, []lonja.Peer{ana.peer(4000)})
	m.ok(ana.dir.RenewMember(ctx, ana.Member, ana.ways(4001, 4000)))
	peers, err = listUsers(ctx, ana.dir, "ana")
	m.ok(err)
	m.same("users", peers, []lonja.Peer{ana.peer(4001, 4000)})
	other := m.node("ana", "other")
	m.is(other.dir.RenewMember(ctx, other.Member, nil), lonja.OtherKey)
}

func testWays(m *members) {
	ctx := m.Context()
	ana := m.member("ana")
	many := make([]lonja.Endpoint, lonja.MaxWays+1)
	for i := range many {
		many[i] = m.way(uint16(4000 + i))
	}
	m.is(ana.dir.ConnectMember(ctx, ana.Member, many), lonja.Invalid)
	m.is(ana.dir.ConnectMember(ctx, ana.Member, []lonja.Endpoint{{}}), lonja.Invalid)
	m.is(ana.dir.ConnectMember(ctx, ana.Member, []lonja.Endpoint{m.way(0)}), lonja.Invalid)
	m.ok(ana.dir.ConnectMember(ctx, ana.Member, many[1:]))
	peers, err := listUsers(ctx, ana.dir, "ana")
	m.ok(err)
	if len(peers) != 1 || len(peers[0].Reach.Ways) != lonja.MaxWays {
		m.Errorf("got %+v, want %d ways", peers, lonja.MaxWays)
	}
}

var raceCases = []memberCase{
	{"races", "of two that register, claim, add, revoke or publish at once, one wins", MemberOptions{}, testMemberRaces},
	{"races: invitation", "an invitation for one lets one in", MemberOptions{Invited: true}, testInvitationRace},
}

func testMemberRaces(m *members) {
	now := time.Now().Unix()
	for i := range 10 {
		user := lonja.UserName(fmt.Sprint("ana", i))
		one, other := m.node(user, "one"), m.node(user, "other")
		m.race("register", lonja.NameInUse,
			func(ctx context.Context) error { return one.dir.RegisterMember(ctx, one.Member, "") },
			func(ctx context.Context) error { return other.dir.RegisterMember(ctx, other.Member, "") })
		winner := one
		if one.dir.Authorize(one.Member) != nil {
			winner = other
		}
		m.ok(winner.dir.Authorize(winner.Member))
		e := winner.endorse("phone", now)
		add := func(ctx context.Context) error { return winner.dir.AddKey(ctx, winner.Member, e) }
		m.race("add", lonja.Untrusted, add, add)
		r := winner.revocation("phone")
		revoke := func(ctx context.Context) error { return winner.dir.RevokeKey(ctx, winner.Member, r) }
		m.race("revoke", lonja.Untrusted, revoke, revoke)
		m.ok(winner.dir.ConnectMember(m.Context(), winner.Member, winner.ways(4000)))
		l := winner.listing("file")
		publish := func(ctx context.Context) error { return winner.dir.Publish(ctx, user, l) }
		m.race("publish", lonja.AlreadyPublished, publish, publish)

		user = lonja.UserName(fmt.Sprint("luis", i))
		m.ok(m.Classic.Register(m.Context(), user))
		m.ok(m.Classic.Connect(m.Context(), user, m.way(4001)))
		one, other = m.node(user, "one"), m.node(user, "other")
		m.race("claim", lonja.OtherKey,
			func(ctx context.Context) error { return one.dir.Claim(ctx, one.Member, m.Addr) },
			func(ctx context.Context) error { return other.dir.Claim(ctx, other.Member, m.Addr) })
	}
}

func testInvitationRace(m *members) {
	for i := range 10 {
		secret := m.Invite(1, 0)
		a, b := m.node(lonja.UserName(fmt.Sprint("a", i)), "a"), m.node(lonja.UserName(fmt.Sprint("b", i)), "b")
		m.race("invitation", lonja.Forbidden,
			func(ctx context.Context) error { return a.dir.RegisterMember(ctx, a.Member, secret) },
			func(ctx context.Context) error { return b.dir.RegisterMember(ctx, b.Member, secret) })
	}
	many := m.Invite(8, 0)
	results := make(chan error, 8)
	for i := range 8 {
		n := m.node(lonja.UserName(strings.Repeat("c", i+1)), "c")
		go func() { results <- n.dir.RegisterMember(m.Context(), n.Member, many) }()
	}
	for range 8 {
		if err := <-results; err != nil {
			m.Errorf("one of eight: %v", err)
		}
	}
	last := m.node("last", "last")
	m.is(last.dir.RegisterMember(m.Context(), last.Member, many), lonja.Forbidden)
}
