package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"lonja"
	"lonja/internal/index"
)

const (
	// eventsKept is how many events are remembered for those who watch: who is
	// further behind has lost some.
	eventsKept = 4096
	// eventsTaken is how many of them one watcher looks at together.
	eventsTaken = 256
)

// Events are what has happened last. To note one costs the same however many
// watch: they are woken by a goroutine of its own, each looks at the events by
// itself, and who is slow is overtaken.
type events struct {
	wake chan struct{} // holds one token while somebody is to be woken

	mu       sync.Mutex // guards all below; never held while calling out
	ring     []*happened
	next     uint64 // the number of the next event; the ring has those before it
	lost     uint64 // whoever has not come so far has lost some
	watchers int
	files    map[lonja.FileID]int // that are watched, by how many
	news     chan struct{}        // closed, and made anew, when there is something
}

// A happened is an event, and what decides whom it is told.
type happened struct {
	lonja.Event
	online bool         // its user is connected
	rev    uint64       // of a listing
	file   lonja.FileID // of a holder
}

func newEvents() *events {
	return &events{wake: make(chan struct{}, 1), files: make(map[lonja.FileID]int), news: make(chan struct{})}
}

// watched reports whether anybody watches.
func (v *events) watched() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.watchers > 0
}

// watchedFile reports whether anybody watches that content.
func (v *events) watchedFile(file lonja.FileID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.files[file] > 0
}

// note adds an event.
func (v *events) note(h *happened) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.watchers == 0 {
		return
	}
	if v.ring == nil {
		v.ring = make([]*happened, eventsKept)
	}
	v.ring[v.next%eventsKept] = h
	v.next++
	remind(v.wake)
}

// anew has everybody look at everything anew.
func (v *events) anew() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.next++
	v.lost = v.next
	remind(v.wake)
}

// run wakes those who watch when something has happened, until ctx ends. Waking
// thousands takes a while, during which nobody who changes something waits.
func (v *events) run(ctx context.Context) error {
	for {
		select {
		case <-v.wake:
		case <-ctx.Done():
			return nil
		}
		v.mu.Lock()
		told := v.news
		v.news = make(chan struct{})
		v.mu.Unlock()
		close(told)
	}
}

// join begins a watch, from what happens next on.
func (v *events) join(files []lonja.FileID) (next uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.watchers++
	for _, f := range files {
		v.files[f]++
	}
	return v.next
}

func (v *events) leave(files []lonja.FileID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.watchers--
	for _, f := range files {
		if v.files[f]--; v.files[f] == 0 {
			delete(v.files, f)
		}
	}
	if v.watchers == 0 {
		v.ring = nil
		v.lost = v.next
	}
}

// take returns some of what has happened from a number on, and the number after
// it; lost says that there was more, which is forgotten. When nothing has
// happened yet, news is closed once something has.
func (v *events) take(from uint64) (some []*happened, next uint64, lost bool, news <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	oldest := v.lost
	if v.next > eventsKept {
		oldest = max(oldest, v.next-eventsKept)
	}
	if from < oldest {
		return nil, v.next, true, nil // whoever looks now sees all of it
	}
	for ; from < v.next && len(some) < eventsTaken; from++ {
		some = append(some, v.ring[from%eventsKept])
	}
	return some, from, false, v.news
}

// A watcher is one call of Watch.
type watcher struct {
	directory *Directory
	member    lonja.Member
	account   uint64 // the incarnation of its account
	filter    lonja.EventFilter
	matcher   *index.Matcher
	files     map[lonja.FileID]bool
	told      func(lonja.Event) error
}

// Watch implements lonja.Watcher.
func (d *Directory) Watch(ctx context.Context, member lonja.Member, filter lonja.EventFilter, told func(lonja.Event) error) error {
	w := &watcher{directory: d, member: member, filter: filter, told: told, files: make(map[lonja.FileID]bool)}
	if len(filter.Holders) > lonja.MaxWatched {
		return &lonja.Error{
			Kind: lonja.Invalid, Op: opWatch, User: member.User,
			Err: fmt.Errorf("%d contents, at most %d can be watched", len(filter.Holders), lonja.MaxWatched),
		}
	}
	if filter.Matching != nil {
		q := *filter.Matching
		q.Limit, q.After = 0, ""
		if err := q.Check(); err != nil {
			return err
		}
		w.matcher = index.NewMatcher(&q)
	}
	for _, f := range filter.Holders {
		w.files[f] = true
	}
	// From the joining on, so that nothing is missed between it and the look
	// whether the member may watch.
	next := d.events.join(filter.Holders)
	defer d.events.leave(filter.Holders)
	a, err := d.watching(member)
	if err != nil {
		return err
	}
	w.account = a.Incarnation
	if err := told(lonja.Event{Kind: lonja.EventsLost}); err != nil {
		return err
	}
	return w.run(ctx, next)
}

// run tells what happens until ctx ends.
func (w *watcher) run(ctx context.Context, next uint64) error {
	for ctx.Err() == nil {
		some, after, lost, news := w.directory.events.take(next)
		next = after
		switch {
		case lost:
			if _, err := w.mayGoOn(); err != nil {
				return err
			}
			if err := w.told(lonja.Event{Kind: lonja.EventsLost}); err != nil {
				return err
			}
			continue
		case len(some) > 0:
			if err := w.tell(ctx, some); err != nil {
				return err
			}
			continue
		}
		select {
		case <-news:
		case <-ctx.Done():
		}
	}
	return nil
}

// watching returns the account of a member who may watch.
func (d *Directory) watching(m lonja.Member) (index.Account, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	a, err := d.authorized(opWatch, m)
	if err == nil && !a.Connected && !a.Bound {
		err = memberFailure(lonja.NotConnected, opWatch, m.User, nil)
	}
	if err == nil {
		err = d.takenOver(opWatch, m)
	}
	return a, err
}

// mayGoOn returns the account, if it is still the one that the watch was begun
// for, and the member's.
func (w *watcher) mayGoOn() (index.Account, error) {
	a, err := w.directory.watching(w.member)
	if err == nil && a.Incarnation != w.account {
		err = memberFailure(lonja.NoSuchUser, opWatch, w.member.User, errors.New("another account has the name"))
	}
	return a, err
}

// tell tells those events that are for the member, who must still be one: what
// has happened since it was not is not among them.
func (w *watcher) tell(ctx context.Context, some []*happened) error {
	a, err := w.mayGoOn()
	if err != nil {
		return err
	}
	for _, h := range some {
		if !w.wants(h, a) {
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := w.told(h.Event); err != nil {
			return err
		}
	}
	return nil
}

// wants reports whether an event is for the user, whose account this is.
func (w *watcher) wants(h *happened, a index.Account) bool {
	switch h.Kind {
	case lonja.UserConnected, lonja.UserLeft:
		return w.filter.Presence
	case lonja.Published, lonja.Withdrawn:
		p := lonja.Publication{Owner: h.User, Listing: h.Listing}
		return w.matcher != nil && index.MayKnow(a, &p, h.rev) && w.matcher.Matches(&p, h.online)
	case lonja.HolderAppeared, lonja.HolderLeft:
		p := lonja.Publication{Owner: h.User, Listing: h.Listing}
		return w.files[h.file] && index.MayKnow(a, &p, h.rev)
	case lonja.NoEvent:
		return false
	}
	return true
}

// wakeAll has everybody who watches look whether it still may. The caller holds
// mu.
func (d *Directory) wakeAll() { d.events.note(&happened{}) }

// noticed is told by the index of each listing that comes and goes, while mu is
// held.
func (d *Directory) noticed(n index.Notice) {
	if n.Kind == index.Removed {
		noteForbidden(d.forbidden, n)
		if len(d.forbidden) > 0 {
			remind(d.purging)
		}
	}
	if !d.events.watched() {
		return
	}
	rev, _ := n.Rev()
	switch n.Kind {
	case index.Added:
		p := n.Publication()
		d.events.note(&happened{Event: lonja.Event{Kind: lonja.Published, User: p.Owner, Listing: p.Listing}, online: n.Online(), rev: rev})
	case index.Removed:
		p := n.Publication()
		d.events.note(&happened{Event: lonja.Event{Kind: lonja.Withdrawn, User: p.Owner, Listing: p.Listing}, online: n.Online(), rev: rev})
	}
	d.holderNoticed(n)
}

// holderNoticed tells those who watch a content of a holder that has come or
// gone.
func (d *Directory) holderNoticed(n index.Notice) {
	file := n.File()
	if file.IsZero() || !d.events.watchedFile(file) || n.Kind != index.Turned && !n.Online() {
		return
	}
	p := n.Publication()
	rev, _ := n.Rev()
	h := &happened{Event: lonja.Event{Kind: lonja.HolderLeft, User: p.Owner, Listing: p.Listing}, file: file, rev: rev}
	if n.Kind != index.Removed && n.Online() {
		h.Kind, h.online = lonja.HolderAppeared, true
		h.Peer = d.peer(p.Owner)
	}
	d.events.note(h)
}

// peer returns a connected user as others see it. The caller holds mu.
func (d *Directory) peer(user lonja.UserName) lonja.Peer {
	a, _ := d.index.Account(user)
	return lonja.Peer{User: user, At: a.At, Reach: a.Reach}
}
