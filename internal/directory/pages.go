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
	usersCursor    = 'u'
	contentCursor  = 'c'
	holdersCursor  = 'h'
	fetchersCursor = 'f' // of holders: it goes on with those who are fetching the content
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
	look, err := newHoldersLook(wanted, after)
	if err != nil {
		return nil, "", err
	}
	for turn := 0; look.progress == index.Looking && turn < pageTurns; turn++ {
		if ctx.Err() != nil {
			return nil, "", lonja.E(lonja.Canceled, "page", ctx.Err())
		}
		if err := d.holderSteps(look, user, wanted, limit); err != nil {
			return nil, "", err
		}
	}
	return look.Holders, look.cursor(), nil
}

// A holdersLook is a page of holders that is being made: of those who have all of it,
// then of those who are fetching it.
type holdersLook struct {
	*index.HolderPage
	partly   bool // the second part has begun
	fetcher  uint32
	progress index.Progress
}

func newHoldersLook(wanted lonja.Wanted, after lonja.Cursor) (*holdersLook, error) {
	look := &holdersLook{HolderPage: index.NewHolderPage(index.Spot{})}
	at, err := parseSpot(holdersCursor, after)
	if err == nil {
		look.HolderPage = index.NewHolderPage(at)
		return look, nil
	}
	if !wanted.Partial || wanted.File.IsZero() {
		return nil, err
	}
	var number uint64
	look.partly = true
	err = parseCursor(fetchersCursor, after, &number)
	look.fetcher = uint32(number)
	return look, err
}

func (l *holdersLook) cursor() lonja.Cursor {
	if l.partly && l.progress != index.Ended {
		return appendCursor(fetchersCursor, uint64(l.fetcher))
	}
	return pageCursor(holdersCursor, l.progress, l.Last, l.Place())
}

// holderSteps does a part of a page under the lock; all of it for a name.
func (d *Directory) holderSteps(look *holdersLook, user lonja.UserName, wanted lonja.Wanted, limit int) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, err := d.connected(lonja.OpHolders, user); err != nil {
		return err
	}
	v := d.index.Viewer(user)
	switch {
	case wanted.File.IsZero():
		look.progress = d.index.NamePage(look.HolderPage, v, wanted.Name, limit)
	case look.partly:
		look.fetcher, look.progress = d.index.FetcherPage(look.HolderPage, v, wanted.File, look.fetcher, limit, pageSteps)
	default:
		look.progress = d.index.FilePage(look.HolderPage, v, wanted.File, limit, pageSteps)
		if look.progress == index.Ended && wanted.Partial {
			look.partly, look.fetcher, look.progress = true, 1, index.Looking
		}
	}
	return nil
}
