package authority

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"lonja"
	"lonja/internal/peercert"
)

// PeerOptions say how a node proves itself to peers, and what it takes from
// them. The functions are called for each connection, by any number at once.
type PeerOptions struct {
	// Set returns the authority of the directory, as it was proved last: SetOf. Nil:
	// none is trusted now, and so no peer.
	Set func() *Set
	// Certificate returns the node's own: MemberCertificate.
	Certificate func() (*tls.Certificate, error)
	// Revoked reports whether the directory has taken the key back, or the account
	// of that number has ended, although the certificate lasts.
	Revoked   func(m lonja.Member, account uint64) bool
	Protocols []string         // of ALPN
	Clock     func() time.Time // time.Now if nil
}

// Expected says whom a node means to reach.
type Expected struct {
	User lonja.UserName
	// Keys are those of which the peer must hold one: the key that the directory
	// told, if it follows from the one that is pinned.
	Keys []lonja.PublicKey
}

// PeerServerConfig returns the configuration of a node that others connect to:
// it takes every member of the directory, and MemberOf tells which.
func PeerServerConfig(o PeerOptions) *tls.Config {
	c := o.base()
	c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return o.Certificate() }
	c.ClientAuth = tls.RequireAnyClientCert
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		_, err := o.verify(cs, x509.ExtKeyUsageClientAuth)
		return err
	}
	return c
}

// PeerClientConfig returns the configuration of a node that connects to a peer,
// which must be who is expected. That the peer takes this node too shows when
// something is read: in TLS 1.3 a client is done before the server has looked at
// its certificate.
func PeerClientConfig(o PeerOptions, e Expected) *tls.Config {
	c := o.base()
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return o.Certificate() }
	c.InsecureSkipVerify = true // it looks for the names of hosts; VerifyConnection does all that counts
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		m, err := o.verify(cs, x509.ExtKeyUsageServerAuth)
		if err != nil {
			return err
		}
		return e.check(m)
	}
	return c
}

func (o *PeerOptions) base() *tls.Config {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return base(o.Protocols, o.Clock)
}

// verify returns the member on the other side.
func (o PeerOptions) verify(cs tls.ConnectionState, usage x509.ExtKeyUsage) (lonja.Member, error) {
	leaf, err := leafOf(cs)
	if err != nil {
		return lonja.Member{}, err
	}
	if _, err := peercert.KeyOf(leaf); err != nil {
		return lonja.Member{}, err
	}
	set := o.Set()
	if set == nil {
		return lonja.Member{}, untrusted("check peer", errors.New("no authority of the directory is trusted now"))
	}
	if err := set.verify(leaf, cs.PeerCertificates[1:], usage, o.Clock()); err != nil {
		return lonja.Member{}, untrusted("check peer", err)
	}
	m, err := peercert.MemberOf(leaf)
	if err != nil {
		return lonja.Member{}, err
	}
	if o.Revoked(m, peercert.AccountOf(leaf)) {
		return lonja.Member{}, &lonja.Error{
			Kind: lonja.Untrusted, Op: "check peer", User: m.User,
			Err: errors.New("its key has been revoked, or its account has ended"),
		}
	}
	return m, nil
}

// StillMember returns the member on the other side of a connection that
// PeerServerConfig let through, if it would now. The error is of kind Untrusted.
func StillMember(o PeerOptions, cs tls.ConnectionState) (lonja.Member, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o.verify(cs, x509.ExtKeyUsageClientAuth)
}

// check returns nil if the member is the one that is expected.
func (e Expected) check(m lonja.Member) error {
	var err error
	switch {
	case m.User != e.User:
		err = fmt.Errorf("it belongs to %q", lonja.Printable(string(m.User)))
	case !slices.Contains(e.Keys, m.Key):
		err = fmt.Errorf("it holds the key %s, which is not the one that is trusted for this user", m.Key.ID())
	default:
		return nil
	}
	return &lonja.Error{Kind: lonja.Untrusted, Op: "check peer", User: e.User, Err: err}
}

// MemberOf returns the member that the other side of a connection has proved to
// be, and the number of its account, if PeerServerConfig or PeerClientConfig let
// it through. The error is of kind Untrusted.
func MemberOf(cs tls.ConnectionState) (m lonja.Member, account uint64, err error) {
	leaf, err := leafOf(cs)
	if err != nil {
		return m, 0, err
	}
	m, err = peercert.MemberOf(leaf)
	return m, peercert.AccountOf(leaf), err
}
