package directory

import (
	"fmt"
	"testing"

	"lonja"
	"lonja/internal/memstore"
)

// TestPagesAreShort: what an owner hides from who asks costs one call a bounded
// part of the looking; the pages together have all the same.
func TestPagesAreShort(t *testing.T) {
	const hidden = 3 * pageSteps * pageTurns
	d := open(t, memstore.New())
	ctx := t.Context()
	ana, eva, luis := newSigner("ana", "ana"), newSigner("eva", "eva"), newSigner("luis", "luis")
	join(t, d, ana, eva, luis)
	open := ana.listing(t, "open")
	must(t, d.Publish(ctx, "ana", open), d.ConnectMember(ctx, ana.Member, []lonja.Endpoint{somewhere}))
	d.mu.Lock()
	a, _ := d.index.Account("ana")
	for i := range uint64(hidden) {
		d.index.SetPublication("ana", a.Incarnation, 1<<40+i, lonja.Listing{
			Name:  lonja.FileName(fmt.Sprint("hidden ", i)),
			Proof: &lonja.Proof{File: open.Proof.File, Audience: []lonja.UserName{"eva"}, Key: ana.Key},
		})
	}
	d.mu.Unlock()
	pages := func(what string, page func(lonja.Cursor) (int, lonja.Cursor, error)) {
		t.Helper()
		calls, found := 0, 0
		for after := lonja.Cursor(""); calls == 0 || after != ""; calls++ {
			n, next, err := page(after)
			must(t, err)
			found += n
			after = next
		}
		if calls != hidden/(pageSteps*pageTurns)+1 || found != 1 {
			t.Errorf("%s: %d found in %d calls, want one in %d", what, found, calls, hidden/(pageSteps*pageTurns)+1)
		}
	}
	pages("content", func(after lonja.Cursor) (int, lonja.Cursor, error) {
		page, next, err := d.ContentPage(ctx, "luis", "ana", after, 0)
		return len(page), next, err
	})
	pages("holders", func(after lonja.Cursor) (int, lonja.Cursor, error) {
		page, next, err := d.HoldersPage(ctx, "luis", lonja.Wanted{File: open.Proof.File}, after, 0)
		return len(page), next, err
	})
}

// TestSearchFillsPages: what stands far behind in the order of results, among more
// than the index looks at in one go, is on the first page all the same.
func TestSearchFillsPages(t *testing.T) {
	const publications = 100_000
	d := open(t, memstore.New())
	ana := newSigner("ana", "ana")
	join(t, d, ana)
	must(t, d.ConnectMember(t.Context(), ana.Member, []lonja.Endpoint{somewhere}))
	d.mu.Lock()
	a, _ := d.index.Account("ana")
	for i := range uint64(publications) {
		d.index.SetPublication("ana", a.Incarnation, 1<<40+i, lonja.Listing{Name: lonja.FileName(fmt.Sprintf("many/f%d.txt", i)), Size: 1})
	}
	d.mu.Unlock()
	for _, words := range []string{"f1", "f5", "f9", "f55", "f99999"} {
		want := lonja.DefaultFound
		if words == "f99999" {
			want = 1
		}
		page, err := d.Search(t.Context(), "ana", lonja.Query{Words: words})
		if err != nil || len(page.Found) != want || (page.Next == "") != (want == 1) {
			t.Errorf("%s: got %d results, more: %t, %v; want %d", words, len(page.Found), page.Next != "", err, want)
		}
	}
}
