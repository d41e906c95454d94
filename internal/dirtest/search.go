package dirtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lonja"
)

// offer publishes one file with a description.
func (w *world) offer(user lonja.UserName, name lonja.FileName, about lonja.Description) {
	w.Helper()
	w.ok(w.dir.Publish(w.Context(), user, lonja.Listing{Name: name, Description: about, Size: lonja.UnknownSize}))
}

func (w *world) search(user lonja.UserName, query lonja.Query) lonja.FoundPage {
	w.Helper()
	page, err := w.dir.Search(w.Context(), user, query)
	w.ok(err)
	return page
}

// bases returns the base names of what is found, as ranked.
func bases(page lonja.FoundPage) []string {
	list := make([]string, len(page.Found))
	for i, f := range page.Found {
		list[i] = f.Listing.Name.Base()
	}
	return list
}

// finds compares the base names that each query finds with what it should.
func (w *world) finds(user lonja.UserName, what string, query lonja.Query, want ...string) {
	w.Helper()
	if got := bases(w.search(user, query)); !slices.Equal(got, want) {
		w.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// testSearchWords: words are runs of letters and digits, of the whole name and
// of the description.
func testSearchWords(w *world) {
	w.register("ana")
	w.connect("ana", 4000)
	w.offer("ana", "/music/Ñandú_Song-2.ogg", "a tune of the PAMPA, ПЕСНЯ")
	w.offer("ana", `C:\texts\poem.txt`, "by Shelley")
	w.offer("ana", "/bare", "")
	const song, poem, bare = "Ñandú_Song-2.ogg", "poem.txt", "bare"
	for words, want := range map[string][]string{
		"":                       {bare, poem, song},
		"song":                   {song},
		"music":                  {song},
		"SONG pampa":             {song},
		"pampa song":             {song},
		"ñandú":                  {song},
		"ÑANDÚ":                  {song},
		"песня":                  {song},
		"2":                      {song},
		"ogg song 2":             {song},
		"song, (tune)":           {song},
		"song-2.ogg":             {song},
		"song song":              {song},
		"texts":                  {poem},
		"shelley":                {poem},
		"song shelley":           nil, // of different files
		"song pam":               {song},
		"pam":                    {song},
		"pam song":               nil, // only the last one may be a beginning
		"ong":                    nil,
		"songs":                  nil,
		"b":                      {bare, poem}, // bare, by
		"/bare":                  {bare},
		"nothing":                nil,
		strings.Repeat("x", 255): nil,
	} {
		w.finds("ana", fmt.Sprintf("words %q", words), lonja.Query{Words: words}, want...)
	}
}

// testSearchFilters: what is set beside words must hold as well.
func testSearchFilters(w *world) {
	w.register("ana", "luis", "eva")
	w.connect("ana", 4000)
	w.connect("luis", 4001)
	w.offer("ana", "/a/song.ogg", "a song")
	w.offer("ana", "/a.b/plain", "a text")
	w.offer("luis", `D:\poem.TXT`, "a text")
	w.offer("luis", "/l/archive.tar.gz", "a song")
	w.ok(w.dir.Disconnect(w.Context(), "luis"))
	for what, c := range map[string]struct {
		query lonja.Query
		want  []string
	}{
		"base":                 {lonja.Query{Base: "song.ogg"}, []string{"song.ogg"}},
		"base after backslash": {lonja.Query{Base: "poem.TXT"}, []string{"poem.TXT"}},
		"base in another case": {lonja.Query{Base: "Song.ogg"}, nil},
		"part of a base":       {lonja.Query{Base: "song"}, nil},
		"base and words":       {lonja.Query{Base: "song.ogg", Words: "text"}, nil},
		"extension":            {lonja.Query{Extension: "ogg"}, []string{"song.ogg"}},
		"extension's case":     {lonja.Query{Extension: "txt"}, []string{"poem.TXT"}},
		"last extension":       {lonja.Query{Extension: "gz"}, []string{"archive.tar.gz"}},
		"two extensions":       {lonja.Query{Extension: "tar"}, nil},
		"a folder's dot":       {lonja.Query{Extension: "b"}, nil},
		"owner":                {lonja.Query{Owner: "luis"}, []string{"archive.tar.gz", "poem.TXT"}},
		"owner without files":  {lonja.Query{Owner: "eva"}, nil},
		"no such owner":        {lonja.Query{Owner: "nobody"}, nil},
		"owner and words":      {lonja.Query{Owner: "luis", Words: "song"}, []string{"archive.tar.gz"}},
		"online":               {lonja.Query{OnlineOnly: true}, []string{"plain", "song.ogg"}},
		"online and words":     {lonja.Query{OnlineOnly: true, Words: "song"}, []string{"song.ogg"}},
		"unknown sizes":        {lonja.Query{MinSize: 1}, nil},
	} {
		w.finds("ana", what, c.query, c.want...)
	}
}

// testSearchGroups: results are base names; one of the publications must match
// by itself, and a connected owner's is shown.
func testSearchGroups(w *world) {
	w.register("ana", "luis", "eva")
	w.connect("ana", 4000)
	w.connect("luis", 4001)
	w.connect("eva", 4002)
	w.offer("ana", "/ana/f.txt", "red and green")
	w.offer("luis", "/luis/f.txt", "blue and green")
	w.ok(w.dir.Disconnect(w.Context(), "ana"))
	w.finds("eva", "words of two publications", lonja.Query{Words: "red blue"})
	w.finds("eva", "owner and word of two publications", lonja.Query{Words: "red", Owner: "luis"})
	w.finds("eva", "one matches, another is online", lonja.Query{Words: "red", OnlineOnly: true})
	for words, want := range map[string]lonja.Found{
		"red":   {Owner: "ana", Listing: lonja.Listing{Name: "/ana/f.txt", Description: "red and green", Size: lonja.UnknownSize}, Online: 1, Holders: 2},
		"blue":  {Owner: "luis", Listing: lonja.Listing{Name: "/luis/f.txt", Description: "blue and green", Size: lonja.UnknownSize}, Online: 1, Holders: 2},
		"green": {Owner: "luis", Listing: lonja.Listing{Name: "/luis/f.txt", Description: "blue and green", Size: lonja.UnknownSize}, Online: 1, Holders: 2},
	} {
		equal(w, w.search("eva", lonja.Query{Words: words}).Found, []lonja.Found{want})
	}
	w.ok(w.dir.Disconnect(w.Context(), "luis"))
	w.connect("ana", 4003)
	if got := w.search("eva", lonja.Query{Words: "green"}).Found; len(got) != 1 || got[0].Owner != "ana" {
		w.Errorf("got %v, want ana's, who is connected now", got)
	}
}

// testSearchRanks: most connected holders first, then most holders, then by
// base name; and what happens to holders is seen at once.
func testSearchRanks(w *world) {
	w.register("ana", "luis", "eva", "zoe")
	for i, user := range []lonja.UserName{"ana", "luis", "eva", "zoe"} {
		w.connect(user, uint16(4000+i))
	}
	w.publish("ana", "/both", "/one-b", "/one-a", "/mixed")
	w.publish("luis", "/both")
	w.publish("eva", "/mixed", "/away")
	w.publish("zoe", "/away")
	w.ok(w.dir.Disconnect(w.Context(), "eva"))
	w.ok(w.dir.Disconnect(w.Context(), "zoe"))
	w.finds("ana", "at first", lonja.Query{}, "both", "mixed", "one-a", "one-b", "away")
	w.ok(w.dir.Delete(w.Context(), "luis", "/both"))
	w.finds("ana", "after a delete", lonja.Query{}, "mixed", "both", "one-a", "one-b", "away")
	w.connect("zoe", 4010)
	w.connect("eva", 4011)
	w.finds("ana", "after two connected", lonja.Query{}, "away", "mixed", "both", "one-a", "one-b")
	w.ok(w.dir.Unregister(w.Context(), "eva"))
	w.finds("ana", "after one unregistered", lonja.Query{}, "away", "both", "mixed", "one-a", "one-b")
	w.ok(w.dir.Delete(w.Context(), "ana", "/mixed"))
	w.finds("ana", "after the last holder's delete", lonja.Query{}, "away", "both", "one-a", "one-b")
	w.publish("ana", "/mixed")
	w.finds("ana", "after publishing again", lonja.Query{Words: "mix"}, "mixed")
}

// testSearchPages: page after page gives all, none twice, at any page size.
func testSearchPages(w *world) {
	w.register("ana", "luis")
	w.connect("ana", 4000)
	w.connect("luis", 4001)
	want := []string{"first-a", "first-b"} // two have these
	for i := range lonja.DefaultFound + 7 {
		want = append(want, fmt.Sprintf("f%03d", i))
	}
	for _, base := range want {
		w.publish("ana", lonja.FileName("/"+base))
	}
	w.publish("luis", "/first-b", "/first-a")
	for _, limit := range []int{0, 1, 7, len(want), lonja.MaxFound} {
		w.Logf("pages of %d", limit)
		most := limit
		if limit == 0 {
			most = lonja.DefaultFound
		}
		equal(w, w.allPages(lonja.Query{Words: "about", Limit: limit}, most, func() {}), want)
	}
}

// allPages follows the pages of ana's query and calls between after each.
func (w *world) allPages(query lonja.Query, most int, between func()) []string {
	w.Helper()
	var all []string
	for range 1000 {
		page := w.search("ana", query)
		if len(page.Found) > most {
			w.Fatalf("a page of %d, want at most %d", len(page.Found), most)
		}
		if len(page.Next) > lonja.MaxCursor {
			w.Fatalf("a cursor of %d bytes", len(page.Next))
		}
		all = append(all, bases(page)...)
		if page.Next == "" {
			return all
		}
		query.After = page.Next
		between()
	}
	w.Fatal("the pages do not end")
	return nil
}

// testSearchWhileThingsChange: what stays as it is comes exactly once, also
// when the result at which a page ended is gone.
func testSearchWhileThingsChange(w *world) {
	w.register("ana", "luis")
	w.connect("ana", 4000)
	w.connect("luis", 4001)
	w.publish("ana", "/b", "/d", "/f", "/h", "/j")
	w.publish("luis", "/b", "/d", "/f", "/h", "/j")
	steps := []func(){
		func() { // d was the last one shown
			w.ok(w.dir.Delete(w.Context(), "ana", "/d"))
			w.ok(w.dir.Delete(w.Context(), "luis", "/d"))
			w.publish("ana", "/a", "/g")
			w.publish("luis", "/a", "/g")
		},
		func() { w.ok(w.dir.Delete(w.Context(), "luis", "/b")) }, // sinks below all
	}
	got := w.allPages(lonja.Query{Limit: 2}, 2, func() {
		if len(steps) > 0 {
			steps[0]()
			steps = steps[1:]
		}
	})
	// a came above what was shown already; b was shown, and came again below.
	equal(w, got, []string{"b", "d", "f", "g", "h", "j", "b"})
}

func testSearchChecks(w *world) {
	ask := func(query lonja.Query, want lonja.Kind) {
		w.Helper()
		page, err := w.dir.Search(w.Context(), "ana", query)
		w.is(err, want)
		if len(page.Found) != 0 || page.Next != "" {
			w.Errorf("got %v with the error %v", page, err)
		}
	}
	ask(lonja.Query{}, lonja.NoSuchUser)
	w.register("ana")
	ask(lonja.Query{}, lonja.NotConnected)
	w.connect("ana", 4000)
	w.finds("ana", "nothing published", lonja.Query{})
	long := strings.Repeat("x", 256)
	for _, query := range []lonja.Query{
		{Limit: -1},
		{Limit: lonja.MaxFound + 1},
		{MinSize: -1},
		{MaxSize: -1},
		{MinSize: 2, MaxSize: 1},
		{Words: long},
		{Words: "a\x00b"},
		{Extension: long},
	} {
		ask(query, lonja.Invalid)
	}
	if _, err := w.dir.Search(w.Context(), "ana", lonja.Query{After: "never given out"}); err == nil {
		w.Error("got no error for a cursor that was never given out")
	}
}

// RunSizes runs what the suite has of sizes, on directories that are told
// them: the classic protocol does not carry the size of a publication.
func RunSizes(t *testing.T, open func(t *testing.T) lonja.Directory) {
	w := &world{T: t, dir: open(t)}
	w.register("ana")
	w.connect("ana", 4000)
	for name, size := range map[lonja.FileName]int64{"/empty": 0, "/ten": 10, "/large": 1 << 40, "/unknown": lonja.UnknownSize} {
		w.ok(w.dir.Publish(t.Context(), "ana", lonja.Listing{Name: name, Size: size}))
	}
	for what, c := range map[string]struct {
		query lonja.Query
		want  []string
	}{
		"no bound":        {lonja.Query{}, []string{"empty", "large", "ten", "unknown"}},
		"at least":        {lonja.Query{MinSize: 10}, []string{"large", "ten"}},
		"above":           {lonja.Query{MinSize: 11}, []string{"large"}},
		"at most":         {lonja.Query{MaxSize: 10}, []string{"empty", "ten"}},
		"below":           {lonja.Query{MaxSize: 9}, []string{"empty"}},
		"between":         {lonja.Query{MinSize: 1, MaxSize: 1<<40 - 1}, []string{"ten"}},
		"exactly":         {lonja.Query{MinSize: 1 << 40, MaxSize: 1 << 40}, []string{"large"}},
		"between nothing": {lonja.Query{MinSize: 11, MaxSize: 12}, nil},
	} {
		w.finds("ana", what, c.query, c.want...)
	}
	if got := w.search("ana", lonja.Query{Base: "large"}).Found; len(got) != 1 || got[0].Listing.Size != 1<<40 {
		t.Errorf("got %v, want the size that was published", got)
	}
}
