// Package session keeps a member connected to a directory: it renews the
// session in time, begins it anew when the directory has forgotten it or could
// not be reached for a while, takes a new certificate before the old one runs out,
// and tells the directory where the node may be reached now. When the connection is
// lost, it decides when the node comes back. When another program with the same key
// has taken the session over, it does not: two that did would take it from each other
// for ever.
//
// It carries nothing over the network itself and serves nothing: package node
// gives it a directory and acts on what it is granted.
package session

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"lonja"
)

// A Grant is what a directory gives with a session.
type Grant struct {
	// Certificate is the chain in DER by which other members know this one, its
	// own first. It is empty in an answer to Renew that brings no new one.
	Certificate         [][]byte
	NotBefore, NotAfter time.Time      // of the certificate
	Observed            lonja.Endpoint // where the directory sees this node
	Node                string         // which node of the directory answered
	Classic             bool           // the directory speaks the classic protocol too
}

// A Directory grants sessions. It is called by one goroutine at a time.
type Directory interface {
	// Begin is lonja.Members' ConnectMember.
	Begin(ctx context.Context, member lonja.Member, ways []lonja.Endpoint) (Grant, error)
	// Renew is lonja.Members' RenewMember; certificate asks for a new one.
	Renew(ctx context.Context, member lonja.Member, ways []lonja.Endpoint, certificate bool) (Grant, error)
}

// Options is what a Session works with. Directory, Member, Ways and Granted must
// be set.
type Options struct {
	Directory Directory
	Member    lonja.Member // if its Node is zero, the session makes one
	// Ways returns where the node may be reached now.
	Ways func() []lonja.Endpoint
	// Granted is told of each grant, also of renewals, before anything else
	// happens. Begun says that the session is a new one: what the directory holds
	// for the member may be another thing than what it held.
	Granted func(g Grant, begun bool)
	// Period is the time between renewals, on average (15 s, a quarter of a
	// directory's patience). Patience bounds each question to it (10 s).
	Period, Patience time.Duration
	// Spread is the time over which nodes come back that have lost their connection
	// at the same moment (30 s, half of a directory's patience).
	Spread time.Duration
	Log    *slog.Logger
}

// A Session is a member being connected. Run keeps it, once Begin has begun it.
type Session struct {
	opts  Options
	moved chan struct{} // holds one token when the ways may have changed
	lost  chan struct{} // holds one token when the connection was lost
	ended chan error    // holds what End was told first

	mu      sync.Mutex // guards below
	state   State
	expires time.Time // when to ask for the next certificate: half of this one's life is gone
}

// A State is how a session is doing.
type State struct {
	Connected bool // as far as is known here
	Since     time.Time
	Trouble   error // why not, while it is not
	Grant     Grant // the last certificate, and the last answer's rest
}

// New returns a Session that has not begun.
func New(opts Options) *Session {
	opts.Period = cmp.Or(opts.Period, 15*time.Second)
	opts.Patience = cmp.Or(opts.Patience, 10*time.Second)
	opts.Spread = cmp.Or(opts.Spread, 30*time.Second)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Member.Node.IsZero() {
		opts.Member.Node = lonja.NewNodeID()
	}
	return &Session{opts: opts, moved: make(chan struct{}, 1), lost: make(chan struct{}, 1), ended: make(chan error, 1)}
}

// Member returns who is kept connected, with the Node that the directory knows this
// session by.
func (s *Session) Member() lonja.Member { return s.opts.Member }

// Begin begins the session, and takes it over from whichever program with the same
// key has it. Its errors are those of ConnectMember.
func (s *Session) Begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Patience)
	defer cancel()
	grant, err := s.opts.Directory.Begin(ctx, s.opts.Member, s.opts.Ways())
	if err == nil {
		s.granted(grant, true)
	}
	return err
}

// Moved has the directory be told of the ways soon.
func (s *Session) Moved() { leave(s.moved) }

// Lost says that the connection to the directory is gone. It is asked again at a
// time within Spread that is left to chance: all its nodes may have lost theirs at
// once. Of a crowd the first is back soon, and nobody waits longer than Spread; what
// a person asks meanwhile waits for nothing.
func (s *Session) Lost() { leave(s.lost) }

// End has Run return err, which says what the directory has told elsewhere: that
// another program with this key has the session.
func (s *Session) End(err error) {
	select {
	case s.ended <- err:
	default:
	}
}

func leave(token chan<- struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}

// State returns how the session is doing.
func (s *Session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Run keeps the session until ctx ends, and returns nil; to disconnect is the
// caller's business. It returns an error when the session can never be had again,
// since the account is gone or belongs to another key, or must not be, since another
// program with this key has it now: that is TakenOver.
func (s *Session) Run(ctx context.Context) error {
	wait := s.pause()
	for failures := 0; ; {
		select {
		case <-time.After(wait):
		case <-s.moved:
		case <-s.lost:
			wait = rand.N(s.opts.Spread)
			continue
		case err := <-s.ended:
			s.trouble(err)
			return err
		case <-ctx.Done():
			return nil
		}
		err := s.renew(ctx)
		switch {
		case ctx.Err() != nil:
			continue
		case err == nil:
			failures, wait = 0, s.pause()
		case isFinal(err):
			s.trouble(err)
			return err
		default:
			s.trouble(err)
			wait = again(failures, s.opts.Period)
			failures++
		}
	}
}

// pause returns the time to the next renewal: not the same for all nodes, so
// that those that began at once do not renew at once for ever.
func (s *Session) pause() time.Duration {
	return time.Duration((0.8 + 0.4*rand.Float64()) * float64(s.opts.Period))
}

// firstAgain bounds the first pause after a failure; each further one may be
// twice as long.
const firstAgain = time.Second

// again returns how long to wait after so many failures in a row: anything up to
// a bound that grows, so that all the nodes of a directory that was away do not
// come back in one second ("full jitter").
func again(failures int, most time.Duration) time.Duration {
	bound := min(firstAgain<<min(failures, 10), most)
	return time.Duration(rand.Float64() * float64(bound))
}

// isFinal reports whether trying again is of no use, or would be a fight: the directory
// itself has said so. One that cannot be trusted now may be another machine that has its address in
// the network where this one has woken up.
func isFinal(err error) bool {
	switch lonja.KindOf(err) {
	case lonja.NoSuchUser, lonja.OtherKey, lonja.Forbidden, lonja.TakenOver:
		return true
	}
	return false
}

// renew renews the session, or begins it anew.
func (s *Session) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Patience)
	defer cancel()
	grant, err := s.opts.Directory.Renew(ctx, s.opts.Member, s.opts.Ways(), s.wantsCertificate())
	begun := false
	if errors.Is(err, lonja.NotConnected) {
		begun = true
		grant, err = s.opts.Directory.Begin(ctx, s.opts.Member, s.opts.Ways())
	}
	if err == nil {
		s.granted(grant, begun)
	}
	return err
}

func (s *Session) wantsCertificate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !time.Now().Before(s.expires)
}

// granted takes in what the directory gave.
func (s *Session) granted(g Grant, begun bool) {
	s.mu.Lock()
	back := !s.state.Connected && s.state.Trouble != nil
	if len(g.Certificate) == 0 {
		old := s.state.Grant
		g.Certificate, g.NotBefore, g.NotAfter = old.Certificate, old.NotBefore, old.NotAfter
	} else {
		now := time.Now()
		s.expires = now.Add(g.NotAfter.Sub(now) / 2)
	}
	since := s.state.Since
	if begun || !s.state.Connected {
		since = time.Now()
	}
	s.state = State{Connected: true, Since: since, Grant: g}
	s.mu.Unlock()
	if back {
		s.opts.Log.Info("the directory is back", slog.Any("user", s.opts.Member.User))
	}
	s.opts.Granted(g, begun)
}

// trouble notes why the session is not known to last.
func (s *Session) trouble(err error) {
	s.mu.Lock()
	first := s.state.Trouble == nil
	s.state.Connected, s.state.Trouble = false, err
	s.expires = time.Time{} // the answer that was lost may have brought the next certificate
	s.mu.Unlock()
	if first && !isFinal(err) { // else Run returns it
		s.opts.Log.Warn("the session with the directory is interrupted; trying again",
			slog.Any("user", s.opts.Member.User), slog.Any("error", err))
	}
}
