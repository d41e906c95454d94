package bench

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/apiserver"
	"lonja/internal/directory"
	"lonja/internal/dirserver"
	"lonja/internal/identity"
	"lonja/internal/statement"
)

// signedWriters are members who publish over the network, in frames over TLS:
// each signs what it publishes, and the directory checks that.
type signedWriters struct {
	listener net.Listener
	stop     context.CancelFunc
	group    errgroup.Group
	members  []signedWriter
}

type signedWriter struct {
	user   lonja.UserName
	key    identity.Key
	client *apiclient.Client
}

// newSignedWriters starts a directory's port, and connects the members to it.
func newSignedWriters(ctx context.Context, d *directory.Directory, writers int) (_ *signedWriters, err error) {
	shown, _, err := selfSigned()
	if err != nil {
		return nil, err
	}
	s := &signedWriters{members: make([]signedWriter, writers)}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	secure := apiserver.New(apiserver.Options{Directory: d, TLS: &tls.Config{
		Certificates: []tls.Certificate{shown}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13,
	}})
	port := dirserver.New(dirserver.Options{Directory: d, TLS: secure.ServeConn, MaxConns: 4 * writers})
	s.group.Go(func() error { return port.Serve(serving, s.listener) })
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	group, ctx := errgroup.WithContext(ctx)
	for i := range s.members {
		group.Go(func() error { return s.members[i].begin(ctx, s.listener.Addr().String(), i) })
	}
	return s, group.Wait()
}

// begin registers a member with a new key and connects it.
func (w *signedWriter) begin(ctx context.Context, address string, i int) (err error) {
	if w.key, err = identity.NewKey(); err != nil {
		return err
	}
	certificate, err := identity.Certificate(w.key)
	if err != nil {
		return err
	}
	w.user = userName(i)
	w.client = apiclient.New(apiclient.Options{
		Addresses: []string{address}, Timeout: time.Minute, DialTimeout: time.Minute,
		TLS: &tls.Config{Certificates: []tls.Certificate{certificate}, InsecureSkipVerify: true}, // it is measured, not trusted
	})
	member := lonja.Member{User: w.user, Key: w.key.PublicKey()}
	if err := w.client.RegisterMember(ctx, member, ""); err != nil {
		return err
	}
	return w.client.ConnectMember(ctx, member, []lonja.Endpoint{apiclient.WayHere(4445)})
}

// publish signs and publishes the nth listing of a writer.
func (s *signedWriters) publish(ctx context.Context, writer, n int) error {
	w := &s.members[writer]
	listing := writtenListing(writer, n)
	listing.Name = lonja.FileName(listing.Name.Base())
	listing.Proof = &lonja.Proof{Date: time.Now().Unix()}
	binary.BigEndian.PutUint64(listing.Proof.File[:], uint64(writer)<<32|uint64(n+1))
	signed, err := statement.SignPublication(lonja.Publication{Owner: w.user, Listing: listing}, w.key)
	if err != nil {
		return err
	}
	return w.client.Publish(ctx, w.user, signed.Listing)
}

func (s *signedWriters) close() error {
	var errs []error
	for _, w := range s.members {
		if w.client != nil {
			errs = append(errs, w.client.Close())
		}
	}
	s.stop()
	return errors.Join(append(errs, s.group.Wait())...)
}
