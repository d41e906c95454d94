package directory

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"lonja"
	"lonja/internal/index"
)

// pageSteps is how many things are looked at for a page before others get a
// turn.
const pageSteps = 2048

// pageTurns is how many times that is done for one page, however few things there
// were for whoever asks: what somebody hides must not keep others waiting. The
// page is short then, or empty, and says where the next one goes on.
const pageTurns = 16

// The kinds of cursors: none is good for another list.
const (
	usersCursor   = 'u'
	contentCursor = 'c'
	holdersCursor = 'h'
)

// appendCursor makes a cursor of a kind: that, then the numbers as uvarints, in
// base64.
func appendCursor(kind byte, numbers ...uint64) lonja.Cursor {
	b := []byte{kind}
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return lonja.Cursor(base64.RawURLEncoding.EncodeToString(b))
}

// parseCursor is the way back for so many numbers; they are all zero for an
// empty cursor.
func parseCursor(kind byte, c lonja.Cursor, numbers ...*uint64) error {
	if c == "" {
		return nil
	}
	bad := lonja.E(lonja.Invalid, "page", errors.New("the cursor is not one of such a page"))
	if len(c) > lonja.MaxCursor {
		return bad
	}
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(b) == 0 || b[0] != kind {
		return bad
	}
	b = b[1:]
	for _, n := range numbers {
		var size int
		if *n, size = binary.Uvarint(b); size <= 0 {
			return bad
		}
		b = b[size:]
	}
	if len(b) > 0 || *numbers[0] == 0 {
		return bad
	}
	return nil
}

func pageLimit(limit int) (int, error) {
	if limit < 0 || limit > lonja.MaxPage {
		return 0, lonja.E(lonja.Invalid, "page", fmt.Errorf("a page of %d, not 1 to %d", limit, lonja.MaxPage))
	}
	return cmp.Or(limit, lonja.DefaultPage), nil
}

// UsersPage implements lonja.Pages.
func (d *Directory) UsersPage(_ context.Context, user lonja.UserName, after lonja.Cursor, limit int) ([]lonja.Peer, lonja.Cursor, error) {
	limit, err := pageLimit(limit)
	if err != nil {
		return nil, "", err
	}
	var place index.Place
	var number uint64
	if err := parseCursor(usersCursor, after, &place.Incarnation, &number); err != nil {
		return nil, "", err
	}
	place.Number = uint32(number)
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, err := d.connected(lonja.OpListUsers, user); err != nil {
		return nil, "", err
	}
	var page []lonja.Peer
	for len(page) < limit {
		var more []lonja.Peer
		more, place = d.index.Peers(place, limit-len(page))
		page = append(page, more...)
		if place == (index.Place{}) {
			return page, "", nil
		}
	}
	return page, appendCursor(usersCursor, place.Incarnation, uint64(place.Number)), nil
}

func spotCursor(kind byte, s index.Spot) lonja.Cursor {
	return appendCursor(kind, s.Below, uint64(s.Number), s.Rev)
}

// pageCursor returns the cursor of a page that has come so far: it goes on after
// the last thing that is on it, or, if it ends early, where that was.
func pageCursor(kind byte, progress index.Progress, last, place index.Spot) lonja.Cursor {
	switch progress {
	case index.Ended:
		return ""
	case index.Looking:
		return spotCursor(kind, place)
	}
	return spotCursor(kind, last)
}

func parseSpot(kind byte, c lonja.Cursor) (s index.Spot, err error) {
	var number uint64
	err = parseCursor(kind, c, &s.Below, &number, &s.Rev)
	s.Number = uint32(number)
	return s, err
}

// ContentPage implements lonja.Pages.
func (d *Directory) ContentPage(ctx context.Context, user, owner lonja.UserName, after lonja.Cursor, limit int) ([]lonja.Listing, lonja.Cursor, error) {
	limit, err := pageLimit(limit)
	if err != nil {
		return nil, "", err
	}
	at, err := parseSpot(contentCursor, after)
	if err != nil {
		return nil, "", err
	}
	page, progress := index.NewListingPage(at), index.Looking
	for turn := 0; progress == index.Looking && turn < pageTurns; turn++ {
		if ctx.Err() != nil {
			return nil, "", lonja.E(lonja.Canceled, "page", ctx.Err())
		}
		if progress, err = d.contentSteps(page, user, owner, limit); err != nil {
			return nil, "", err
		}
	}
	return page.Listings, pageCursor(contentCursor, progress, page.Last, page.Place()), nil
}

// contentSteps does a part of a page under the lock.
func (d *Directory) contentSteps(page *index.ListingPage, user, owner lonja.UserName, limit int) (index.Progress, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, err := d.connected(lonja.OpListContent, user); err != nil {
		return index.Ended, err
	}
	if _, exists := d.index.Account(owner); !exists {
		return index.Ended, failure(lonja.NoSuchOwner, lonja.OpListContent, owner)
	}
	return d.index.ContentPage(page, d.index.Viewer(user), owner, limit, pageSteps), nil
}

// HoldersPage implements lonja.Pages.
func (d *Directory) HoldersPage(ctx context.Context, user lonja.UserName, wanted lonja.Wanted, after lonja.Cursor, limit int) ([]lonja.Holder, lonja.Cursor, error) {
	limit, err := pageLimit(limit)
	if err != nil {
		return nil, "", err
	}
	at, err := parseSpot(holdersCursor, after)
	if err != nil {
		return nil, "", err
	}
	page, progress := index.NewHolderPage(at), index.Looking
	for turn := 0; progress == index.Looking && turn < pageTurns; turn++ {
		if ctx.Err() != nil {
			return nil, "", lonja.E(lonja.Canceled, "page", ctx.Err())
		}
		if progress, err = d.holderSteps(page, user, wanted, limit); err != nil {
			return nil, "", err
		}
	}
	return page.Holders, pageCursor(holdersCursor, progress, page.Last, page.Place()), nil
}

// holderSteps does a part of a page under the lock; all of it for a name.
func (d *Directory) holderSteps(page *index.HolderPage, user lonja.UserName, wanted lonja.Wanted, limit int) (index.Progress, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, err := d.connected(lonja.OpHolders, user); err != nil {
		return index.Ended, err
	}
	v := d.index.Viewer(user)
	if wanted.File.IsZero() {
		return d.index.NamePage(page, v, wanted.Name, limit), nil
	}
	return d.index.FilePage(page, v, wanted.File, limit, pageSteps), nil
}
