package apiserver

import (
	"context"
	"fmt"

	"lonja"
	"lonja/internal/api"
	"lonja/internal/frames"
)

func invalid(format string, a ...any) error {
	return lonja.E(lonja.Invalid, "parse", fmt.Errorf(format, a...))
}

// shown is the name of an operation for the journal, on the first page only.
func shown(op lonja.Operation, after string) string {
	if after != "" {
		return ""
	}
	return op.String()
}

// pageArguments checks where a page begins and how long it may be.
func pageArguments(after string, limit int32) (lonja.Cursor, int, error) {
	if limit < 0 || limit > lonja.MaxPage {
		return "", 0, invalid("a page of %d, not 1 to %d", limit, lonja.MaxPage)
	}
	cursor, err := api.CursorOf(after)
	return cursor, int(limit), err
}

// A sized message knows how many bytes it has on the wire.
type sized interface{ SizeVT() int }

// fitting makes a page that fits in a frame: half as long as long as it does not.
// One result always fits, because it once came in a frame.
func fitting[A sized](limit, standard int, page func(limit int) (A, error)) (A, error) {
	if limit == 0 {
		limit = standard
	}
	for {
		answer, err := page(limit)
		if err != nil || answer.SizeVT() <= frames.MaxAnswer || limit == 1 {
			return answer, err
		}
		limit /= 2
	}
}

// Users implements the method of lonja.v1.
func (s *Server) Users(ctx context.Context, m *api.UsersRequest) (*api.UsersAnswer, error) {
	r := request{method: "Users", user: m.User, reads: true, operation: shown(lonja.OpListUsers, m.After)}
	return perform(ctx, s, r, func(_ *caller, member lonja.Member) (*api.UsersAnswer, error) {
		after, limit, err := pageArguments(m.After, m.Limit)
		if err != nil {
			return nil, err
		}
		return fitting(limit, lonja.DefaultPage, func(limit int) (*api.UsersAnswer, error) {
			peers, next, err := s.opts.Directory.UsersPage(ctx, member.User, after, limit)
			return &api.UsersAnswer{Next: api.Text(next), Peers: api.FromPeers(peers)}, err
		})
	})
}

// Content implements the method of lonja.v1.
func (s *Server) Content(ctx context.Context, m *api.ContentRequest) (*api.ContentAnswer, error) {
	r := request{method: "Content", user: m.User, reads: true, operation: shown(lonja.OpListContent, m.After), file: api.Bytes(m.Owner)}
	return perform(ctx, s, r, func(_ *caller, member lonja.Member) (*api.ContentAnswer, error) {
		after, limit, err := pageArguments(m.After, m.Limit)
		if err != nil {
			return nil, err
		}
		owner, err := api.UserOf(m.Owner)
		if err != nil {
			return nil, err
		}
		return fitting(limit, lonja.DefaultPage, func(limit int) (*api.ContentAnswer, error) {
			listings, next, err := s.opts.Directory.ContentPage(ctx, member.User, owner, after, limit)
			return &api.ContentAnswer{Next: api.Text(next), Listings: api.FromListings(listings)}, err
		})
	})
}

// Holders implements the method of lonja.v1.
func (s *Server) Holders(ctx context.Context, m *api.HoldersRequest) (*api.HoldersAnswer, error) {
	r := request{method: "Holders", user: m.User, reads: true, operation: shown(lonja.OpHolders, m.After), file: wantedName(m)}
	return perform(ctx, s, r, func(_ *caller, member lonja.Member) (*api.HoldersAnswer, error) {
		after, limit, err := pageArguments(m.After, m.Limit)
		if err != nil {
			return nil, err
		}
		wanted, err := wantedOf(m)
		if err != nil {
			return nil, err
		}
		return fitting(limit, lonja.DefaultPage, func(limit int) (*api.HoldersAnswer, error) {
			holders, next, err := s.opts.Directory.HoldersPage(ctx, member.User, wanted, after, limit)
			return &api.HoldersAnswer{Next: api.Text(next), Holders: api.FromHolders(holders)}, err
		})
	})
}

// wantedName is what the operation log shows of what is wanted.
func wantedName(m *api.HoldersRequest) string {
	if id, err := api.FileOf(m.File); err == nil && !id.IsZero() {
		return id.String()
	}
	return api.Bytes(m.Name)
}

func wantedOf(m *api.HoldersRequest) (wanted lonja.Wanted, err error) {
	wanted.Partial = m.Partial
	if wanted.File, err = api.FileOf(m.File); err != nil || !wanted.File.IsZero() {
		return wanted, err
	}
	wanted.Name, err = api.NameOf(m.Name)
	return wanted, err
}

// Search implements the method of lonja.v1.
func (s *Server) Search(ctx context.Context, m *api.SearchRequest) (*api.SearchAnswer, error) {
	r := request{method: "Search", user: m.User, reads: true, operation: lonja.OpSearch.String(), file: api.Bytes(m.Query.GetWords())} // people ask for each page
	return perform(ctx, s, r, func(_ *caller, member lonja.Member) (*api.SearchAnswer, error) {
		query, err := api.QueryOf(m.Query)
		if err != nil {
			return nil, err
		}
		after, limit, err := pageArguments(m.After, m.Limit)
		if err != nil {
			return nil, err
		}
		query.After = after
		return fitting(limit, lonja.DefaultFound, func(limit int) (*api.SearchAnswer, error) {
			query.Limit = limit
			page, err := s.opts.Directory.Search(ctx, member.User, query)
			answer := &api.SearchAnswer{Next: api.Text(page.Next), Found: make([]*api.Found, len(page.Found))}
			for i := range page.Found {
				answer.Found[i] = api.FromFound(&page.Found[i])
			}
			return answer, err
		})
	})
}

// Revocations implements the method of lonja.v1.
func (s *Server) Revocations(ctx context.Context, m *api.RevocationsRequest) (*api.RevocationsAnswer, error) {
	return perform(ctx, s, request{method: "Revocations", open: true}, func(*caller, lonja.Member) (*api.RevocationsAnswer, error) {
		after, limit, err := pageArguments(m.After, m.Limit)
		if err != nil {
			return nil, err
		}
		list, next, err := s.opts.Directory.RevocationsPage(ctx, m.Since, after, limit)
		if err != nil {
			return nil, err
		}
		answer := &api.RevocationsAnswer{Next: api.Text(next)}
		for i := range list {
			answer.Revocations = append(answer.Revocations, api.FromRevocation(&list[i]))
		}
		return answer, nil
	})
}
