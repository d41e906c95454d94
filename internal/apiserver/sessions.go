package apiserver

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"lonja"
	"lonja/internal/api"
)

// Connect implements the method of lonja.v1.
func (s *Server) Connect(ctx context.Context, m *api.ConnectRequest) (*api.ConnectAnswer, error) {
	r := request{method: "Connect", user: m.User, operation: lonja.OpConnect.String()}
	return perform(ctx, s, r, func(c *caller, member lonja.Member) (*api.ConnectAnswer, error) {
		ways, err := waysOf(m.Ways, c)
		if err == nil {
			member.Node, err = api.NodeOf(m.Node)
			member.Yields = m.Yields
		}
		if err != nil {
			return nil, err
		}
		var session *api.Session
		if m.WithoutKey || c.key.IsZero() {
			session, err = s.session(ctx, c, member, false)
			if err == nil {
				err = s.connectWithoutKey(ctx, c, member, ways)
			}
		} else if session, err = s.session(ctx, c, member, true); err == nil { // first: a session without one is of no use
			err = s.opts.Directory.ConnectMember(ctx, member, ways)
		}
		if err != nil {
			return nil, err
		}
		if c.inFrames {
			c.user.Store(&member.User)
		}
		return &api.ConnectAnswer{Session: session}, nil
	})
}

// connectWithoutKey does what CONNECT does in the classic dialect.
func (s *Server) connectWithoutKey(ctx context.Context, c *caller, member lonja.Member, ways []lonja.Endpoint) error {
	if len(ways) == 0 {
		return invalid("no port to be reached at")
	}
	return s.opts.Directory.ConnectWithoutKey(ctx, member, lonja.EndpointFrom(c.from.Addr(), ways[0].Port()))
}

// Renew implements the method of lonja.v1.
func (s *Server) Renew(ctx context.Context, m *api.RenewRequest) (*api.RenewAnswer, error) {
	return perform(ctx, s, request{method: "Renew", user: m.User}, func(c *caller, member lonja.Member) (*api.RenewAnswer, error) {
		ways, err := waysOf(m.Ways, c)
		if err == nil {
			member.Node, err = api.NodeOf(m.Node)
		}
		if err != nil {
			return nil, err
		}
		if err := s.opts.Directory.RenewMember(ctx, member, ways); err != nil {
			return nil, err
		}
		vouches := s.opts.Authority() // before the certificate is made: a later one is told of next time
		session, err := s.session(ctx, c, member, m.Certificate || *c.vouches.Load() != vouches)
		if err == nil && c.inFrames { // over HTTP it may be asked for several
			c.vouches.Store(&vouches)
		}
		return &api.RenewAnswer{Session: session}, err
	})
}

// Fetching implements the method of lonja.v1.
func (s *Server) Fetching(ctx context.Context, m *api.FetchingRequest) (*api.FetchingAnswer, error) {
	return perform(ctx, s, request{method: "Fetching", user: m.User}, func(_ *caller, member lonja.Member) (*api.FetchingAnswer, error) {
		files, err := api.FilesOf(m.Files, lonja.MaxFetching)
		if err == nil {
			member.Node, err = api.NodeOf(m.Node)
		}
		if err != nil {
			return nil, err
		}
		return &api.FetchingAnswer{}, s.opts.Directory.Fetching(ctx, member, files)
	})
}

// Disconnect implements the method of lonja.v1.
func (s *Server) Disconnect(ctx context.Context, m *api.DisconnectRequest) (*api.DisconnectAnswer, error) {
	r := request{method: "Disconnect", user: m.User, operation: lonja.OpDisconnect.String()}
	return perform(ctx, s, r, func(c *caller, member lonja.Member) (*api.DisconnectAnswer, error) {
		var err error
		if member.Node, err = api.NodeOf(m.Node); err == nil {
			err = s.opts.Directory.DisconnectMember(ctx, member)
		}
		if err != nil {
			return nil, err
		}
		if bound := c.user.Load(); bound != nil && *bound == member.User {
			c.user.CompareAndSwap(bound, nil)
		}
		return &api.DisconnectAnswer{}, nil
	})
}

// waysOf checks where a node may be reached, and puts the address that it is
// seen at where it leaves that to the directory.
func waysOf(list []string, c *caller) ([]lonja.Endpoint, error) {
	ways, err := api.WaysOf(list)
	if err != nil {
		return nil, err
	}
	for i, at := range ways {
		if at.Addr().IsUnspecified() && c.from.IsValid() {
			ways[i] = lonja.EndpointFrom(c.from.Addr(), at.Port())
		}
	}
	return slices.CompactFunc(ways, func(a, b lonja.Endpoint) bool { return a == b }), nil
}

// session is what a node is given, with a new certificate if one is wanted and
// the name is bound to the node's key.
func (s *Server) session(ctx context.Context, c *caller, member lonja.Member, certificate bool) (*api.Session, error) {
	session := &api.Session{Observed: observed(c.from), Node: s.opts.Node, Classic: s.opts.Classic}
	if !certificate || s.opts.Issue == nil || member.Key.IsZero() {
		return session, nil
	}
	var err error
	session.Certificate, err = s.issue(ctx, member)
	return session, err
}

// issue makes the certificate of a member, or none if its name is bound to no
// key: anybody may act for such a name, so nothing says whose it is. It looks
// again once the certificate is made. So each one that is given away is of a key
// that was the account's when it had been made, and whatever ends that later (a
// revocation, the end of the account) tells peers not to take it.
func (s *Server) issue(ctx context.Context, member lonja.Member) (*api.Certificate, error) {
	account, err := s.opts.Directory.Account(ctx, member)
	if err != nil || account == 0 {
		return nil, err
	}
	issued, err := s.opts.Issue(member, account)
	if err != nil {
		return nil, err
	}
	now, err := s.opts.Directory.Account(ctx, member)
	if err == nil && now != account {
		err = &lonja.Error{Kind: lonja.NoSuchUser, Op: "certify", User: member.User, Err: errors.New("another account has the name")}
	}
	if err != nil {
		return nil, err
	}
	return &api.Certificate{
		Chain: issued.Chain, Authorities: issued.Authorities,
		NotBefore: issued.NotBefore.Unix(), NotAfter: issued.NotAfter.Unix(),
	}, nil
}

// Certificate implements the method of lonja.v1.
func (s *Server) Certificate(ctx context.Context, m *api.CertificateRequest) (*api.CertificateAnswer, error) {
	r := request{method: "Certificate", user: m.User}
	return perform(ctx, s, r, func(c *caller, member lonja.Member) (*api.CertificateAnswer, error) {
		switch {
		case member.Key.IsZero():
			return nil, lonja.E(lonja.Forbidden, "CERTIFICATE", errNoKey)
		case s.opts.Issue == nil:
			return nil, lonja.E(lonja.Forbidden, "CERTIFICATE", errors.New("this directory issues none"))
		}
		certificate, err := s.issue(ctx, member)
		if err == nil && certificate == nil {
			err = lonja.E(lonja.Forbidden, "CERTIFICATE", errors.New("the name is bound to no key: claim it first"))
		}
		return &api.CertificateAnswer{Certificate: certificate, Observed: observed(c.from)}, err
	})
}

func observed(from netip.AddrPort) string {
	if !from.IsValid() {
		return ""
	}
	return from.String()
}
