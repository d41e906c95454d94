package index

import (
	"fmt"
	"strings"
	"testing"

	"lonja"
)

// count returns how many results a query has, on all pages.
func count(t *testing.T, x *Index, q lonja.Query) int {
	t.Helper()
	for n := 0; ; {
		page, err := x.Search(&q)
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Found)
		if q.After = page.Next; q.After == "" {
			return n
		}
	}
}

// TestWordsThatBeginAlike: names that cameras give, half of them loaded and
// half published later, of one owner who has very many.
func TestWordsThatBeginAlike(t *testing.T) {
	const photos = 6000
	photo := func(n int) lonja.Listing {
		return lonja.Listing{Name: lonja.FileName(fmt.Sprintf("/photo%04d.jpg", n))}
	}
	x := New()
	x.SetAccount("ana", 1, 1)
	for n := range photos {
		if n == photos/2 {
			x.Complete()
		}
		x.SetPublication("ana", 1, uint64(n), photo(n))
	}
	holds := func(from int) {
		t.Helper()
		for words, want := range map[string]func(n int) bool{
			"photo":     func(int) bool { return true },
			"photo1":    func(n int) bool { return n/1000 == 1 },
			"photo59":   func(n int) bool { return n/100 == 59 },
			"photo5999": func(n int) bool { return n == 5999 },
			"jpg photo": func(int) bool { return true },
			"photos":    func(int) bool { return false },
			"photo jpg": func(int) bool { return false },
		} {
			most := 0
			for n := from; n < photos; n++ {
				if want(n) {
					most++
				}
			}
			for _, owner := range []lonja.UserName{"", "ana"} {
				if got := count(t, x, lonja.Query{Words: words, Owner: owner, Limit: lonja.MaxFound}); got != most {
					t.Errorf("%q of %q: got %d results, want %d", words, owner, got, most)
				}
			}
		}
	}
	holds(0)
	for n := range photos - 100 {
		x.RemovePublication("ana", 1, photo(n).Name)
	}
	holds(photos - 100)
	x.RemoveAccount("ana")
	for x.Settle(1000) {
	}
	if len(x.words.begins) > 0 || x.words.sorted.count > 0 || len(x.large) > 0 {
		t.Errorf("%d beginnings, %d words and %d large accounts are left", len(x.words.begins), x.words.sorted.count, len(x.large))
	}
}

// FuzzPublication: whatever is published is found by its own words, and leaves
// nothing behind.
func FuzzPublication(f *testing.F) {
	f.Add("/a/"+strings.Repeat("한", 29)+".mp3", strings.Repeat("㌀", 85), true)
	f.Add("/x."+strings.Repeat("\xff", 200), "", false)
	f.Add("///", ".", false)
	f.Fuzz(func(t *testing.T, name, description string, loading bool) {
		p := lonja.Listing{Name: lonja.FileName(name), Description: lonja.Description(description)}
		if len(name) > lonja.MaxFileName || len(description) > lonja.MaxDescription {
			return
		}
		x := New()
		if !loading {
			x.Complete()
		}
		x.SetAccount("ana", 1, 1)
		x.SetPublication("ana", 1, 2, p)
		if loading {
			x.Complete()
		}
		for w := range words(name + " " + description) {
			if len(w) < 100 && count(t, x, lonja.Query{Words: w}) != 1 {
				t.Errorf("not found by %q", w)
			}
		}
		x.RemovePublication("ana", 1, p.Name)
		x.RemoveAccount("ana")
		for x.Settle(10) {
		}
		if x.texts.count > 0 || x.words.texts.count > 0 || x.docs.len() > 0 || len(x.words.begins) > 0 {
			t.Error("something is left")
		}
	})
}
