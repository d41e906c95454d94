package index

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"lonja"
)

// TestManyDocuments: long lists of documents, many words that begin alike, and
// both ways of looking give what looking at everything gives.
func TestManyDocuments(t *testing.T) {
	for _, shared := range []int{0, 50} {
		c := newCorpus(7, shared)
		x := c.load(3000)
		m := modelOf(x)
		for n := range 100 {
			q := c.query(x)
			q.Limit = 1 + n%lonja.DefaultFound
			switch n % 4 {
			case 0:
				q.OnlineOnly = true
			case 1:
				q.Words = "home " + q.Words[len(q.Words)-1:]
			case 2:
				q.Words, q.Extension = q.Words[:2], "mp3"
			}
			want := m.search(&q)
			var got []lonja.Found
			for {
				page, err := x.Search(&q)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, page.Found...)
				if q.After = page.Next; q.After == "" {
					break
				}
			}
			if !slices.EqualFunc(got, want, func(g, w lonja.Found) bool {
				return g.Listing.Name.Base() == w.Listing.Name.Base() && g.Online == w.Online && g.Holders == w.Holders
			}) {
				t.Fatalf("%+v: got %d results, want %d", q, len(got), len(want))
			}
		}
	}
}

// modelOf returns a model of what is in x.
func modelOf(x *Index) *model {
	m := &model{}
	accounts, _ := x.Accounts(0, 1<<20)
	for _, a := range accounts {
		account := &modelAccount{name: a.User, incarnation: a.Incarnation, rev: a.Rev, online: a.Connected}
		for _, l := range slices.Backward(x.Listings(a.User)) {
			_, rev, _ := x.Publication(a.User, l.Name)
			account.files = append(account.files, &modelFile{owner: account, Listing: l, rev: rev})
		}
		m.accounts = append(m.accounts, account)
	}
	return m
}

// TestSearchIsBounded: what hardly anything matches is looked for in steps.
func TestSearchIsBounded(t *testing.T) {
	const publications = 2*maxTried + 1000
	x := New()
	x.SetAccount("ana", 1, 1)
	for n := range publications {
		x.SetPublication("ana", 1, uint64(n), lonja.Listing{Name: lonja.FileName(fmt.Sprintf("/%06d", n)), Size: int64(n)})
	}
	x.Complete()
	q := lonja.Query{MinSize: publications - 1}
	for page := 1; ; page++ {
		got, err := x.Search(&q)
		if err != nil {
			t.Fatal(err)
		}
		if q.After = got.Next; q.After != "" {
			if page > 2 || len(got.Found) > 0 {
				t.Fatalf("page %d: got %v and more", page, got.Found)
			}
			continue
		}
		if page != 3 || len(got.Found) != 1 {
			t.Errorf("page %d is the last, with %v; want the third to have one", page, got.Found)
		}
		return
	}
}

func TestWordsAreFolded(t *testing.T) {
	x := New()
	x.SetAccount("ana", 1, 1)
	x.SetPublication("ana", 1, 2, lonja.Listing{Name: "/Canción_de_CUNA.Mp3", Description: "Ärger straße 日本語 ﬁn x² Σίσυφος"})
	x.Complete()
	for words, want := range map[string]int{
		"cancion": 1, "CANCIÓN": 1, "Cancio\u0301n": 1, "arger": 1, "STRASSE": 1, "straße": 1, "日本": 1, "fin": 1, "ΣΊΣΥΦΟΣ": 1, "x2": 1, "cuna": 1, "c": 1, "una": 0, "mp3 cuna": 1,
	} {
		page, err := x.Search(&lonja.Query{Words: words})
		if err != nil || len(page.Found) != want {
			t.Errorf("%q: got %d results, %v; want %d", words, len(page.Found), err, want)
		}
	}
}

// TestNothingToLookFor: who asks for signs only is not shown everything.
func TestNothingToLookFor(t *testing.T) {
	x := New()
	x.SetAccount("ana", 1, 1)
	x.SetPublication("ana", 1, 2, lonja.Listing{Name: "/f"})
	x.Complete()
	for words, want := range map[string]int{"": 1, " ": 1, "???": 0, "🙂": 0, "--": 0} {
		if got := count(t, x, lonja.Query{Words: words}); got != want {
			t.Errorf("%q: got %d results, want %d", words, got, want)
		}
	}
}

// TestAccountsOfOneIncarnation: they come from imports, and are two all the same.
func TestAccountsOfOneIncarnation(t *testing.T) {
	x := New()
	x.Complete()
	x.SetAccount("ana", 7, 1)
	x.SetAccount("luis", 7, 2)
	x.Connect("ana", somewhere)
	x.Connect("luis", somewhere)
	if all := allPeers(x, 1); len(all) != 2 {
		t.Errorf("got %v, want both", all)
	}
	x.Disconnect("ana")
	if left, _ := x.Peers(Place{}, 9); len(left) != 1 || left[0].User != "luis" {
		t.Errorf("got %v, want luis", left)
	}
}

func TestBadCursors(t *testing.T) {
	x := New()
	x.Complete()
	for _, c := range []lonja.Cursor{"%", "AA", "_____________w", "AP______________8"} {
		if _, err := x.Search(&lonja.Query{After: c}); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%q: got error %v, want %v", c, err, lonja.Invalid)
		}
	}
}

// FuzzCursor: a cursor is refused or means what it says.
func FuzzCursor(f *testing.F) {
	f.Add(string(appendCursor(standing{3, 7, lead([]byte("name")), []byte("name")})))
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseCursor(lonja.Cursor(text))
		if err != nil || s == nil {
			return
		}
		again, err := parseCursor(appendCursor(s.standing))
		if err != nil || again.compare(&s.standing) != 0 {
			t.Errorf("%q is %v, and written anew %v, %v", text, s, again, err)
		}
	})
}
