package directory

import (
	"cmp"
	"context"

	"lonja"
)

// searchTurns is how many times the index looks for one page: each look is bounded,
// and others get a turn between them. What is found late in the order of results, of
// a great many, then still comes with one question.
const searchTurns = 4

// Search implements lonja.Searcher.
func (d *Directory) Search(ctx context.Context, user lonja.UserName, query lonja.Query) (lonja.FoundPage, error) {
	var page lonja.FoundPage
	if err := query.Check(); err != nil {
		return page, err
	}
	limit := cmp.Or(query.Limit, lonja.DefaultFound)
	for range searchTurns {
		if ctx.Err() != nil {
			return lonja.FoundPage{}, lonja.E(lonja.Canceled, lonja.OpSearch.String(), ctx.Err())
		}
		query.Limit = limit - len(page.Found)
		more, err := d.searchStep(user, &query)
		if err != nil {
			return lonja.FoundPage{}, err
		}
		page.Found, page.Next = append(page.Found, more.Found...), more.Next
		if page.Next == "" || len(page.Found) == limit {
			break
		}
		query.After = page.Next
	}
	return page, nil
}

// searchStep looks once, under the lock.
func (d *Directory) searchStep(user lonja.UserName, query *lonja.Query) (lonja.FoundPage, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, err := d.connected(lonja.OpSearch, user); err != nil {
		return lonja.FoundPage{}, err
	}
	return d.index.SearchFor(d.index.Viewer(user), query)
}
