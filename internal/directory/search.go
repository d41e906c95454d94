package directory

import (
	"context"

	"lonja"
)

// Search implements lonja.Searcher.
func (d *Directory) Search(ctx context.Context, user lonja.UserName, query lonja.Query) (lonja.FoundPage, error) {
	return lonja.FoundPage{}, lonja.E(lonja.Refused, lonja.OpSearch.String(), nil)
}
