package dirtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"lonja"
)

var signedCases = []memberCase{
	{"publish", "a listing comes back as it was signed, by every way", MemberOptions{}, testPublishSigned},
	{"publish: refuse", "only what a key of the owner has signed is published", MemberOptions{}, testPublishRefuses},
	{"publish: replace", "a publication takes the place of one of the same name, unless it is the same", MemberOptions{}, testReplace},
	{"folder", "that it is a folder is signed, told by every way, and found by its size", MemberOptions{}, testPublishFolder},
	{"digest", "ContentDigest is that of all that an owner has published", MemberOptions{}, testDigest},
	{"names for the classic dialect", "classic users see what is for everybody and has no blank in its name", MemberOptions{}, testClassicView},
}

func testPublishSigned(m *members) {
	ctx := m.Context()
	nodes := m.online("ana", "eva")
	ana, eva := nodes[0], nodes[1]
	l := ana.publish("poems/ozy mandias.txt")
	listings, err := eva.dir.ListContent(ctx, "eva", "ana")
	m.ok(err)
	m.same("content", listings, []lonja.Listing{l})
	page, err := eva.dir.Search(ctx, "eva", lonja.Query{Words: "mandias"})
	m.ok(err)
	m.same("search", page.Found, []lonja.Found{{Owner: "ana", Listing: l, Online: 1, Holders: 1}})
	want := []lonja.Holder{{User: "ana", At: ana.way(4000), Name: l.Name, Reach: ana.reach(4000), Proof: l.Proof, Description: l.Description, Size: l.Size}}
	holders, err := eva.dir.Holders(ctx, "eva", "ozy mandias.txt")
	m.ok(err)
	m.same("holders", holders, want)
	for _, wanted := range []lonja.Wanted{{File: l.Proof.File}, {Name: "ozy mandias.txt"}} {
		holders, next, err := eva.dir.HoldersPage(ctx, "eva", wanted, "", 0)
		m.ok(err)
		m.same("page of holders", holders, want)
		m.same("cursor", next, lonja.Cursor(""))
	}
	none, _, err := eva.dir.HoldersPage(ctx, "eva", lonja.Wanted{File: fileOf("nothing")}, "", 0)
	m.ok(err)
	m.same("holders of nothing", len(none), 0)
}

func testPublishFolder(m *members) {
	ctx := m.Context()
	nodes := m.online("ana", "eva")
	ana, eva := nodes[0], nodes[1]
	folder := func(p *lonja.Publication) {
		p.Size, p.Proof.Folder = 5<<30, &lonja.Folder{Files: 12, ListSize: 700}
	}
	l := ana.publish("photos/2026", folder)
	listings, err := eva.dir.ListContent(ctx, "eva", "ana")
	m.ok(err)
	m.same("content", listings, []lonja.Listing{l})
	page, err := eva.dir.Search(ctx, "eva", lonja.Query{MinSize: 4 << 30})
	m.ok(err)
	m.same("search", page.Found, []lonja.Found{{Owner: "ana", Listing: l, Online: 1, Holders: 1}})
	holders, _, err := eva.dir.HoldersPage(ctx, "eva", lonja.Wanted{File: l.Proof.File}, "", 0)
	m.ok(err)
	m.same("holders", len(holders), 1)
	m.same("what the holder signed", holders[0].Proof, l.Proof)
	for what, f := range map[string]*lonja.Folder{
		"a file": nil, "more files": {Files: 13, ListSize: 700}, "another list": {Files: 12, ListSize: 701},
	} {
		other, proof := l, *l.Proof
		proof.Folder, other.Proof = f, &proof
		if err := ana.dir.Publish(ctx, "ana", other); lonja.KindOf(err) != lonja.Untrusted {
			m.Errorf("%s: got %v, want %v", what, err, lonja.Untrusted)
		}
	}
	m.ok(ana.dir.DeleteMember(ctx, ana.Member, l.Name))
	file := ana.publish(l.Name)
	listings, err = eva.dir.ListContent(ctx, "eva", "ana")
	m.ok(err)
	m.same("a file in its place", listings, []lonja.Listing{file})
}

func testPublishRefuses(m *members) {
	ctx, now := m.Context(), time.Now().Unix()
	nodes := m.online("ana", "eva")
	ana, eva := nodes[0], nodes[1]
	m.ok(m.Classic.Register(ctx, "old"))
	m.ok(m.Classic.Connect(ctx, "old", m.way(4009)))
	old := m.node("old", "old")
	good := ana.listing("file")
	changed := func(change func(*lonja.Listing)) lonja.Listing {
		l, proof := good, *good.Proof
		l.Proof = &proof
		change(&l)
		return l
	}
	many := make([]lonja.UserName, 101)
	for i := range many {
		many[i] = lonja.UserName(fmt.Sprintf("%03d", i))
	}
	for what, c := range map[string]struct {
		by   *node
		l    lonja.Listing
		want lonja.Kind
	}{
		"not signed":           {ana, lonja.Listing{Name: "file", Size: 7}, lonja.Invalid},
		"another name":         {ana, changed(func(l *lonja.Listing) { l.Name = "other" }), lonja.Untrusted},
		"another size":         {ana, changed(func(l *lonja.Listing) { l.Size++ }), lonja.Untrusted},
		"another description":  {ana, changed(func(l *lonja.Listing) { l.Description = "better" }), lonja.Untrusted},
		"another content":      {ana, changed(func(l *lonja.Listing) { l.Proof.File = fileOf("worm") }), lonja.Untrusted},
		"another date":         {ana, changed(func(l *lonja.Listing) { l.Proof.Date++ }), lonja.Untrusted},
		"another audience":     {ana, changed(func(l *lonja.Listing) { l.Proof.Audience = []lonja.UserName{"eva"} }), lonja.Untrusted},
		"of another user":      {ana, eva.listing("file"), lonja.Untrusted},
		"by another key":       {ana, m.node("ana", "other").listing("file"), lonja.Untrusted},
		"of a name without":    {old, old.listing("file"), lonja.Untrusted},
		"a path":               {ana, changed(func(l *lonja.Listing) { l.Name = "/etc/passwd" }), lonja.Invalid},
		"a path that climbs":   {ana, changed(func(l *lonja.Listing) { l.Name = "a/../../b" }), lonja.Invalid},
		"a name for terminals": {ana, changed(func(l *lonja.Listing) { l.Name = "a\x1b[2J" }), lonja.Invalid},
		"an unknown size":      {ana, changed(func(l *lonja.Listing) { l.Size = lonja.UnknownSize }), lonja.Invalid},
		"dated far ahead":      {ana, ana.listing("file", func(p *lonja.Publication) { p.Proof.Date = now + 2*24*3600 }), lonja.Invalid},
		"for nobody we know":   {ana, ana.listing("file", to("eva", "nobody")), lonja.NoSuchOwner},
		"for an open name":     {ana, ana.listing("file", to("eva", "old")), lonja.Invalid},
		"for too many":         {ana, ana.listing("file", to(many...)), lonja.Invalid},
		"for some in disorder": {ana, changed(func(l *lonja.Listing) { l.Proof.Audience = []lonja.UserName{"eva", "ana"} }), lonja.Invalid},
	} {
		if err := c.by.dir.Publish(ctx, c.by.User, c.l); lonja.KindOf(err) != c.want {
			m.Errorf("%s: got error %v, want %v", what, err, c.want)
		}
	}
	m.same("what is listed", len(eva.names("ana"))+len(eva.names("old")), 0)
	err := ana.dir.Publish(ctx, "ana", ana.listing("file", to("eva", "nobody")))
	if err == nil || !strings.Contains(err.Error(), "nobody") {
		m.Errorf("got error %v, want one that names who does not exist", err)
	}
	m.is(ana.dir.Publish(ctx, "nobody", good), lonja.NoSuchUser)
}

func testReplace(m *members) {
	ctx := m.Context()
	nodes := m.online("ana", "eva")
	ana, eva := nodes[0], nodes[1]
	first := ana.publish("file")
	ana.publish("other")
	m.is(ana.dir.Publish(ctx, "ana", first), lonja.AlreadyPublished)
	second := ana.publish("file", content("edited"))
	listings, err := eva.dir.ListContent(ctx, "eva", "ana")
	m.ok(err)
	m.same("names", eva.names("ana"), []lonja.FileName{"file", "other"})
	m.same("the one that was replaced", listings[0], second)
	gone, _, err := eva.dir.HoldersPage(ctx, "eva", lonja.Wanted{File: first.Proof.File}, "", 0)
	m.ok(err)
	m.same("holders of the first", len(gone), 0)
	m.ok(ana.dir.Delete(ctx, "ana", "file"))
	m.is(ana.dir.Delete(ctx, "ana", "file"), lonja.NotPublished)
	m.same("names in the end", eva.names("ana"), []lonja.FileName{"other"})
}

func testDigest(m *members) {
	ctx := m.Context()
	ana := m.online("ana", "eva")[0]
	var want lonja.ContentDigest
	check := func(what string) {
		m.Helper()
		got, err := ana.dir.ContentDigest(ctx, "ana")
		m.ok(err)
		m.same(what, got, want)
	}
	check("nothing")
	first, second := ana.publish("first"), ana.publish("second", to("eva"))
	want.Add(first.Proof.Signature)
	want.Add(second.Proof.Signature)
	check("two")
	again := ana.publish("first", content("edited"))
	want.Remove(first.Proof.Signature)
	want.Add(again.Proof.Signature)
	check("one of them replaced")
	m.ok(ana.dir.Delete(ctx, "ana", "second"))
	want.Remove(second.Proof.Signature)
	check("the other deleted")
	_, err := ana.dir.ContentDigest(ctx, "nobody")
	m.is(err, lonja.NoSuchUser)
}

// foundBy returns the base names, owners and counts that somebody finds.
func (m *members) foundBy(dir lonja.Directory, user lonja.UserName, q lonja.Query) (all []string) {
	m.Helper()
	for {
		page, err := dir.Search(m.Context(), user, q)
		m.ok(err)
		for _, f := range page.Found {
			all = append(all, fmt.Sprintf("%s of %s %d/%d", f.Listing.Name.Base(), f.Owner, f.Online, f.Holders))
		}
		if q.After = page.Next; q.After == "" {
			return all
		}
	}
}

func testClassicView(m *members) {
	ctx := m.Context()
	nodes := m.online("ana", "eva")
	ana, eva := nodes[0], nodes[1]
	m.ok(m.Classic.Register(ctx, "old"))
	m.ok(m.Classic.Connect(ctx, "old", m.way(4009)))
	m.ok(m.Classic.Publish(ctx, "old", lonja.Listing{Name: "/home/old/song.mp3", Size: lonja.UnknownSize}))
	ana.publish("song.mp3")
	eva.publish("my music/song.mp3")
	eva.publish("blank name.mp3")
	eva.publish("secret.mp3", to("ana"))

	listings, err := m.Classic.ListContent(ctx, "old", "eva")
	m.ok(err)
	m.same("what the classic one may know of eva", len(listings), 0)
	listings, err = m.Classic.ListContent(ctx, "old", "ana")
	m.ok(err)
	m.same("of ana", len(listings), 1)
	for _, limit := range []int{1, 10} {
		q := lonja.Query{Words: "mp3", Limit: limit}
		found := m.foundBy(m.Classic, "old", q)
		if len(found) != 1 || !strings.HasSuffix(found[0], " 2/2") || !strings.HasPrefix(found[0], "song.mp3") {
			m.Errorf("the classic one finds %v, want song.mp3 of two", found)
		}
		found = m.foundBy(eva.dir, "eva", q)
		counts := make([]string, 0, len(found))
		for _, f := range found {
			counts = append(counts, strings.Fields(f)[0]+f[strings.LastIndex(f, " "):])
		}
		m.same("what a member finds", counts, []string{"song.mp3 3/3", "blank 1/1", "secret.mp3 1/1"})
	}
	holders, err := m.Classic.Holders(ctx, "old", "song.mp3")
	m.ok(err)
	names := make([]string, 0, len(holders))
	for _, h := range holders {
		names = append(names, string(h.Name))
	}
	slices.Sort(names)
	m.same("holders", names, []string{"/home/old/song.mp3", "song.mp3"})
	for _, name := range []lonja.FileName{"secret.mp3", "name.mp3"} {
		_, err = m.Classic.Holders(ctx, "old", name)
		m.is(err, lonja.NoHolder)
	}
}

var audienceCases = []memberCase{
	{"audience", "who is not in the audience does not learn that a publication exists", MemberOptions{}, testAudience},
	{"audience: ranks", "neither by counts, nor by ranks, nor by cursors", MemberOptions{}, testAudienceRanks},
	{"audience: changed", "who is in it no more does not learn of it any more", MemberOptions{}, testAudienceChanged},
	{"audience: the next", "whoever has the name of one who was named next was not meant", MemberOptions{}, testAudienceNext},
}

func testAudienceNext(m *members) {
	ctx := m.Context()
	nodes := m.online("ana", "luis", "eva")
	ana, luis, eva := nodes[0], nodes[1], nodes[2]
	secret := ana.publish("secret", to("luis", "eva"))
	m.same("luis sees", luis.names("ana"), []lonja.FileName{"secret"})
	m.ok(luis.dir.Unregister(ctx, "luis"))
	next := m.node("luis", "next")
	m.ok(next.dir.RegisterMember(ctx, next.Member, ""))
	m.same("the next one sees", len(next.names("ana")), 0)
	m.same("the next one finds", len(m.foundBy(next.dir, "luis", lonja.Query{Words: "secret"})), 0)
	page, _, err := next.dir.ContentPage(ctx, "luis", "ana", "", 0)
	m.ok(err)
	m.same("the next one's page", len(page), 0)
	for _, wanted := range []lonja.Wanted{{Name: "secret"}, {File: secret.Proof.File}} {
		holders, _, err := next.dir.HoldersPage(ctx, "luis", wanted, "", 0)
		m.ok(err)
		m.same("the next one's holders", len(holders), 0)
	}
	m.same("eva sees", eva.names("ana"), []lonja.FileName{"secret"})
	m.same("ana sees", ana.names("ana"), []lonja.FileName{"secret"})

	w := next.watch(lonja.EventFilter{Matching: &lonja.Query{}, Holders: []lonja.FileID{secret.Proof.File}})
	m.ok(ana.dir.Delete(ctx, "ana", "secret"))
	l := ana.publish("another", to("luis", "eva")) // now she means this one
	w.want(lonja.Event{Kind: lonja.Published, User: "ana", Listing: l})
	m.same("the next one sees then", next.names("ana"), []lonja.FileName{"another"})
}

// testAudience: the owner, who is named, another member, and a name without a
// key that says it is the one who is named would if it were let.
func testAudience(m *members) {
	ctx := m.Context()
	nodes := m.online("ana", "eva", "luis")
	ana, eva, luis := nodes[0], nodes[1], nodes[2]
	l := ana.publish("letters/to eva.txt", to("eva"))
	ana.publish("public.txt")
	for _, n := range nodes {
		sees := n != luis
		want := []lonja.FileName{"public.txt"}
		if sees {
			want = append(want, l.Name)
		}
		m.same(string(n.User)+": names", n.names("ana"), want)
		page, next, err := n.dir.ContentPage(ctx, n.User, "ana", "", 1)
		m.ok(err)
		m.same(string(n.User)+": first page", len(page) == 1 && (next != "") == sees, true)
		found := m.foundBy(n.dir, n.User, lonja.Query{Words: "letters"})
		m.same(string(n.User)+": search", len(found) == 1, sees)
		found = m.foundBy(n.dir, n.User, lonja.Query{Owner: "ana"})
		m.same(string(n.User)+": search of an owner", len(found) == 2, sees)
		found = m.foundBy(n.dir, n.User, lonja.Query{Base: "to eva.txt"})
		m.same(string(n.User)+": search of a base name", len(found) == 1, sees)
		_, err = n.dir.Holders(ctx, n.User, "to eva.txt")
		m.same(string(n.User)+": holders", err == nil, sees)
		for _, wanted := range []lonja.Wanted{{File: l.Proof.File}, {Name: "to eva.txt"}} {
			holders, _, err := n.dir.HoldersPage(ctx, n.User, wanted, "", 0)
			m.ok(err)
			m.same(string(n.User)+": page of holders", len(holders) == 1, sees)
		}
	}
	got, _, err := eva.dir.ContentPage(ctx, "eva", "ana", "", 0)
	m.ok(err)
	m.same("what eva is shown", got[len(got)-1], l)
}

func testAudienceRanks(m *members) {
	nodes := m.online("ana", "eva", "luis", "pau")
	ana, eva, luis, pau := nodes[0], nodes[1], nodes[2], nodes[3]
	// To all, b has two and a has one; to eva, a has three.
	silent := func(p *lonja.Publication) { p.Description = "" }
	ana.publish("x/b", silent)
	pau.publish("b", silent)
	luis.publish("a", silent)
	before := m.foundBy(luis.dir, "luis", lonja.Query{Limit: 1})
	ana.publish("a", silent, to("eva"))
	pau.publish("y/a", silent, to("eva"))
	for _, limit := range []int{1, 5} {
		for _, words := range []string{"", "a", "b"} {
			q := lonja.Query{Words: words, Limit: limit}
			bases := func(n *node) (all []string) {
				for _, f := range m.foundBy(n.dir, n.User, q) {
					all = append(all, strings.Fields(f)[0]+" "+strings.Fields(f)[3])
				}
				return all
			}
			want := map[string][2][]string{
				"":  {{"a 3/3", "b 2/2"}, {"b 2/2", "a 1/1"}},
				"a": {{"a 3/3"}, {"a 1/1"}},
				"b": {{"b 2/2"}, {"b 2/2"}},
			}[words]
			m.same(fmt.Sprintf("eva finds of %q", words), bases(eva), want[0])
			m.same(fmt.Sprintf("luis finds of %q", words), bases(luis), want[1])
		}
	}
	m.same("luis after as before", m.foundBy(luis.dir, "luis", lonja.Query{Limit: 1}), before)
	first, err := luis.dir.Search(m.Context(), "luis", lonja.Query{Limit: 1})
	m.ok(err)
	m.ok(ana.dir.Delete(m.Context(), "ana", "a"))
	second, err := luis.dir.Search(m.Context(), "luis", lonja.Query{Limit: 1})
	m.ok(err)
	m.same("the cursor", first.Next, second.Next)
}

func testAudienceChanged(m *members) {
	nodes := m.online("ana", "eva", "luis")
	ana, eva, luis := nodes[0], nodes[1], nodes[2]
	ana.publish("file", to("eva"))
	ana.publish("file", to("luis"))
	m.same("eva", len(eva.names("ana")), 0)
	m.same("luis", luis.names("ana"), []lonja.FileName{"file"})
	ana.publish("file")
	m.same("eva, now that it is for all", eva.names("ana"), []lonja.FileName{"file"})
	m.ok(luis.dir.Unregister(m.Context(), "luis"))
	ana.publish("file", to("ana", "eva"))
	m.same("eva in the end", eva.names("ana"), []lonja.FileName{"file"})
}

var pageCases = []memberCase{
	{"pages", "what stays is on one page, once, while other things come and go", MemberOptions{}, testPages},
	{"pages: checks", "a page has 1 to MaxPage; a cursor is one of such a page", MemberOptions{}, testPageChecks},
}

// testPages goes through pages while every other thing is taken away behind and
// before it.
func testPages(m *members) {
	ctx := m.Context()
	const count = 30
	ana := m.online("ana")[0]
	for i := range count {
		ana.publish(lonja.FileName(fmt.Sprintf("%02d/same", i)), content("same"))
	}
	pages := func(what string, ask func(after lonja.Cursor) ([]lonja.FileName, lonja.Cursor, error)) {
		m.Helper()
		seen := map[lonja.FileName]int{}
		var after lonja.Cursor
		for page := 0; ; page++ {
			names, next, err := ask(after)
			m.ok(err)
			for _, n := range names {
				seen[n]++
			}
			// One that was just told, which the cursor is at, and one that was not.
			if len(names) > 0 {
				gone := names[len(names)-1]
				m.ok(ana.dir.Delete(ctx, "ana", gone))
				ana.publish(gone, content("same"))
				seen[gone] = 1 // it came anew: it may be told or not
			}
			if after = next; after == "" {
				break
			}
		}
		for i := range count {
			name := lonja.FileName(fmt.Sprintf("%02d/same", i))
			if seen[name] != 1 {
				m.Errorf("%s: %s is on %d pages, want 1", what, name, seen[name])
			}
		}
	}
	pages("content", func(after lonja.Cursor) (names []lonja.FileName, _ lonja.Cursor, _ error) {
		listings, next, err := ana.dir.ContentPage(ctx, "ana", "ana", after, 4)
		for _, l := range listings {
			names = append(names, l.Name)
		}
		return names, next, err
	})
	for what, wanted := range map[string]lonja.Wanted{"by content": {File: fileOf("same")}, "by name": {Name: "same"}} {
		pages(what, func(after lonja.Cursor) (names []lonja.FileName, _ lonja.Cursor, _ error) {
			holders, next, err := ana.dir.HoldersPage(ctx, "ana", wanted, after, 4)
			for _, h := range holders {
				names = append(names, h.Name)
			}
			return names, next, err
		})
	}
	testUserPages(m, ana)
}

func testUserPages(m *members, ana *node) {
	ctx := m.Context()
	nodes := []*node{ana}
	for i := range 9 {
		n := m.member(lonja.UserName(fmt.Sprint("user", i)))
		n.connect(uint16(5000 + i))
		nodes = append(nodes, n)
	}
	var got []lonja.UserName
	for after, more := lonja.Cursor(""), true; more; more = after != "" {
		peers, next, err := ana.dir.UsersPage(ctx, "ana", after, 3)
		m.ok(err)
		for _, p := range peers {
			got = append(got, p.User)
		}
		if after == "" {
			m.ok(nodes[len(nodes)-1].dir.Disconnect(ctx, nodes[len(nodes)-1].User))
		}
		after = next
	}
	var want []lonja.UserName
	for _, n := range nodes {
		want = append(want, n.User)
	}
	slices.SortFunc(got, func(a, b lonja.UserName) int { return cmp.Compare(a, b) })
	m.same("users", got, want)
}

func testPageChecks(m *members) {
	ctx := m.Context()
	ana := m.member("ana")
	ask := func(after lonja.Cursor, limit int) [3]error {
		_, _, users := ana.dir.UsersPage(ctx, "ana", after, limit)
		_, _, content := ana.dir.ContentPage(ctx, "ana", "ana", after, limit)
		_, _, holders := ana.dir.HoldersPage(ctx, "ana", lonja.Wanted{Name: "f"}, after, limit)
		return [3]error{users, content, holders}
	}
	for _, err := range ask("", lonja.MaxPage) {
		m.ok(err)
	}
	for _, err := range slices.Concat(sliceOf(ask("", -1)), sliceOf(ask("", lonja.MaxPage+1)), sliceOf(ask("nonsense", 0)),
		sliceOf(ask(lonja.Cursor(strings.Repeat("A", lonja.MaxCursor+1)), 0))) {
		m.is(err, lonja.Invalid)
	}
	_, _, err := ana.dir.ContentPage(ctx, "ana", "nobody", "", 0)
	m.is(err, lonja.NoSuchOwner)
	_, _, err = ana.dir.UsersPage(ctx, "nobody", "", 0)
	m.is(err, lonja.NoSuchUser)
}

func sliceOf(errs [3]error) []error { return errs[:] }
