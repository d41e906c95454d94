package index

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lonja"
)

// compareMatcher asks a Matcher what a search finds.
func (s *machine) compareMatcher(t *rapid.T, q *lonja.Query) {
	m := NewMatcher(q)
	for _, a := range s.m.accounts {
		for _, f := range a.files {
			p := lonja.Publication{Owner: a.name, Listing: f.Listing}
			if got, want := m.Matches(&p, a.online), modelMatches(f, q); got != want {
				t.Fatalf("%+v matches %+v: got %v, want %v", q, p, got, want)
			}
		}
	}
}

// TestViewsOfMany: whoever asks, whichever of the ways of looking a search takes,
// and where it stops because it has tried enough, the pages together are what
// looking at everything gives, each base once.
func TestViewsOfMany(t *testing.T) {
	const publications = maxTried + 5000
	x := New()
	users := []lonja.UserName{"ana", "eva", "luis"}
	for i, user := range append(users, "old") {
		x.SetAccount(user, uint64(i+1), uint64(i+1))
		if user != "old" {
			x.SetKeys(user, uint64(i+1), 0, []byte("keys"), nil)
		}
	}
	m := &model{}
	rev := uint64(10)
	publish := func(user lonja.UserName, p lonja.Listing) {
		rev++
		x.SetPublication(user, uint64(slices.Index(users, user)+1), rev, p)
	}
	for n := range publications {
		publish("ana", lonja.Listing{Name: lonja.FileName(fmt.Sprintf("%06d", n)), Description: lonja.Description("rare"[:n%2*4]), Size: int64(n)})
	}
	for n := 0; n < publications; n += 500 {
		base := fmt.Sprintf("%06d", n)
		publish("eva", lonja.Listing{Name: lonja.FileName("a b/" + base), Size: int64(n)})
		publish("luis", lonja.Listing{
			Name: lonja.FileName("c/" + base), Size: publications,
			Proof: &lonja.Proof{File: lonja.FileID{1}, Audience: []lonja.UserName{"eva"}},
		})
		publish("luis", lonja.Listing{
			Name: lonja.FileName("closed " + base), Description: "rare", Size: publications,
			Proof: &lonja.Proof{File: lonja.FileID{2}, Audience: []lonja.UserName{"eva"}},
		})
	}
	x.Complete()
	x.Connect("eva", somewhere)
	for x.Settle(1000) {
	}
	m = modelOf(x)
	for _, a := range m.accounts {
		a.bound = a.name != "old"
	}
	for _, asker := range []lonja.UserName{"ana", "eva", "old"} {
		for _, q := range []lonja.Query{
			{MinSize: publications - 1}, // hardly anything: the search stops on its way
			{Words: "rare", MinSize: publications - 10},
			{Words: "rare", MaxSize: 600},
			{Words: "closed", Limit: 7},
			{Words: "000", OnlineOnly: true},
			{Owner: "luis", Limit: 9},
			{Owner: "ana", MaxSize: 3000},
		} {
			compareViews(t, x, m, asker, q)
		}
	}
}

func compareViews(t *testing.T, x *Index, m *model, asker lonja.UserName, q lonja.Query) {
	t.Helper()
	want := m.searchFor(m.account(asker), &q)
	var got []lonja.Found
	pages := q
	for {
		page, err := x.SearchFor(x.Viewer(asker), &pages)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page.Found...)
		if pages.After = page.Next; pages.After == "" {
			break
		}
	}
	if !slices.EqualFunc(got, want, func(g, w lonja.Found) bool {
		return g.Listing.Name.Base() == w.Listing.Name.Base() && g.Online == w.Online && g.Holders == w.Holders
	}) {
		t.Errorf("%s asks %+v: got %d results, want %d", asker, q, len(got), len(want))
		for i := range min(len(got), len(want), 5) {
			t.Logf("got %+v, want %+v", got[i], want[i])
		}
	}
}

// BenchmarkSearchClosed: the same searches by somebody who may see no closed
// listing, or so many.
func BenchmarkSearchClosed(b *testing.B) {
	for _, closed := range []int{0, 1000, 10_000} {
		b.Run(fmt.Sprint(closed), func(b *testing.B) {
			c := newCorpus(7, 0)
			x := c.load(100_000)
			x.SetAccount("eva", 1<<40, 1<<40)
			x.SetKeys("eva", 1<<40, 0, []byte("keys"), nil)
			x.SetAccount("luis", 1<<41, 1<<41)
			for n := range closed {
				p := c.publication("luis", n)
				p.Proof = &lonja.Proof{File: lonja.FileID{byte(n), byte(n >> 8)}, Audience: []lonja.UserName{"eva"}}
				x.SetPublication("luis", 1<<41, uint64(n+1), p)
			}
			v := x.Viewer("eva")
			for b.Loop() {
				q := c.query(x)
				if _, err := x.SearchFor(v, &q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
