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
		if err != nil {
			return nil, err
		}
		var session *api.Session
		if m.WithoutKey || c.key.IsZero() {
			session, err = s.session(c, member, false)
			if err == nil {
				err = s.connectWithoutKey(ctx, c, member.User, ways)
			}
		} else if session, err = s.session(c, member, true); err == nil { // first: a session without one is of no use
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
func (s *Server) connectWithoutKey(ctx context.Context, c *caller, user lonja.UserName, ways []lonja.Endpoint) error {
	if len(ways) == 0 {
		return invalid("no port to be reached at")
	}
	return s.opts.Directory.Connect(ctx, user, lonja.EndpointFrom(c.from.Addr(), ways[0].Port()))
}

// Renew implements the method of lonja.v1.
func (s *Server) Renew(ctx context.Context, m *api.RenewRequest) (*api.RenewAnswer, error) {
	return perform(ctx, s, request{method: "Renew", user: m.User}, func(c *caller, member lonja.Member) (*api.RenewAnswer, error) {
		ways, err := waysOf(m.Ways, c)
		if err != nil {
			return nil, err
		}
		if err := s.opts.Directory.RenewMember(ctx, member, ways); err != nil {
			return nil, err
		}
		session, err := s.session(c, member, m.Certificate)
		return &api.RenewAnswer{Session: session}, err
	})
}

// Disconnect implements the method of lonja.v1.
func (s *Server) Disconnect(ctx context.Context, m *api.DisconnectRequest) (*api.DisconnectAnswer, error) {
	r := request{method: "Disconnect", user: m.User, operation: lonja.OpDisconnect.String()}
	return perform(ctx, s, r, func(c *caller, member lonja.Member) (*api.DisconnectAnswer, error) {
		if err := s.opts.Directory.Disconnect(ctx, member.User); err != nil {
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

// session is what a node is given, with a new certificate if one is wanted.
func (s *Server) session(c *caller, member lonja.Member, certificate bool) (*api.Session, error) {
	session := &api.Session{Observed: observed(c.from), Node: s.opts.Node, Classic: s.opts.Classic}
	if !certificate || s.opts.Issue == nil || member.Key.IsZero() {
		return session, nil
	}
	var err error
	session.Certificate, err = s.issue(member)
	return session, err
}

func (s *Server) issue(member lonja.Member) (*api.Certificate, error) {
	issued, err := s.opts.Issue(member)
	if err != nil {
		return nil, err
	}
	return &api.Certificate{
		Chain: issued.Chain, Authorities: issued.Authorities,
		NotBefore: issued.NotBefore.Unix(), NotAfter: issued.NotAfter.Unix(),
	}, nil
}

// Certificate implements the method of lonja.v1. Anybody may act for a name that
// is bound to no key, so no certificate says whose it is.
func (s *Server) Certificate(ctx context.Context, m *api.CertificateRequest) (*api.CertificateAnswer, error) {
	r := request{method: "Certificate", user: m.User}
	return perform(ctx, s, r, func(c *caller, member lonja.Member) (*api.CertificateAnswer, error) {
		switch {
		case member.Key.IsZero():
			return nil, lonja.E(lonja.Forbidden, "CERTIFICATE", errNoKey)
		case s.opts.Issue == nil:
			return nil, lonja.E(lonja.Forbidden, "CERTIFICATE", errors.New("this directory issues none"))
		}
		keys, err := s.opts.Directory.Keys(ctx, member.User)
		if err != nil {
			return nil, err
		}
		if len(keys) == 0 {
			return nil, lonja.E(lonja.Forbidden, "CERTIFICATE", errors.New("the name is bound to no key: claim it first"))
		}
		certificate, err := s.issue(member)
		return &api.CertificateAnswer{Certificate: certificate, Observed: observed(c.from)}, err
	})
}

func observed(from netip.AddrPort) string {
	if !from.IsValid() {
		return ""
	}
	return from.String()
}
