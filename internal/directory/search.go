package directory

import (
	"context"

	"lonja"
)

// Search implements lonja.Searcher.
func (d *Directory) Search(_ context.Context, user lonja.UserName, query lonja.Query) (lonja.FoundPage, error) {
	if err := query.Check(); err != nil {
		return lonja.FoundPage{}, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, err := d.connected(lonja.OpSearch, user); err != nil {
		return lonja.FoundPage{}, err
	}
	return d.index.SearchFor(d.index.Viewer(user), &query)
}
