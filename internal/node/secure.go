package node

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/authority"
	"lonja/internal/fileserver"
	"lonja/internal/hashing"
	"lonja/internal/identity"
	"lonja/internal/outboards"
	"lonja/internal/session"
	"lonja/internal/swarm"
	"lonja/internal/transport"
)

// A SecureDirectory is a directory that gives sessions their certificates:
// apiclient.Client.
type SecureDirectory interface {
	lonja.MemberDirectory
	// Begin is ConnectMember, and returns what comes with the session.
	Begin(ctx context.Context, member lonja.Member, ways []lonja.Endpoint) (apiclient.Session, error)
	// Renew is RenewMember, likewise.
	Renew(ctx context.Context, member lonja.Member, ways []lonja.Endpoint, certificate bool) (apiclient.Session, error)
	// Certificate issues one without a session.
	Certificate(ctx context.Context, member lonja.Member) (apiclient.Certificate, error)
}

// Pins are the keys by which users are known: trust.Pins.
type Pins interface {
	// CheckUser pins key for user at the first meeting. Later it must be the same,
	// or follow from it in the user's ring of keys; otherwise the error is of kind
	// Untrusted, and says both keys and what to do.
	CheckUser(user lonja.UserName, ring []lonja.KeyRecord, key lonja.PublicKey) error
	// Users returns whose keys are pinned.
	Users() ([]lonja.UserName, error)
}

// SecureOptions is what a node works with that speaks the secure dialect. All but
// Invitation and the switches must be set.
type SecureOptions struct {
	Directory SecureDirectory
	Key       identity.Key
	// Authority returns that of the directory, as the last connection to it has
	// proved it.
	Authority func() *authority.Set
	// Follow is told of an authority by a directory that vouches for members with
	// another one now than Authority returns. It returns nil if that one is to be
	// trusted, and Authority returns it then. Otherwise the error is of kind Untrusted,
	// and Authority returns nil: the directory itself trusts its earlier one no more.
	// Nil: only a new connection brings another authority.
	Follow    func(*authority.Set) error
	Pins      Pins
	Hashes    *hashing.Cache
	Outboards *outboards.Store
	// Invitation goes along with Register.
	Invitation lonja.Invitation
	// ClassicOff closes the node's port to the classic protocol. Otherwise it is
	// open as long as the directory speaks it too.
	ClassicOff bool
	// PartialOff keeps what is on its way here from being given to others, and the
	// directory from being told of it.
	PartialOff bool
	// TakePart has a node on which no user connects begin a session while it fetches
	// something, so that others are given that and are told of it. It is in no other
	// program's way. See spare.
	TakePart bool
	// Begun, if set, is told of what FetchFile and FetchMulti begin to fetch, once they
	// know what that is, and says what is to become of it. With an error it is not
	// fetched. Any number of goroutines may call it.
	Begun func(ctx context.Context, b Begun) (Watch, error)
	// MapPort has the router lead to the node's port.
	MapPort bool
	Rates   Rates

	// For tests: between renewals, and of coming back; 0: those of package session. And
	// sparePause.
	period, spread, spareAgain time.Duration
}

// The secure dialect: names are what their owners call them, a file is its
// content, and everything is signed, or proved by TLS.
type secureDialect struct {
	*Node
	SecureOptions
	dialer *transport.Dialer
	// publishing is held while what is served and what the directory lists are
	// compared, or changed together; with announcing, any number of names may be
	// announced at once, each by one.
	publishing sync.RWMutex
	announcing nameLocks
	// downloads are served while they are on their way here.
	downloads fileserver.Downloads
	fetching  *fetching
	networks  networks
	down      *swarm.Limit // of all that is fetched; or nil
	tries     int          // in vain, of each holder; zero is what package swarm has
}

func newSecure(n *Node) *secureDialect {
	d := &secureDialect{
		Node: n, SecureOptions: *n.opts.Secure, dialer: transport.NewDialer(transport.Options{}),
		networks: networks{look: func() []netip.Prefix { return localNetworks(n.opts.Log) }},
		down:     swarm.NewLimit(n.opts.Secure.Rates.Down),
	}
	d.fetching = newFetching(func() { n.spare.want(d) })
	return d
}

func (d *secureDialect) member(user lonja.UserName) lonja.Member {
	return lonja.Member{User: user, Key: d.Key.PublicKey()}
}

func (d *secureDialect) register(ctx context.Context, user lonja.UserName) error {
	if _, err := lonja.ParseMemberName(string(user)); err != nil {
		return err
	}
	err := d.Directory.RegisterMember(ctx, d.member(user), d.Invitation)
	if err == nil {
		d.pinOwn(user)
	}
	return err
}

func (d *secureDialect) join(ctx context.Context, s *stay) error {
	m := &membership{secureDialect: d, user: s.user, files: s.files, yields: s.yields}
	m.revoked = newRevocations(m.concerns)
	if err := m.listen(); err != nil {
		return &lonja.Error{Kind: lonja.LocalFile, Op: lonja.OpConnect.String(), User: s.user, Err: err}
	}
	who, log := d.member(s.user), d.opts.Log
	if who.Yields = s.yields; s.yields {
		log = nil // nobody has asked for a session
	}
	m.keeper = session.New(session.Options{
		Directory: grants{d.Directory, d.follow}, Member: who, Ways: m.ways, Granted: m.granted,
		Period: d.period, Spread: d.spread, Log: log,
	})
	s.keeps = m
	if err := m.keeper.Begin(ctx); err != nil {
		_ = m.ln.Close()
		if mayHaveHappened(err) {
			d.farewell(s)
		}
		return err
	}
	s.stop = m.begin(func() {
		s.lost.Store(true)
		if s.gone != nil {
			s.gone()
		}
	})
	return nil
}

// part ends no session of another program with this key: that one was begun since.
func (d *secureDialect) part(ctx context.Context, s *stay) error {
	return d.Directory.DisconnectMember(ctx, s.keeps.keeper.Member())
}

// follow takes in who vouches for members now, as the directory tells.
func (d *secureDialect) follow(told [][]byte) error {
	if len(told) == 0 || d.Follow == nil {
		return nil
	}
	set, err := authority.ReadSet(told)
	if err != nil {
		return err
	}
	if have := d.Authority(); have != nil && have.Fingerprint() == set.Fingerprint() {
		return nil
	}
	return d.Follow(set)
}

// grants is a SecureDirectory as package session has it.
type grants struct {
	SecureDirectory
	follow func(authorities [][]byte) error
}

func (g grants) Begin(ctx context.Context, m lonja.Member, ways []lonja.Endpoint) (session.Grant, error) {
	s, err := g.SecureDirectory.Begin(ctx, m, ways)
	return g.grant(s, err)
}

func (g grants) Renew(ctx context.Context, m lonja.Member, ways []lonja.Endpoint, certificate bool) (session.Grant, error) {
	s, err := g.SecureDirectory.Renew(ctx, m, ways, certificate)
	return g.grant(s, err)
}

func (g grants) grant(s apiclient.Session, err error) (session.Grant, error) {
	granted := session.Grant{Observed: s.Observed, Node: s.Node, Classic: s.Classic}
	c := s.Certificate
	if err != nil || c == nil {
		return granted, err
	}
	granted.Certificate, granted.NotBefore, granted.NotAfter = c.Chain, c.NotBefore, c.NotAfter
	return granted, g.follow(c.Authorities)
}

// A Status is how a connected node is doing in the secure dialect.
type Status struct {
	User    lonja.UserName
	Session session.State
	Ways    []lonja.Endpoint // where others are told to find it
	Mapping string           // what came of mapping the port, for people
	Advice  string           // what to do about it, or ""
	Classic bool             // its port speaks the classic protocol too
}

// Status returns how the node is doing. The error is of kind NotConnected
// without a connected user, and Invalid in the classic dialect.
func (n *Node) Status() (Status, error) {
	s := n.current()
	switch {
	case s == nil:
		return Status{}, lonja.E(lonja.NotConnected, "status", errors.New("no user is connected here"))
	case s.keeps == nil:
		return Status{}, lonja.E(lonja.Invalid, "status", errors.New("the classic protocol knows no sessions"))
	}
	if err := s.takenOver(); err != nil {
		return Status{}, lonja.E(lonja.NotConnected, "status", err)
	}
	return s.keeps.status(), nil
}

// reassertTimeout bounds the comparing of what is published with what the
// directory has.
const reassertTimeout = 10 * time.Minute

// reassert tells the directory what it has missed, and publishes again what it
// has lost: it may have been restored from a copy, or be another one by the same
// name.
func (m *membership) reassert(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reassertTimeout)
	defer cancel()
	m.delistWithdrawn(ctx)
	err := m.publishMissing(ctx)
	if err != nil && ctx.Err() == nil {
		m.opts.Log.Warn("cannot see whether the directory has all that is published here", slog.Any("user", m.user), slog.Any("error", err))
	}
}

func (m *membership) publishMissing(ctx context.Context) error {
	if same, err := m.listsTheSame(ctx); same || err != nil {
		return err
	}
	listed := make(map[lonja.Signature]bool)
	err := eachPage(func(after lonja.Cursor) (lonja.Cursor, bool, error) {
		page, next, err := m.Directory.ContentPage(ctx, m.user, m.user, after, lonja.MaxPage)
		for _, l := range page {
			if l.Proof != nil {
				listed[l.Proof.Signature] = true
			}
		}
		return next, false, err
	})
	if err != nil {
		return err
	}
	return m.publishAllBut(ctx, listed)
}

// publishAllBut publishes again all that is not listed. One file that a directory
// does not take any more does not keep it from the others.
func (m *membership) publishAllBut(ctx context.Context, listed map[lonja.Signature]bool) error {
	again, refused := 0, 0
	var why error
	for l := range m.files.Offered() {
		if listed[l.Proof.Signature] {
			continue
		}
		switch err := m.publishAgain(ctx, l); {
		case err == nil:
			again++
		case errors.Is(err, lonja.Unavailable), errors.Is(err, lonja.Canceled):
			return err
		default:
			refused++
			why = err
		}
	}
	if again > 0 {
		m.opts.Log.Info("published again what the directory did not have", slog.Any("user", m.user), slog.Int("files", again))
	}
	if refused > 0 {
		m.opts.Log.Warn("the directory does not take again all that is published here: publish it anew",
			slog.Any("user", m.user), slog.Int("files", refused), slog.Any("the last one", why))
	}
	return nil
}

// listsTheSame reports whether the directory lists what is served here.
func (m *membership) listsTheSame(ctx context.Context) (bool, error) {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	theirs, err := m.Directory.ContentDigest(ctx, m.user)
	return theirs == m.files.Digest(), err
}

// publishAgain has a listing listed that was not, unless it is no more.
func (m *membership) publishAgain(ctx context.Context, l lonja.Listing) error {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	if now, there := m.files.Listing(l.Name); !there || now.Proof.Signature != l.Proof.Signature {
		return nil // deleted, or replaced, meanwhile
	}
	if err := m.Directory.Publish(ctx, m.user, l); err != nil && !errors.Is(err, lonja.AlreadyPublished) {
		return err
	}
	return nil
}
