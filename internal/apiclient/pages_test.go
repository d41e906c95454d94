package apiclient_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/apiserver/apitest"
	"lonja/internal/directory/directorytest"
)

// sparse is a directory that ends each page early, with nothing on it, so many
// times; at the end there is one of each thing. With stuck, a page leads to itself.
type sparse struct {
	lonja.MemberDirectory
	empty int
	stuck bool
	asked int
}

// next returns the cursor of the page after that, empty for the last.
func (s *sparse) next(after lonja.Cursor) lonja.Cursor {
	s.asked++
	at := 0
	_, _ = fmt.Sscan(string(after), &at)
	switch {
	case s.stuck && at > 0:
		return after
	case at == s.empty:
		return ""
	}
	return lonja.Cursor(fmt.Sprint(at + 1))
}

func (s *sparse) Search(_ context.Context, _ lonja.UserName, q lonja.Query) (page lonja.FoundPage, _ error) {
	if page.Next = s.next(q.After); page.Next == "" {
		page.Found = []lonja.Found{{Owner: "ana", Listing: lonja.Listing{Name: "f", Size: 1}, Holders: 1}}
	}
	return page, nil
}

func (s *sparse) UsersPage(_ context.Context, _ lonja.UserName, after lonja.Cursor, _ int) (page []lonja.Peer, next lonja.Cursor, _ error) {
	if next = s.next(after); next == "" {
		page = []lonja.Peer{{User: "ana", At: here[0]}}
	}
	return page, next, nil
}

func (s *sparse) ContentPage(_ context.Context, _, _ lonja.UserName, after lonja.Cursor, _ int) (page []lonja.Listing, next lonja.Cursor, _ error) {
	if next = s.next(after); next == "" {
		page = []lonja.Listing{{Name: "f", Size: 1}}
	}
	return page, next, nil
}

func (s *sparse) HoldersPage(_ context.Context, _ lonja.UserName, _ lonja.Wanted, after lonja.Cursor, _ int) (page []lonja.Holder, next lonja.Cursor, _ error) {
	if next = s.next(after); next == "" {
		page = []lonja.Holder{{User: "ana", At: here[0], Name: "f"}}
	}
	return page, next, nil
}

func (s *sparse) RevocationsPage(_ context.Context, _ int64, after lonja.Cursor, _ int) (page []lonja.Revocation, next lonja.Cursor, _ error) {
	return nil, s.next(after), nil
}

// reads are all that is read in pages, as the number of things on the first one that
// has some.
func reads(ctx context.Context, c *apiclient.Client) map[string]func() (int, lonja.Cursor, error) {
	return map[string]func() (int, lonja.Cursor, error){
		"search": func() (int, lonja.Cursor, error) {
			page, err := c.Search(ctx, "luis", lonja.Query{Words: "f"})
			return len(page.Found), page.Next, err
		},
		"users": func() (int, lonja.Cursor, error) {
			page, next, err := c.UsersPage(ctx, "luis", "", 0)
			return len(page), next, err
		},
		"content": func() (int, lonja.Cursor, error) {
			page, next, err := c.ContentPage(ctx, "luis", "ana", "", 0)
			return len(page), next, err
		},
		"all content": func() (int, lonja.Cursor, error) {
			list, err := c.ListContent(ctx, "luis", "ana")
			return len(list), "", err
		},
		"holders": func() (int, lonja.Cursor, error) {
			page, next, err := c.HoldersPage(ctx, "luis", lonja.Wanted{Name: "f"}, "", 0)
			return len(page), next, err
		},
		"holders of a name": func() (int, lonja.Cursor, error) {
			list, err := c.Holders(ctx, "luis", "f")
			return len(list), "", err
		},
		"revocations": func() (int, lonja.Cursor, error) {
			page, next, err := c.RevocationsPage(ctx, 0, "", 0)
			return len(page) + 1, next, err // there are none
		},
	}
}

// TestEmptyPages: a page that ends early with nothing on it is passed over, and one
// that leads to itself, or a thousand, are not followed for ever.
func TestEmptyPages(t *testing.T) {
	dir := &sparse{MemberDirectory: directorytest.New(t)}
	site := apitest.Start(t, apitest.Setup{Directory: dir})
	cert := apitest.Certificate(t)
	c := client(t, site, cert)
	if err := c.RegisterMember(t.Context(), lonja.Member{User: "luis", Key: apitest.KeyOf(cert)}, ""); err != nil {
		t.Fatal(err)
	}
	for what, read := range reads(t.Context(), c) {
		dir.empty, dir.stuck, dir.asked = 3, false, 0
		if n, next, err := read(); n != 1 || next != "" || err != nil || dir.asked != dir.empty+1 {
			t.Errorf("%s: got %d, next %q, %v after %d pages; want the one on page %d", what, n, next, err, dir.asked, dir.empty+1)
		}
		dir.stuck, dir.asked = true, 0
		if _, _, err := read(); !errors.Is(err, lonja.Malformed) || dir.asked != 2 {
			t.Errorf("%s, a page that leads to itself: got %v after %d pages", what, err, dir.asked)
		}
		dir.stuck, dir.empty, dir.asked = false, 1<<30, 0
		if _, _, err := read(); !errors.Is(err, lonja.Malformed) || dir.asked > 1000 {
			t.Errorf("%s, no end: got %v after %d pages", what, err, dir.asked)
		}
	}
}
