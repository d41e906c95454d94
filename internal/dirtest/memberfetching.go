package dirtest

import (
	"fmt"
	"slices"

	"lonja"
)

var fetchingCases = []memberCase{
	{"fetching", "who fetches a content is listed after those who have it, to who asks for that, as long as it says so", MemberOptions{}, testFetching},
	{"fetching: session", "what is fetched is of the session: renewed with it, gone with it", MemberOptions{}, testFetchingSession},
	{"fetching: audience", "who may know of no publication of a content learns of nobody who fetches it, and is not told of", MemberOptions{}, testFetchingAudience},
	{"fetching: pages", "whoever goes on fetching is on one page, once, behind all who have it", MemberOptions{}, testFetchingPages},
	{"fetching: refuse", "at most MaxFetching, each once, of a session of that key", MemberOptions{}, testFetchingRefuses},
}

// fetching has the node say what it fetches.
func (n *node) fetching(files ...lonja.FileID) {
	n.Helper()
	n.ok(n.dir.Fetching(n.Context(), n.Member, files))
}

// fetchers returns the members who, as the node learns, have parts of a content. All
// who have the whole come before them, and are as without that question.
func (n *node) fetchers(file lonja.FileID) (users []lonja.UserName) {
	n.Helper()
	whole, _, err := n.dir.HoldersPage(n.Context(), n.User, lonja.Wanted{File: file}, "", 0)
	n.ok(err)
	all, next, err := n.dir.HoldersPage(n.Context(), n.User, lonja.Wanted{File: file, Partial: true}, "", 0)
	n.ok(err)
	n.same("the cursor of the last page", next, lonja.Cursor(""))
	if len(all) < len(whole) {
		n.Fatalf("%d holders when also parts are asked for, %d otherwise", len(all), len(whole))
	}
	if len(whole) > 0 {
		n.same("those who have all of it", all[:len(whole)], whole)
	}
	for _, h := range all[len(whole):] {
		if !h.Partial {
			n.Errorf("%+v is among those who have a part", h)
		}
		users = append(users, h.User)
	}
	return users
}

func testFetching(m *members) {
	nodes := m.online("ana", "eva", "luis")
	ana, eva, luis := nodes[0], nodes[1], nodes[2]
	film, song := fileOf("film"), fileOf("song")
	ana.publish("film")
	eva.fetching(film, song)
	m.same("who fetches the film", luis.fetchers(film), []lonja.UserName{"eva"})
	m.same("who fetches what nobody has published", luis.fetchers(song), []lonja.UserName(nil))
	holders, _, err := luis.dir.HoldersPage(m.Context(), "luis", lonja.Wanted{File: film, Partial: true}, "", 0)
	m.ok(err)
	want := lonja.Holder{User: "eva", At: m.way(4001), Reach: eva.reach(4001), Partial: true}
	m.same("a part", holders[len(holders)-1], want)
	for _, wanted := range []lonja.Wanted{{File: film}, {Name: "film"}, {Name: "film", Partial: true}} {
		holders, _, err := luis.dir.HoldersPage(m.Context(), "luis", wanted, "", 0)
		m.ok(err)
		if len(holders) != 1 || holders[0].User != "ana" {
			m.Errorf("%+v: got %+v, want ana only", wanted, holders)
		}
	}
	luis.fetching(film)
	m.same("who fetches the film", eva.fetchers(film), []lonja.UserName{"eva", "luis"})
	eva.fetching(song)
	m.same("once eva has it", luis.fetchers(film), []lonja.UserName{"luis"})
	m.ok(ana.dir.Disconnect(m.Context(), "ana"))
	m.same("with nobody there who has all of it", luis.fetchers(film), []lonja.UserName{"luis"})
	m.ok(ana.dir.Delete(m.Context(), "ana", "film"))
	m.same("once it is not published", luis.fetchers(film), []lonja.UserName(nil))
}

func testFetchingSession(m *members) {
	nodes := m.online("ana", "eva")
	ana, eva := nodes[0], nodes[1]
	film := fileOf("film")
	ana.publish("film")
	eva.fetching(film)
	m.ok(eva.dir.RenewMember(m.Context(), eva.Member, nil))
	m.same("after a renewal", ana.fetchers(film), []lonja.UserName{"eva"})
	m.ok(eva.dir.RenewMember(m.Context(), eva.Member, eva.ways(4711)))
	m.same("after a move", ana.fetchers(film), []lonja.UserName{"eva"})
	eva.connect(4712)
	m.same("in another session", ana.fetchers(film), []lonja.UserName(nil))
	eva.fetching(film)
	m.same("said again", ana.fetchers(film), []lonja.UserName{"eva"})
	m.ok(eva.dir.Disconnect(m.Context(), "eva"))
	m.same("when it has left", ana.fetchers(film), []lonja.UserName(nil))
	m.is(eva.dir.Fetching(m.Context(), eva.Member, nil), lonja.NotConnected)
}

func testFetchingAudience(m *members) {
	nodes := m.online("ana", "eva", "luis", "ben")
	ana, eva, luis, ben := nodes[0], nodes[1], nodes[2], nodes[3]
	film := fileOf("film")
	ana.publish("film", to("ben", "eva"))
	for _, n := range nodes {
		n.fetching(film)
	}
	meant := []lonja.UserName{"ana", "ben", "eva"}
	for _, n := range []*node{ana, eva, ben} {
		got := n.fetchers(film)
		slices.Sort(got)
		m.same("who fetches it, as "+string(n.User)+" learns", got, meant)
	}
	m.same("who fetches it, as luis learns", luis.fetchers(film), []lonja.UserName(nil))
	ben.publish("the same", content("film"))
	if got := luis.fetchers(film); len(got) != 4 {
		m.Errorf("of what everybody may have, luis learns of %v, want all four", got)
	}
	m.ok(ben.dir.Delete(m.Context(), "ben", "the same"))
	m.same("what is for some only again", luis.fetchers(film), []lonja.UserName(nil))
}

func testFetchingPages(m *members) {
	nodes := m.online("ana", "ben")
	film := fileOf("film")
	for _, n := range nodes {
		n.publish("film")
	}
	const fetchers = 9
	for i := range fetchers {
		n := m.member(lonja.UserName(fmt.Sprint("user", i)))
		n.connect(uint16(5000 + i))
		n.fetching(film)
		nodes = append(nodes, n)
	}
	for _, limit := range []int{1, 2, 3, 4, 11, 12} {
		var got []lonja.UserName
		for after, more := lonja.Cursor(""), true; more; more = after != "" {
			page, next, err := nodes[0].dir.HoldersPage(m.Context(), "ana", lonja.Wanted{File: film, Partial: true}, after, limit)
			m.ok(err)
			if len(page) > limit {
				m.Errorf("%d holders on a page of %d", len(page), limit)
			}
			for _, h := range page {
				if h.Partial != (len(got) >= 2) {
					m.Errorf("pages of %d: number %d is %+v", limit, len(got), h)
				}
				got = append(got, h.User)
			}
			if after = next; len(got) > 2+fetchers {
				break
			}
		}
		slices.Sort(got)
		var want []lonja.UserName
		for _, n := range nodes {
			want = append(want, n.User)
		}
		m.same(fmt.Sprintf("in pages of %d", limit), got, want)
	}
}

func testFetchingRefuses(m *members) {
	ana := m.online("ana")[0]
	var files []lonja.FileID
	for i := range lonja.MaxFetching + 1 {
		files = append(files, fileOf(fmt.Sprint(i)))
	}
	ana.fetching(files[:lonja.MaxFetching]...)
	ctx := m.Context()
	for _, bad := range [][]lonja.FileID{files, {files[0], files[0]}, {{}}} {
		m.is(ana.dir.Fetching(ctx, ana.Member, bad), lonja.Invalid)
	}
	luis := m.member("luis")
	m.is(luis.dir.Fetching(ctx, luis.Member, files[:1]), lonja.NotConnected)
	eve := m.node("ana", "eve")
	m.is(eve.dir.Fetching(ctx, eve.Member, nil), lonja.OtherKey)
}
