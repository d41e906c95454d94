package dirserver_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/dirclient"
)

// A catalogue answers every search the same, and remembers the last one.
type catalogue struct {
	lonja.Directory
	page  lonja.FoundPage
	err   error
	user  lonja.UserName
	query lonja.Query
}

func (c *catalogue) Search(_ context.Context, user lonja.UserName, query lonja.Query) (lonja.FoundPage, error) {
	c.user, c.query = user, query
	return c.page, c.err
}

// TestSearchGoesThroughWhole: the longest query and the largest page.
func TestSearchGoesThroughWhole(t *testing.T) {
	long := strings.Repeat("x", 255)
	dir := &catalogue{page: lonja.FoundPage{Next: lonja.Cursor(strings.Repeat("n", lonja.MaxCursor))}}
	for i := range lonja.MaxFound {
		dir.page.Found = append(dir.page.Found, lonja.Found{
			Owner: lonja.UserName(long), Online: i, Holders: 2 * i,
			Listing: lonja.Listing{Name: lonja.FileName(long), Description: lonja.Description(long), Size: int64(i) - 1},
		})
	}
	opts := defaults(t)
	opts.Directory = dir
	client := dirclient.New(dirclient.Options{Address: start(t, opts).addr})
	for _, query := range []lonja.Query{{}, {
		Words: long, Base: lonja.FileName(long), Extension: long, MinSize: 1, MaxSize: 1 << 62, Owner: lonja.UserName(long),
		OnlineOnly: true, Limit: lonja.MaxFound, After: lonja.Cursor(strings.Repeat("a", lonja.MaxCursor)),
	}} {
		page, err := client.Search(t.Context(), lonja.UserName(long), query)
		if err != nil || !reflect.DeepEqual(page, dir.page) {
			t.Errorf("got %d results and %v, want those that the directory found", len(page.Found), err)
		}
		if dir.query != query || dir.user != lonja.UserName(long) {
			t.Errorf("the directory was asked by %q for %+v, want %+v", dir.user, dir.query, query)
		}
	}
}

func TestSearchStatuses(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
		kind lonja.Kind // at the other end
	}{
		{lonja.NoSuchUser, "\x03", lonja.NoSuchUser},
		{lonja.NotConnected, "\x04", lonja.NotConnected},
		{lonja.Invalid, "\x05", lonja.Refused},
		{lonja.Refused, "\x05", lonja.Refused},
		{errors.New("it is broken"), "\x05", lonja.Refused},
	} {
		opts := defaults(t)
		opts.Directory = &catalogue{err: c.err}
		addr := start(t, opts).addr
		if got := ask(t, addr, "SEARCH\x00t\x00ana\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"); got != c.want {
			t.Errorf("%v: got %q, want %q", c.err, got, c.want)
		}
		_, err := dirclient.New(dirclient.Options{Address: addr}).Search(t.Context(), "ana", lonja.Query{})
		if !errors.Is(err, c.kind) {
			t.Errorf("%v: the client got %v, want kind %v", c.err, err, c.kind)
		}
	}
}
