package authority

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"lonja"
	"lonja/internal/peercert"
)

// base is what all configurations have in common. Without tickets no connection
// resumes another: each one is checked whole.
func base(protocols []string, clock func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             protocols,
		SessionTicketsDisabled: true,
		Time:                   clock,
	}
}

// ServerConfig returns the configuration of a directory's own server. It takes
// any client that proves an Ed25519 key, with any certificate: whose key it is,
// the directory knows, and KeyOf tells which. A client that shows none is taken
// too, and proves nothing. Protocols are those of ALPN.
func (a *Authority) ServerConfig(protocols []string) *tls.Config {
	c := base(protocols, a.opts.Clock)
	c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.serverCertificate() }
	c.ClientAuth = tls.RequestClientCert
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return nil
		}
		_, err := KeyOf(cs)
		return err
	}
	return c
}

// KeyOf returns the key that the other side of a connection has proved to hold,
// and nothing about whose it is. The error is of kind Untrusted.
func KeyOf(cs tls.ConnectionState) (lonja.PublicKey, error) {
	leaf, err := leafOf(cs)
	if err != nil {
		return lonja.PublicKey{}, err
	}
	return peercert.KeyOf(leaf)
}

// leafOf returns the certificate of the other side.
func leafOf(cs tls.ConnectionState) (*x509.Certificate, error) {
	switch n := len(cs.PeerCertificates); {
	case n == 0:
		return nil, untrusted("check certificate", errors.New("the other side has shown none"))
	case n > maxCertificates:
		return nil, untrusted("check certificate", fmt.Errorf("the other side has shown %d, and at most %d make sense", n, maxCertificates))
	}
	return cs.PeerCertificates[0], nil
}

// DirectoryOptions say how a node knows its directory.
type DirectoryOptions struct {
	// Pinned are the fingerprints of which one must be the directory's, or lead
	// to it by the proof of a rotation. What a connection has accepted beside
	// them, by FirstContact or by a proof, is pinned for the next ones of the
	// same configuration.
	Pinned []lonja.PeerID
	// Read returns what is pinned now, for each connection, in the place of Pinned and
	// of what earlier connections have accepted: a person may have changed it. Who
	// gives it also keeps what FirstContact and Rotated tell. It may be nil.
	Read func() ([]lonja.PeerID, error)
	// FirstContact is called when nothing is pinned, with the fingerprint that
	// the directory has proved; an error ends the connection. Nil stands for one
	// of kind Untrusted.
	FirstContact func(lonja.PeerID) error
	// Rotated is called when a proof has led from a pinned fingerprint to the
	// directory's: that one is to be pinned too. It may be nil.
	Rotated func(Rotation)
	// Certificate is what the node proves its key with: identity.Certificate.
	Certificate tls.Certificate
	Protocols   []string         // of ALPN
	Clock       func() time.Time // time.Now if nil
}

// DirectoryClientConfig returns the configuration of a node that connects to a
// directory. Names of hosts and the system's authorities mean nothing to it.
// Errors of the handshake are of kind Untrusted; that of a directory that is not
// the one pinned is an UnknownAuthorityError.
func DirectoryClientConfig(o DirectoryOptions) *tls.Config {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	c := base(o.Protocols, o.Clock)
	c.Certificates = []tls.Certificate{o.Certificate}
	c.InsecureSkipVerify = true // it looks for the names of hosts; VerifyConnection does all that counts
	known := &acquaintance{pinned: slices.Clone(o.Pinned), until: make(map[lonja.PeerID]time.Time)}
	c.VerifyConnection = func(cs tls.ConnectionState) error { return o.verify(cs, known) }
	return c
}

// An acquaintance is what a configuration knows of its directory: what was
// pinned when it was made, and what its connections have accepted since.
type acquaintance struct {
	mu     sync.Mutex
	pinned []lonja.PeerID
	until  map[lonja.PeerID]time.Time // of those that a rotation has replaced
}

// at returns what is pinned at now.
func (a *acquaintance) at(now time.Time) []lonja.PeerID {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pinned = slices.DeleteFunc(a.pinned, func(id lonja.PeerID) bool {
		end, ends := a.until[id]
		return ends && now.After(end)
	})
	return slices.Clone(a.pinned)
}

func (a *acquaintance) pin(id lonja.PeerID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.pinned, id) {
		a.pinned = append(a.pinned, id)
	}
}

func (a *acquaintance) rotate(r Rotation) {
	a.pin(r.To)
	a.mu.Lock()
	defer a.mu.Unlock()
	if end, ends := a.until[r.From]; !ends || r.Until.Before(end) {
		a.until[r.From] = r.Until
	}
}

func (o DirectoryOptions) verify(cs tls.ConnectionState, known *acquaintance) error {
	leaf, err := leafOf(cs)
	if err != nil {
		return err
	}
	set, err := SetOf(cs)
	if err != nil {
		return err
	}
	if _, err := peercert.KeyOf(leaf); err != nil {
		return err
	}
	if err := set.verify(leaf, nil, x509.ExtKeyUsageServerAuth, o.Clock()); err != nil {
		return untrusted("check directory", err)
	}
	if err := peercert.CheckDirectory(leaf); err != nil {
		return err
	}
	pinned := known.at(o.Clock())
	if o.Read != nil {
		if pinned, err = o.Read(); err != nil {
			return err
		}
	}
	if len(pinned) == 0 && o.FirstContact != nil {
		if err := o.FirstContact(set.Fingerprint()); err != nil {
			return err
		}
		known.pin(set.Fingerprint())
		return nil
	}
	rotation, err := set.FollowsFrom(pinned, o.Clock())
	if err != nil || rotation == nil {
		return err
	}
	known.rotate(*rotation)
	if o.Rotated != nil {
		o.Rotated(*rotation)
	}
	return nil
}

// SetOf returns the Set that a directory has shown in the handshake of a
// connection that DirectoryClientConfig let through. The error is of kind
// Untrusted.
func SetOf(cs tls.ConnectionState) (*Set, error) {
	if _, err := leafOf(cs); err != nil {
		return nil, err
	}
	set, err := newSet(cs.PeerCertificates[1:])
	if err != nil {
		return nil, untrusted("check directory", err)
	}
	return set, nil
}
