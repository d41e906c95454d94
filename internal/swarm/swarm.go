package swarm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/fairshare"
	"lonja/internal/meter"
	"lonja/internal/picker"
	"lonja/internal/tree"
	"lonja/internal/unfinished"
)

// A Content is what is wanted.
type Content struct {
	ID   lonja.FileID
	Size int64          // in bytes, as signed by those who offer it
	Name lonja.FileName // for messages
}

// A Holder has the content, or some of it.
type Holder struct {
	User lonja.UserName
	Key  lonja.PublicKey // of the node: with User it tells holders apart
	// Dial connects to the holder, over TLS, and returns when the other side has
	// proved to be it. The swarm closes the connection. Dial is called by several
	// goroutines at once.
	Dial func(ctx context.Context) (net.Conn, error)
	// Unsigned says that the holder has not signed which size the content has: it is
	// no liar if it has one of another size.
	Unsigned bool
}

func (h *Holder) id() lonja.Member { return lonja.Member{User: h.User, Key: h.Key} }

// Options say how a Swarm works. What is zero gets the value in parentheses.
type Options struct {
	ConnsEach    int           // connections to each holder at once (2)
	StallTimeout time.Duration // for a holder that sends nothing (30 s)
	LeastPause   time.Duration // before a holder is tried again (500 ms); then twice as long each time
	MostPause    time.Duration // (30 s)
	// Tries is how often each holder is tried, in a row and in vain, before Run
	// ends because nobody sends anything (3). Below zero it never does: somebody
	// may come.
	Tries int

	// QueuePatience is how long it is waited for a holder in whose queue nothing moves
	// and of which nothing comes (10 min). One that moves is waited for, however long.
	QueuePatience time.Duration

	// Limit, if set, is that of all that arrives, and LimitEach the rate of each
	// holder; 0 is none. Neither counts for a holder at an address of which Near,
	// if set, says so.
	Limit     *Limit
	LimitEach fairshare.Rate
	Near      func(netip.Addr) bool

	// Progress, if set, is told now and then how many bytes are here that count.
	// It is called from several goroutines at once and must not wait.
	Progress func(received int64)
	// Lied, if set, is told of a holder that sent something else, and is asked no
	// more; of one at a time. It must not wait.
	Lied func(user lonja.UserName, err error)
	Log  *slog.Logger // nil for none
}

// DefaultQueuePatience is what Options have unless they say otherwise: many times as long
// as it takes a queue like those of package fairshare to move.
const DefaultQueuePatience = 10 * time.Minute

func (o Options) withDefaults() Options {
	o.ConnsEach = cmp.Or(o.ConnsEach, 2)
	o.StallTimeout = cmp.Or(o.StallTimeout, 30*time.Second)
	o.LeastPause = cmp.Or(o.LeastPause, 500*time.Millisecond)
	o.MostPause = cmp.Or(o.MostPause, 30*time.Second)
	o.Tries = cmp.Or(o.Tries, 3)
	o.QueuePatience = cmp.Or(o.QueuePatience, DefaultQueuePatience)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	if o.Lied == nil {
		o.Lied = func(lonja.UserName, error) {}
	}
	return o
}

// A Swarm fetches one content. Join, Leave and Holders may be called by any
// number of goroutines at once, before, while and after it runs.
type Swarm struct {
	content  Content
	layout   tree.Layout
	opts     Options
	dst      *unfinished.File
	hashes   *hashes
	began    time.Time
	received atomic.Int64
	meter    meter.Meter       // of what comes from all
	counted  func(piece int64) // told of each piece that counts; for tests, and set before Run
	telling  sync.Mutex        // while Lied is told

	mu      sync.Mutex // guards all below, and is not held while anything waits
	picker  *picker.Picker
	holders map[lonja.Member]*holder
	conns   map[picker.Conn]context.CancelCauseFunc // of those that fetch
	next    uint32                                  // number of a holder or connection
	changed chan struct{}                           // closed when somebody who waits should look again
	running func(*holder)                           // starts a holder while Run runs

	expected int   // who may still join
	failed   error // why all of it must end
}

// New returns a Swarm that fetches into dst, which stays the caller's: what is
// good there already is not fetched, nor what an interrupted run has left there,
// which is checked first. The error is of kind Invalid for a size that no content
// has, and LocalFile.
func New(c Content, dst *unfinished.File, opts Options) (*Swarm, error) {
	layout, err := tree.LayoutOf(c.Size)
	if err != nil {
		return nil, err
	}
	s := &Swarm{
		content: c, layout: layout, opts: opts.withDefaults(), dst: dst, began: time.Now(),
		picker:  picker.New(picker.Options{Pieces: layout.Pieces(), Seed: uint64(time.Now().UnixNano())}),
		holders: make(map[lonja.Member]*holder), conns: make(map[picker.Conn]context.CancelCauseFunc),
		changed: make(chan struct{}), counted: func(int64) {},
	}
	s.hashes = newHashes(c.ID, layout, dst.Outboard(), 2*s.opts.StallTimeout)
	if err := dst.Recover(s.hashes.checkContent); err != nil {
		return nil, err
	}
	for it := dst.Good().Iterator(); it.HasNext(); {
		piece := int64(it.Next())
		s.picker.Have(picker.Span{First: piece, End: piece + 1})
		s.received.Add(int64(layout.PieceLen(piece)))
	}
	return s, nil
}

// Join adds a holder. One that is there already may have a new way to be
// reached; one that was dropped because it lied stays dropped.
func (s *Swarm) Join(h Holder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.holders[h.id()]; known != nil {
		known.dial = h.Dial
		return
	}
	s.next++
	entry := newHolder(s, h, picker.Holder(s.next))
	s.holders[h.id()] = entry
	if s.running != nil {
		s.running(entry)
	}
}

// Expect has Run not give up, whoever was tried in vain, until done is called:
// somebody may still join. Done may be called more than once.
func (s *Swarm) Expect() (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.expected--
		s.wake()
	})
}

// Leave takes a holder out that does not have the content any more. What it is
// sending just now may still come.
func (s *Swarm) Leave(user lonja.UserName, key lonja.PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := lonja.Member{User: user, Key: key}
	if h := s.holders[id]; h != nil && !h.state.Lied {
		delete(s.holders, id)
		h.leave()
	}
}

// Place says that this downloader is one of so many that fetch the content now, and
// which one, from 0, in an order that all of them follow: so each begins with a part
// of its own. An of of 0 is that nobody knows. It may be called while it runs.
func (s *Swarm) Place(rank, of int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picker.Place(rank, of)
}

// Run fetches until all pieces are good, and returns nil then. Otherwise the error
// tells what was tried if nobody sends anything any more: its kind is Unavailable, or
// that of what is wrong with all holders, such as Untrusted if all sent something
// else; it is LocalFile if what came cannot be kept, and Canceled if ctx ended. What has come is kept in every case. Run
// is called once.
func (s *Swarm) Run(ctx context.Context) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	group, running := errgroup.WithContext(running)
	s.mu.Lock()
	s.running = func(h *holder) { h.run(running, group) }
	for _, h := range s.holders {
		s.running(h)
	}
	s.mu.Unlock()
	err := s.watch(ctx)
	s.mu.Lock()
	s.running = nil
	s.mu.Unlock()
	cancel()
	_ = group.Wait() // each ends because of cancel
	return err
}

// watch returns when there is nothing left to do, or nothing that can be done.
func (s *Swarm) watch(ctx context.Context) error {
	for {
		s.mu.Lock()
		changed, failed, missing, stuck := s.changed, s.failed, s.picker.Missing(), s.stuckAfter()
		if failed == nil && missing > 0 {
			failed = s.hopeless()
		}
		s.mu.Unlock()
		if missing == 0 || failed != nil {
			return failed
		}
		select {
		case <-changed:
		case <-stuck:
		case <-ctx.Done():
			return &lonja.Error{Kind: lonja.Canceled, Op: op, File: s.content.name(), Err: context.Cause(ctx)}
		}
	}
}

const op = "fetch"

func (c *Content) name() lonja.FileName {
	return cmp.Or(c.Name, lonja.FileName(c.ID.String()))
}

// hopeless returns the error for a content that nobody sends; mu is held.
func (s *Swarm) hopeless() error {
	if s.opts.Tries < 0 || s.expected > 0 {
		return nil
	}
	var tried []string
	var kinds []lonja.Kind
	for _, h := range s.holders {
		if h.hopeful() {
			return nil
		}
		err := h.state.Err
		if h.stuck() {
			err = h.queue.Err(s.opts.QueuePatience)
		} else if err == nil {
			err = lonja.E(lonja.NoHolder, "", errLacks)
		}
		if len(s.holders) == 1 {
			return &lonja.Error{Kind: lonja.KindOf(err), Op: "fetch from", User: h.User, File: s.content.name(), Err: why(err)}
		}
		kinds = append(kinds, lonja.KindOf(err))
		tried = append(tried, fmt.Sprintf("%s: %v", lonja.Printable(string(h.User)), why(err)))
	}
	kind, text := lonja.Unavailable, "nobody has it who can be reached"
	if kinds = slices.Compact(slices.Sorted(slices.Values(kinds))); len(kinds) == 1 {
		kind, text = kinds[0], "nobody sends it"
	}
	slices.Sort(tried)
	text = strings.Join(append([]string{text}, tried...), "\n  ")
	return &lonja.Error{Kind: kind, Op: op, File: s.content.name(), Err: errors.New(text)}
}

// why is what an error says beside its kind.
func why(err error) error {
	if e, ok := err.(*lonja.Error); ok && e.Op == "" && e.Err != nil {
		return e.Err
	}
	return err
}

// wake has all who wait look again; mu is held.
func (s *Swarm) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// fail ends all of it.
func (s *Swarm) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
		s.wake()
	}
}

// Received returns how many bytes of the content are here.
func (s *Swarm) Received() int64 { return s.received.Load() }
