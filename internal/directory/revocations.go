package directory

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"time"

	"lonja"
	"lonja/internal/authority"
	"lonja/internal/store"
)

const (
	// revocationsKept is how long the directory tells that a key was taken back:
	// for as long as any certificate of it can last, and a day for clocks that go
	// wrong. The account itself remembers it for ever.
	revocationsKept = authority.MaxLifetime + 24*time.Hour
	// revocationsLook is how often it is looked for revocations to forget.
	revocationsLook = time.Hour
)

// oldestRevocation returns when the oldest revocation was that is still told.
func oldestRevocation() int64 { return time.Now().Add(-revocationsKept).Unix() }

// Revocations implements lonja.Members. The time of a revocation is when the
// directory took it.
func (d *Directory) Revocations(ctx context.Context, since int64) (all []lonja.Revocation, err error) {
	for after := lonja.Cursor(""); ; {
		page, next, err := d.RevocationsPage(ctx, since, after, lonja.MaxPage)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); next == "" {
			return all, nil
		}
		after = next
	}
}

// RevocationsPage implements lonja.Pages.
func (d *Directory) RevocationsPage(_ context.Context, since int64, after lonja.Cursor, limit int) (page []lonja.Revocation, next lonja.Cursor, err error) {
	if limit, err = pageLimit(limit); err != nil {
		return nil, "", err
	}
	last := heldRevocation{at: max(since, oldestRevocation())} // before the first of that time
	if after != "" {
		place, err := parseRevocationCursor(after)
		if err != nil {
			return nil, "", err
		}
		if place.at >= last.at {
			last = place
		}
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	some, more := d.ledger.after(&last, limit)
	for _, r := range some {
		page = append(page, r.Revocation)
	}
	if more {
		next = revocationCursor(&some[len(some)-1])
	}
	return page, next, nil
}

// The cursor of a page of revocations is where the last one stands among all: its
// time as a uvarint, its key, and the user.
const revocationsCursor = 'r'

func revocationCursor(r *heldRevocation) lonja.Cursor {
	b := binary.AppendUvarint([]byte{revocationsCursor}, uint64(r.at))
	b = append(append(b, r.Key[:]...), r.User...)
	return lonja.Cursor(base64.RawURLEncoding.EncodeToString(b))
}

func parseRevocationCursor(c lonja.Cursor) (r heldRevocation, err error) {
	bad := lonja.E(lonja.Invalid, "page", errors.New("the cursor is not one of such a page"))
	if len(c) > lonja.MaxCursor {
		return r, bad
	}
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(b) == 0 || b[0] != revocationsCursor {
		return r, bad
	}
	at, n := binary.Uvarint(b[1:])
	if n <= 0 || at > math.MaxInt64 || len(b) < 1+n+len(r.Key) {
		return r, bad
	}
	r.at = int64(at)
	r.User = lonja.UserName(b[1+n+copy(r.Key[:], b[1+n:]):])
	return r, nil
}

// forgetRevocations deletes the records of revocations that are not told any
// more, until ctx ends.
func (d *Directory) forgetRevocations(ctx context.Context) error {
	select {
	case <-d.loaded:
	case <-ctx.Done():
		return nil
	}
	ticker := time.NewTicker(revocationsLook)
	defer ticker.Stop()
	for {
		for some := d.oldRevocations(); len(some) > 0 && ctx.Err() == nil; some = d.oldRevocations() {
			if err := d.deleteAll(ctx, some); err != nil {
				d.log.Info("old revocations are forgotten later", slog.Any("error", err))
				break
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// oldRevocations returns some of what forgetRevocations has to delete.
func (d *Directory) oldRevocations() (changes []store.Change) {
	oldest := oldestRevocation()
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.exclusive {
		return nil
	}
	for _, r := range d.ledger.revocations[:min(len(d.ledger.revocations), store.MaxBatch)] {
		if r.at >= oldest {
			break
		}
		changes = append(changes, store.Change{Key: revocationKey(r.at, r.User, r.Key), Expect: store.Rev(r.rev)})
	}
	return changes
}
