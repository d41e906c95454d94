package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"lonja"
	"lonja/internal/statement"
	"lonja/internal/swarm"
	"lonja/internal/tree"
)

// What is on its way here is given to others already, and the directory is told of
// it, as far as this node has a session: package fileserver serves it.

// A fetching is what is on its way here, the earliest first. What is fetched twice is
// there twice.
type fetching struct {
	mu      sync.Mutex // guards files
	files   []lonja.FileID
	changed chan struct{} // holds one token when files were changed
	begun   func()        // told of each that comes to be there
}

func newFetching(begun func()) *fetching {
	return &fetching{changed: make(chan struct{}, 1), begun: begun}
}

func (f *fetching) add(file lonja.FileID) {
	defer f.begun()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files = append(f.files, file)
	signal(f.changed)
}

func (f *fetching) remove(file lonja.FileID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(f.files, file); i >= 0 {
		f.files = slices.Delete(f.files, i, i+1)
	}
	signal(f.changed)
}

// told returns what the directory is to be told.
func (f *fetching) told() (files []lonja.FileID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range f.files {
		if len(files) < lonja.MaxFetching && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return files
}

// give has what comes of a swarm served to those whom it is for, until the function
// that it returns is called, which waits until nobody reads it.
func (d *secureDialect) give(id lonja.FileID, s *swarm.Swarm, of *audience) (stop func()) {
	pieces := s.Pieces()
	if d.PartialOff || pieces.Size() <= tree.PieceSize { // of one piece there are no parts
		return func() {}
	}
	forget := d.downloads.Register(id, pieces, func(ctx context.Context, m lonja.Member) bool {
		return d.isMeant(ctx, of, m)
	})
	d.fetching.add(id)
	return func() {
		d.fetching.remove(id)
		forget()
	}
}

// How the directory is told what is fetched.
const (
	tellAfter = 250 * time.Millisecond // what takes less is not told
	tellAgain = 10 * time.Second       // if it could not be told
)

// tellFetching keeps the directory told of what is fetched, until ctx ends. In each
// new session it has to be said anew.
func (m *membership) tellFetching(ctx context.Context) error {
	var told []lonja.FileID
	for {
		again := make(<-chan time.Time)
		if now := m.fetching.told(); !slices.Equal(now, told) {
			if err := m.Directory.Fetching(ctx, m.keeper.Member(), now); err == nil {
				told = now
			} else {
				m.opts.Log.Debug("the directory cannot be told what is fetched here", slog.Any("error", err))
				again = time.After(tellAgain)
			}
		}
		select {
		case <-m.fetching.changed:
		case <-m.anew:
			told = nil
		case <-again:
		case <-ctx.Done():
			return nil
		}
		select {
		case <-time.After(tellAfter):
		case <-ctx.Done():
			return nil
		}
	}
}

// An audience is whom a content may be given to that is on its way here: everybody, or,
// once its publications say something else, whom all of those name that are for some
// only. So whatever a directory tells besides makes it only smaller.
type audience struct {
	mu     sync.Mutex // guards below
	closed []lonja.Publication
	known  map[lonja.Member]bool // whose keys were checked
}

// mostClosed bounds the publications for some only that an audience remembers. Of a
// content that has more, the rest is not looked at.
const mostClosed = 64

func newAudience(holders []lonja.Holder) *audience {
	a := &audience{known: make(map[lonja.Member]bool)}
	a.heed(holders)
	return a
}

// heed takes in what holders have signed.
func (a *audience) heed(holders []lonja.Holder) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range holders {
		if h.Proof == nil || len(h.Proof.Audience) == 0 || len(a.closed) == mostClosed ||
			slices.ContainsFunc(a.closed, func(p lonja.Publication) bool { return p.Listing.Proof.Signature == h.Proof.Signature }) {
			continue
		}
		if p := h.Publication(); statement.VerifyPublication(p) == nil {
			a.closed = append(a.closed, p)
		}
	}
}

// names reports whether a user is one of those whom it is for, and whether it is for
// everybody.
func (a *audience) names(user lonja.UserName) (named, everybody bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.closed {
		if p.Owner != user && !slices.Contains(p.Listing.Proof.Audience, user) {
			return false, false
		}
	}
	return true, len(a.closed) == 0
}

// isMeant reports whether a member may have what is for that audience. Of what is for
// some only, the name is not enough: the key has to be that by which the user is known
// already, or follow from it. The owner knew those whom it is for when it published;
// who is met only by asking for it could be anybody to whom the directory gives the name.
func (d *secureDialect) isMeant(ctx context.Context, a *audience, m lonja.Member) bool {
	named, everybody := a.names(m.User)
	if !named || everybody {
		return named
	}
	a.mu.Lock()
	known := a.known[m]
	a.mu.Unlock()
	if known {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, keysPatience)
	defer cancel()
	if err := d.checkKnown(ctx, m); err != nil {
		level := slog.LevelWarn
		if errors.Is(err, errNeverMet) { // nothing is wrong with that one
			level = slog.LevelDebug
		}
		d.opts.Log.Log(ctx, level, "somebody has asked for what is for some users only, with a key that is not known to be theirs",
			slog.Any("user", m.User), slog.Any("key", m.Key), slog.Any("error", err))
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= mostDescents {
		clear(a.known)
	}
	a.known[m] = true
	return true
}

// checkKey returns nil if the key is that by which the user is known here, or follows
// from it. Who was never met is known from now on.
func (d *secureDialect) checkKey(ctx context.Context, m lonja.Member) error {
	ring, err := d.Directory.Keys(ctx, m.User)
	if err != nil {
		return err
	}
	if len(ring) == 0 {
		return &lonja.Error{Kind: lonja.Untrusted, Op: opFetchFile, User: m.User, Err: errors.New("the name is bound to no key")}
	}
	return d.Pins.CheckUser(m.User, ring, m.Key)
}

// errNeverMet is why a key is not believed to be that of a user.
var errNeverMet = errors.New("the user was never met before, and what is for some only is not for first meetings")

// checkKnown is checkKey for users who were met before, and pins nobody.
func (d *secureDialect) checkKnown(ctx context.Context, m lonja.Member) error {
	met, err := d.Pins.Users()
	if err != nil {
		return err
	}
	if !slices.Contains(met, m.User) {
		return &lonja.Error{Kind: lonja.Untrusted, Op: opFetchFile, User: m.User, Err: errNeverMet}
	}
	return d.checkKey(ctx, m)
}
