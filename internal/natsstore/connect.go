package natsstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"lonja"
)

// connect connects to the cluster, and waits for it if the Options say so. It
// does not wait for a cluster that is there and does not let us in, or is not
// what it should be: somebody has to mend that first.
func (s *Store) connect(ctx context.Context, o Options) error {
	options, err := s.connectOptions(o)
	if err != nil {
		return lonja.E(lonja.Invalid, "connect to the cluster", printable(err))
	}
	for {
		if s.conn, err = options.Connect(); err == nil {
			return nil
		}
		err = reason(err)
		if s.waiting == nil || !errors.Is(err, lonja.Unavailable) {
			return err
		}
		s.wait(err)
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return lonja.E(lonja.Canceled, "connect to the cluster", ctx.Err())
		}
	}
}

// connectOptions: it connects again for ever, also where it was refused, since
// passwords are changed on one side first; and it never holds writes back for a
// later connection, since by then others may have written.
func (s *Store) connectOptions(o Options) (nats.Options, error) {
	list := []nats.Option{
		nats.Name("lonja directory " + o.Name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond),
		nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(2 * time.Second),
		nats.RetryOnFailedConnect(false),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				s.log.Warn("connection to the cluster lost", "error", lonja.Printable(err.Error()))
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			s.news("")
			s.log.Info("connected to the cluster", "server", lonja.Printable(c.ConnectedServerName()))
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if said := printable(err).Error(); s.news(said) {
				s.log.Warn("cluster client", "error", said)
			}
		}),
	}
	if o.Credentials != "" {
		list = append(list, nats.UserCredentials(o.Credentials))
	}
	if o.CA != "" {
		list = append(list, nats.RootCAs(o.CA))
	}
	if o.Cert != "" || o.Key != "" {
		list = append(list, nats.ClientCert(o.Cert, o.Key))
	}
	options := nats.GetDefaultOptions()
	for server := range strings.SplitSeq(o.Servers, ",") {
		options.Servers = append(options.Servers, strings.TrimSpace(server))
	}
	for _, set := range list {
		if err := set(&options); err != nil {
			return options, err
		}
	}
	return options, checkCredentials(options)
}

// checkCredentials reads the credentials once, so that what is wrong with
// their file does not look like a cluster that is away.
func checkCredentials(o nats.Options) error {
	if o.UserJWT == nil {
		return nil
	}
	if _, err := o.UserJWT(); err != nil {
		return err
	}
	_, err := o.SignatureCB([]byte("a nonce"))
	return err
}

// news reports whether what is to be logged of the connection was not logged
// last: it is tried many times a second.
func (s *Store) news(said string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := said != s.said
	s.said = said
	return is
}

// reason gives the error of an attempt to connect its kind: Unavailable if
// another attempt may do better, else Invalid, with what is to be done.
func reason(err error) error {
	advice := ""
	switch {
	case isAny(err, nats.ErrNoServers):
		return lonja.E(lonja.Unavailable, "connect to the cluster", errNobody)
	case isAny(err, nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired):
		advice = "it does not let this node in with this user and password, or credentials"
	case isAny(err, nats.ErrSecureConnWanted):
		advice = "its servers do not offer TLS"
	case is[*tls.CertificateVerificationError](err):
		advice = "its certificate cannot be trusted; who signs the servers' certificates must be given, and their addresses must stand in them"
	case isAny(err, nats.ErrTLS): // broken off before it was said why; or a gateway whose server is away
		return lonja.E(lonja.Unavailable, "connect to the cluster", fmt.Errorf("it breaks off, perhaps for this node's certificate or because there is none: %w", printable(err)))
	case isAlert(err):
		advice = "it does not take this node's certificate, or there is none"
	case is[*url.Error](err), is[*net.AddrError](err), is[*fs.PathError](err):
		advice = "its address, or a file that is needed, is wrong"
	default:
		return lonja.E(lonja.Unavailable, "connect to the cluster", printable(err))
	}
	return lonja.E(lonja.Invalid, "connect to the cluster", fmt.Errorf("%s: %w", advice, printable(err)))
}

var errNobody = errors.New("none of its servers can be reached")

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// isAlert reports whether err is what the other side of TLS complains of.
func isAlert(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "remote error"
}

// connected returns nil, or why there is no connection now.
func (s *Store) connected() error {
	if s.conn.Status() == nats.CONNECTED {
		return nil
	}
	if err := s.conn.LastError(); err != nil {
		return fmt.Errorf("no connection: %w", printable(err))
	}
	return errNobody
}
