package node

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/authority"
	"lonja/internal/fileapi"
	"lonja/internal/fileserver"
	"lonja/internal/firstbyte"
	"lonja/internal/pacing"
	"lonja/internal/portmap"
	"lonja/internal/reach"
	"lonja/internal/session"
	"lonja/internal/share"
	"lonja/internal/upload"
)

// A membership is a user being connected in the secure dialect: what serves its
// files, keeps its session, and knows where it may be reached.
type membership struct {
	*secureDialect
	user     lonja.UserName
	files    *share.Set
	yields   bool // it is a spare's
	ln       net.Listener
	keeper   *session.Session
	revoked  *revocations
	begun    chan struct{} // holds one token when the session was begun anew
	anew     chan struct{} // likewise, for tellFetching
	suspects chan suspect
	answered chan struct{} // holds one token when the directory has answered the keeper

	mu          sync.Mutex // guards below
	certificate *tls.Certificate
	provedBy    lonja.PeerID // the authority when it was proved first
	observed    netip.Addr
	classic     bool // the directory speaks it
	mapping     portmap.State
	interfaces  []reach.Interface
	descents    map[descent]bool // those that were seen
}

// listen takes the node's port.
func (m *membership) listen() (err error) {
	m.begun, m.anew, m.answered = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	m.suspects = make(chan suspect, mostSuspects)
	if m.ln, err = m.Node.listen(); err != nil {
		return err
	}
	m.interfaces, err = reach.Interfaces()
	return err
}

func (m *membership) address() netip.AddrPort { return m.ln.Addr().(*net.TCPAddr).AddrPort() }

// ways returns where the node may be reached now.
func (m *membership) ways() []lonja.Endpoint { return reach.Order(m.given()) }

// given is what the ways are made of now.
func (m *membership) given() reach.Given {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.address()
	return reach.Given{
		Interfaces: m.interfaces, Port: at.Port(), Listen: at.Addr().Unmap(),
		Mapped: m.mapping.Mapping.Endpoint, Seen: m.observed,
	}
}

// forwarded returns those of the ways that lead here by way of something else.
func (m *membership) forwarded() fileapi.Ways {
	mapped, seen := reach.Forwarded(m.given())
	return fileapi.Ways{Mapped: mapped.AddrPort, Seen: seen.AddrPort}
}

// granted takes in what the directory gave.
func (m *membership) granted(g session.Grant, begun bool) {
	cert, err := m.prove(g)
	if err != nil {
		m.opts.Log.Error("the directory has issued no certificate that is one: peers are not served", slog.Any("error", err))
	}
	before := m.ways()
	m.mu.Lock()
	if err == nil {
		m.certificate = cert
		if set := m.Authority(); m.provedBy == (lonja.PeerID{}) && set != nil {
			m.provedBy = set.Fingerprint()
		}
	}
	if g.Observed.IsValid() {
		m.observed = g.Observed.Addr()
	}
	m.classic = g.Classic
	m.mu.Unlock()
	if !slices.Equal(before, m.ways()) {
		m.keeper.Moved()
	}
	signal(m.answered)
	if begun {
		signal(m.begun)
		signal(m.anew)
	}
}

// signal leaves a token in a channel that holds one.
func signal(token chan<- struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}

// prove makes of a grant what the node proves itself to peers with.
func (m *membership) prove(g session.Grant) (*tls.Certificate, error) {
	set := m.Authority()
	if len(g.Certificate) == 0 || set == nil {
		return nil, lonja.E(lonja.Malformed, "prove", errors.New("there is no certificate, or nobody who has issued it"))
	}
	return authority.MemberCertificate(g.Certificate[0], m.Key, m.user, set)
}

// peers says how the node proves itself to others, and what it takes from them.
func (m *membership) peers() authority.PeerOptions {
	return authority.PeerOptions{
		Set: m.Authority,
		Certificate: func() (*tls.Certificate, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.certificate == nil {
				return nil, lonja.E(lonja.Untrusted, "prove", errors.New("the directory has issued no certificate"))
			}
			return m.certificate, nil
		},
		Revoked:   m.revoked.has,
		Protocols: []string{"http/1.1"},
	}
}

// begin serves and keeps the session in the background, and returns what ends
// that and waits for it. lost is called when the session is gone for good.
func (m *membership) begin(lost func()) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	sorter := firstbyte.New(m.ln, firstbyte.Options{})
	pacer := pacing.New(m.Rates.uploads())
	files := fileserver.New(fileserver.Options{
		Files: guarded{m}, Who: m.who, Changed: m.changed, Pacer: pacer, Near: m.near(), Ways: m.forwarded, Log: m.opts.Log,
	})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return sorter.Run(ctx) })
	group.Go(func() error {
		return files.Serve(ctx, tls.NewListener(sorter.Secure, authority.PeerServerConfig(m.peers())))
	})
	if m.speaksClassic() {
		uploads := upload.New(upload.Options{Files: m.files, SendSize: m.opts.SendSize, Pacer: m.Rates.classic(pacer), Near: m.near(), Log: m.opts.Log})
		group.Go(func() error { return uploads.Serve(ctx, sorter.Classic) })
	} else {
		_ = sorter.Classic.Close()
	}
	group.Go(func() error {
		err := m.keeper.Run(ctx)
		if err != nil {
			lost()
		}
		return err
	})
	group.Go(func() error { return m.watchInterfaces(ctx) })
	group.Go(func() error { return m.watchDirectory(ctx) })
	group.Go(func() error { return m.keepDelisting(ctx) })
	group.Go(func() error { return m.withdrawChanged(ctx) })
	group.Go(func() error { return m.tellFetching(ctx) })
	if m.MapPort {
		group.Go(func() error { return m.mapPort(ctx) })
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := group.Wait(); err != nil {
			level := slog.LevelError
			if m.yields {
				level = slog.LevelDebug // what is fetched comes all the same
			}
			m.opts.Log.Log(context.Background(), level, "files are served no more", slog.Any("user", m.user), slog.Any("error", err))
		}
		cancel()
	}()
	return func() {
		cancel()
		<-ended
	}
}

// speaksClassic reports whether the node's port is open to the classic protocol.
func (m *membership) speaksClassic() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.classic && !m.ClassicOff
}

// who tells whose a connection is, for as long as its key is not revoked, its
// account has not ended, its certificate lasts, and who has signed that is trusted: a
// connection may last longer.
func (m *membership) who(state *tls.ConnectionState) (lonja.Member, error) {
	who, account, err := authority.MemberOf(*state)
	switch {
	case err != nil:
	case m.authorityChanged():
		_, err = authority.StillMember(m.peers(), *state)
	case m.revoked.has(who, account):
		err = lonja.E(lonja.Untrusted, "serve", errors.New("the key was revoked, or the account has ended"))
	case time.Now().After(state.PeerCertificates[0].NotAfter):
		err = lonja.E(lonja.Untrusted, "serve", errors.New("the certificate has run out"))
	}
	return who, err
}

// authorityChanged reports whether the directory's authority is another one than it
// was when the session began, or none that is trusted.
func (m *membership) authorityChanged() bool {
	set := m.Authority()
	m.mu.Lock()
	defer m.mu.Unlock()
	return set == nil || set.Fingerprint() != m.provedBy
}

// interfaceLook is how often it is looked whether this machine has moved to
// another network.
const interfaceLook = 10 * time.Second

func (m *membership) watchInterfaces(ctx context.Context) error {
	for {
		select {
		case <-time.After(interfaceLook):
		case <-ctx.Done():
			return nil
		}
		now, err := reach.Interfaces()
		if err != nil {
			m.opts.Log.Debug("cannot look at the interfaces", slog.Any("error", err))
			continue
		}
		m.mu.Lock()
		same := slices.EqualFunc(now, m.interfaces, func(a, b reach.Interface) bool {
			return a.Name == b.Name && a.Up == b.Up && a.Default == b.Default && slices.Equal(a.Addrs, b.Addrs)
		})
		m.interfaces = now
		m.mu.Unlock()
		if !same {
			m.keeper.Moved()
		}
	}
}

func (m *membership) mapPort(ctx context.Context) error {
	err := portmap.Run(ctx, portmap.Options{Port: m.address().Port(), Log: m.opts.Log, Changed: func(state portmap.State) {
		m.mu.Lock()
		moved := state.Mapping.Endpoint != m.mapping.Mapping.Endpoint
		m.mapping = state
		m.mu.Unlock()
		if moved {
			m.keeper.Moved()
		}
	}})
	if err != nil {
		m.opts.Log.Warn("the router's port may stay mapped for a while", slog.Any("error", err))
	}
	return nil
}

func (m *membership) status() Status {
	s := Status{User: m.user, Session: m.keeper.State(), Ways: m.ways(), Classic: m.speaksClassic()}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.MapPort {
		s.Mapping = "the router was not asked to map the port"
		return s
	}
	s.Mapping, s.Advice = m.mapping.String(), m.mapping.Advice(m.address().Port())
	return s
}

// watchDirectory learns which keys were revoked and whose accounts have ended, and
// compares what is published
// with what the directory has each time that a session begins.
func (m *membership) watchDirectory(ctx context.Context) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return m.watch(watching) })
	for {
		select {
		case <-m.begun:
			m.reassert(ctx)
		case <-ctx.Done():
			stop()
			return group.Wait()
		}
	}
}

// watch hears the directory until ctx ends. When that breaks off, the keeper of the
// session finds out when to ask the directory again, and once it has answered, it is
// heard again: two that come back by themselves would not be spread. That another program
// has taken the session over is the end of it.
func (m *membership) watch(ctx context.Context) error {
	for {
		err := m.Directory.Watch(ctx, m.keeper.Member(), lonja.EventFilter{}, func(e lonja.Event) error {
			return m.heard(ctx, e)
		})
		if ctx.Err() != nil {
			return nil
		}
		m.opts.Log.Debug("the directory is not heard", slog.Any("error", err))
		select {
		case <-m.answered: // of an answer before this
		default:
		}
		if errors.Is(err, lonja.TakenOver) {
			m.keeper.End(err)
			return nil
		}
		m.keeper.Lost()
		select {
		case <-m.answered:
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *membership) heard(ctx context.Context, e lonja.Event) error {
	switch e.Kind {
	case lonja.KeyRevoked:
		m.revoked.add(lonja.Member{User: e.User, Key: e.Key}, e.Account)
	case lonja.EventsLost:
		revocations, err := m.Directory.Revocations(ctx, time.Now().Add(-certificateLife).Unix())
		if err != nil {
			return err
		}
		for _, r := range revocations {
			m.revoked.add(lonja.Member{User: r.User, Key: r.Key}, r.Account)
		}
	}
	return nil
}
