package apiclient

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"lonja"
	"lonja/internal/api"
)

// A Session is what a node is given when it connects or renews.
type Session struct {
	Certificate *Certificate   // nil if there is none, or no new one
	Observed    lonja.Endpoint // what the directory sees the node at
	Node        string         // which node of the directory answered; text of others, to be shown with Printable
	Classic     bool           // the directory speaks the classic dialect too
}

// A Certificate is what a member shows to others.
type Certificate struct {
	Chain       [][]byte // DER, the member's own first
	Authorities [][]byte // DER: whom to know other members by
	NotBefore   time.Time
	NotAfter    time.Time
}

// HalfLife is when it is time for the next certificate.
func (c *Certificate) HalfLife() time.Time { return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2) }

// WayHere stands for the address that the directory sees the node at, with that
// port.
func WayHere(port uint16) lonja.Endpoint { return lonja.EndpointFrom(netip.IPv4Unspecified(), port) }

// Begin is ConnectMember, and returns what the directory gives to the session.
func (c *Client) Begin(ctx context.Context, member lonja.Member, ways []lonja.Endpoint) (Session, error) {
	if err := c.own(lonja.OpConnect.String(), member); err != nil {
		return Session{}, err
	}
	return ask(ctx, c, about(lonja.OpConnect, api.Method_METHOD_CONNECT, member.User),
		&api.ConnectRequest{User: api.Text(member.User), Ways: api.WaysText(ways), Node: api.NodeBytes(member.Node), Yields: member.Yields},
		func(a *api.ConnectAnswer) (Session, error) { return sessionOf(a.Session) })
}

// Renew is RenewMember, and returns what the directory gives to the session:
// with a new certificate, if that is wanted. It is time for one when half of the
// old one's life is gone.
func (c *Client) Renew(ctx context.Context, member lonja.Member, ways []lonja.Endpoint, certificate bool) (Session, error) {
	const op = "RENEW"
	if err := c.own(op, member); err != nil {
		return Session{}, err
	}
	return ask(ctx, c, subject{op: op, method: api.Method_METHOD_RENEW, user: member.User},
		&api.RenewRequest{User: api.Text(member.User), Ways: api.WaysText(ways), Certificate: certificate, Node: api.NodeBytes(member.Node)},
		func(a *api.RenewAnswer) (Session, error) { return sessionOf(a.Session) })
}

func sessionOf(m *api.Session) (s Session, err error) {
	s.Node, s.Classic = m.GetNode(), m.GetClassic()
	if s.Observed, err = api.EndpointOf(m.GetObserved()); err != nil {
		return s, err
	}
	s.Certificate = certificateOf(m.GetCertificate())
	return s, nil
}

func certificateOf(m *api.Certificate) *Certificate {
	if m == nil {
		return nil
	}
	return &Certificate{m.Chain, m.Authorities, time.Unix(m.NotBefore, 0), time.Unix(m.NotAfter, 0)}
}

// Fetching implements lonja.Members.
func (c *Client) Fetching(ctx context.Context, member lonja.Member, files []lonja.FileID) error {
	const op = "FETCHING"
	if err := c.own(op, member); err != nil {
		return err
	}
	return do(ctx, c, subject{op: op, method: api.Method_METHOD_FETCHING, user: member.User},
		&api.FetchingRequest{User: api.Text(member.User), Files: api.FilesBytes(files), Node: api.NodeBytes(member.Node)}, (*api.FetchingAnswer)(nil))
}

// Certificate asks for a certificate of the member without beginning a session,
// which another node of the same key may have: for who only fetches something.
// NoSuchUser, OtherKey; Forbidden for a name that is bound to no key.
func (c *Client) Certificate(ctx context.Context, member lonja.Member) (Certificate, error) {
	const op = "CERTIFICATE"
	if err := c.own(op, member); err != nil {
		return Certificate{}, err
	}
	return ask(ctx, c, subject{op: op, method: api.Method_METHOD_CERTIFICATE, user: member.User},
		&api.CertificateRequest{User: api.Text(member.User)},
		func(a *api.CertificateAnswer) (Certificate, error) {
			if len(a.GetCertificate().GetChain()) == 0 {
				return Certificate{}, errors.New("an answer without a certificate")
			}
			return *certificateOf(a.Certificate), nil
		})
}

// ConnectMember implements lonja.Members.
func (c *Client) ConnectMember(ctx context.Context, member lonja.Member, ways []lonja.Endpoint) error {
	_, err := c.Begin(ctx, member, ways)
	return err
}

// RenewMember implements lonja.Members.
func (c *Client) RenewMember(ctx context.Context, member lonja.Member, ways []lonja.Endpoint) error {
	_, err := c.Renew(ctx, member, ways, false)
	return err
}
