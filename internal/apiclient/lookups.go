package apiclient

import (
	"context"
	"errors"
	"fmt"

	"lonja"
	"lonja/internal/api"
)

// each turns a list of messages into words.
func each[M, W any](list []*M, word func(*M) (W, error)) ([]W, error) {
	words := make([]W, len(list))
	for i, m := range list {
		var err error
		if words[i], err = word(m); err != nil {
			return nil, err
		}
	}
	return words, nil
}

// A part is one page of a list.
type part[W any] struct {
	list []W
	next lonja.Cursor
}

// page asks for one page.
func page[A, W any, PA answer[A]](ctx context.Context, c *Client, s subject, q question, read func(PA) ([]W, string, error)) ([]W, lonja.Cursor, error) {
	p, err := ask(ctx, c, s, q, func(a PA) (p part[W], err error) {
		var next string
		if p.list, next, err = read(a); err != nil {
			return p, err
		}
		p.next, err = api.CursorOf(next)
		return p, err
	})
	return p.list, p.next, err
}

// mostEmpty is how many pages with nothing on them are passed over for one that has
// something. A directory looks at tens of thousands of things for each.
const mostEmpty = 1000

// filled asks for a page, and for those after it as long as there is nothing on them:
// a directory ends a page early where it has looked at much that was not to be on it.
func filled[W any](after lonja.Cursor, page func(after lonja.Cursor) ([]W, lonja.Cursor, error)) ([]W, lonja.Cursor, error) {
	for range mostEmpty {
		list, next, err := page(after)
		if err != nil || next == "" || len(list) > 0 && next != after {
			return list, next, err
		}
		if next == after {
			break
		}
		after = next
	}
	return nil, "", lonja.E(lonja.Malformed, "list", errors.New("the directory's pages do not end"))
}

// most bounds a list that is asked for as a whole.
const most = 1 << 22

// all asks for page after page.
func all[W any](page func(after lonja.Cursor) ([]W, lonja.Cursor, error)) ([]W, error) {
	var list []W
	for after := lonja.Cursor(""); ; {
		part, next, err := page(after)
		if err != nil {
			return nil, err
		}
		if list = append(list, part...); next == "" {
			return list, nil
		}
		if len(list) > most {
			return nil, lonja.E(lonja.Malformed, "list", fmt.Errorf("the directory lists more than %d", most))
		}
		after = next
	}
}

// ListUsers implements lonja.Lookups.
func (c *Client) ListUsers(ctx context.Context, user lonja.UserName) (lonja.PeerList, error) {
	peers, err := all(func(after lonja.Cursor) ([]lonja.Peer, lonja.Cursor, error) {
		return c.UsersPage(ctx, user, after, lonja.MaxPage)
	})
	return lonja.PeerList{peers}, err
}

// ListContent implements lonja.Lookups.
func (c *Client) ListContent(ctx context.Context, user, owner lonja.UserName) ([]lonja.Listing, error) {
	return all(func(after lonja.Cursor) ([]lonja.Listing, lonja.Cursor, error) {
		return c.ContentPage(ctx, user, owner, after, lonja.MaxPage)
	})
}

// Holders implements lonja.Lookups.
func (c *Client) Holders(ctx context.Context, user lonja.UserName, name lonja.FileName) ([]lonja.Holder, error) {
	var list []lonja.Holder
	for after := lonja.Cursor(""); ; {
		part, next, err := c.HoldersPage(ctx, user, lonja.Wanted{Name: name}, after, lonja.MaxHolders-len(list))
		if err != nil {
			return nil, err
		}
		list, after = append(list, part...), next
		if next == "" || len(list) >= lonja.MaxHolders {
			break
		}
	}
	if len(list) == 0 {
		return nil, &lonja.Error{Kind: lonja.NoHolder, Op: lonja.OpHolders.String(), User: user, File: name}
	}
	return list[:min(len(list), lonja.MaxHolders)], nil
}

// Search implements lonja.Searcher.
func (c *Client) Search(ctx context.Context, user lonja.UserName, query lonja.Query) (lonja.FoundPage, error) {
	if err := query.Check(); err != nil {
		return lonja.FoundPage{}, err
	}
	found, next, err := filled(query.After, func(after lonja.Cursor) ([]lonja.Found, lonja.Cursor, error) {
		return page(ctx, c, about(lonja.OpSearch, api.Method_METHOD_SEARCH, user),
			&api.SearchRequest{User: api.Text(user), Query: api.FromQuery(&query), After: api.Text(after), Limit: int32(query.Limit)},
			func(a *api.SearchAnswer) ([]lonja.Found, string, error) {
				list, err := each(a.Found, api.FoundOf)
				return list, a.Next, err
			})
	})
	return lonja.FoundPage{Found: found, Next: next}, err
}

// UsersPage implements lonja.Pages.
func (c *Client) UsersPage(ctx context.Context, user lonja.UserName, after lonja.Cursor, limit int) ([]lonja.Peer, lonja.Cursor, error) {
	return filled(after, func(after lonja.Cursor) ([]lonja.Peer, lonja.Cursor, error) {
		return page(ctx, c, about(lonja.OpListUsers, api.Method_METHOD_USERS, user),
			&api.UsersRequest{User: api.Text(user), After: api.Text(after), Limit: int32(limit)},
			func(a *api.UsersAnswer) ([]lonja.Peer, string, error) {
				list, err := each(a.Peers, api.PeerOf)
				return list, a.Next, err
			})
	})
}

// ContentPage implements lonja.Pages.
func (c *Client) ContentPage(ctx context.Context, user, owner lonja.UserName, after lonja.Cursor, limit int) ([]lonja.Listing, lonja.Cursor, error) {
	return filled(after, func(after lonja.Cursor) ([]lonja.Listing, lonja.Cursor, error) {
		return page(ctx, c, about(lonja.OpListContent, api.Method_METHOD_CONTENT, user),
			&api.ContentRequest{User: api.Text(user), Owner: api.Text(owner), After: api.Text(after), Limit: int32(limit)},
			func(a *api.ContentAnswer) ([]lonja.Listing, string, error) {
				list, err := each(a.Listings, api.ListingOf)
				return list, a.Next, err
			})
	})
}

// HoldersPage implements lonja.Pages.
func (c *Client) HoldersPage(ctx context.Context, user lonja.UserName, wanted lonja.Wanted, after lonja.Cursor, limit int) ([]lonja.Holder, lonja.Cursor, error) {
	s := about(lonja.OpHolders, api.Method_METHOD_HOLDERS, user)
	s.file = wanted.Name
	return filled(after, func(after lonja.Cursor) ([]lonja.Holder, lonja.Cursor, error) {
		return page(ctx, c, s, &api.HoldersRequest{
			User: api.Text(user), File: api.FileBytes(wanted.File), Name: api.Text(wanted.Name), After: api.Text(after), Limit: int32(limit),
			Partial: wanted.Partial,
		}, func(a *api.HoldersAnswer) ([]lonja.Holder, string, error) {
			list, err := each(a.Holders, api.HolderOf)
			return list, a.Next, err
		})
	})
}
