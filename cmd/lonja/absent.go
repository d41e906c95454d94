package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"lonja"
)

// mostMeant bounds the names that are proposed for one that nothing has.
const mostMeant = 3

// whyAbsent adds to the error for what nobody connected has what else can be told of
// it, and what to do. The words of the error stay.
func (a *asker) whyAbsent(ctx context.Context, w lonja.Wanted, from lonja.UserName, err error) error {
	shown := lonja.Printable(string(from))
	switch {
	case errors.Is(err, lonja.NoSuchOwner) && from != "":
		return fmt.Errorf("%w: %s is not connected, or not registered: \"lonja ls %s\" lists what is published, \"lonja who\" who is connected", err, shown, shown)
	case errors.Is(err, lonja.NoSuchFile) && from != "" && w.File.IsZero():
		return fmt.Errorf("%w: %s publishes nothing by that name: see \"lonja ls %s\"", err, shown, shown)
	case !errors.Is(err, lonja.NoHolder):
		return err
	case !w.File.IsZero():
		return fmt.Errorf("%w: who publishes it is not connected, or nobody does: try again later", err)
	}
	base := lonja.FileName(path.Base(string(w.Name)))
	page, failed := a.client.Search(ctx, a.user, lonja.Query{Base: base, Limit: 1})
	if failed != nil {
		return err
	}
	if len(page.Found) > 0 && page.Found[0].Listing.Name.Base() == string(base) {
		found := page.Found[0]
		if found.Online > 0 { // under another path than was asked for, or just come
			return fmt.Errorf("%w under that path: %s has %s", err, lonja.Printable(string(found.Owner)), lonja.Printable(string(found.Listing.Name)))
		}
		return fmt.Errorf("%w: %s publishes it and is not connected: try again when \"lonja who\" lists %s",
			err, lonja.Printable(string(found.Owner)), lonja.Printable(string(found.Owner)))
	}
	if meant := a.meant(ctx, base); len(meant) > 0 {
		return fmt.Errorf("%w: did you mean %s?", err, strings.Join(meant, " or "))
	}
	return fmt.Errorf("%w: nobody publishes anything by that name: \"lonja find WORDS\" looks for part of a name", err)
}

// meant returns names that begin like one that nothing has.
func (a *asker) meant(ctx context.Context, base lonja.FileName) (names []string) {
	words := strings.TrimSuffix(string(base), path.Ext(string(base)))
	page, err := a.client.Search(ctx, a.user, lonja.Query{Words: words, Limit: mostMeant})
	if err != nil {
		return nil
	}
	for _, f := range page.Found {
		names = append(names, lonja.Printable(f.Listing.Name.Base()))
	}
	return names
}
