package bench

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"

	"lonja"
	"lonja/internal/api"
	"lonja/internal/api/apiconnect"
	"lonja/internal/apiclient"
	"lonja/internal/apiserver"
	"lonja/internal/dirclient"
	"lonja/internal/directory"
	"lonja/internal/dirserver"
	"lonja/internal/frames"
	"lonja/internal/limits"
	"lonja/internal/telemetry"
)

// An apiStage is the servers of RunAPI: the directory's port, and bare ones.
type apiStage struct {
	name   lonja.FileName // what is asked for
	config *tls.Config    // of clients
	answer []byte         // what the directory answers
	port   net.Listener   // both dialects
	bare   map[APILoad]net.Listener
	http   *http.Server
	stop   context.CancelFunc
	group  errgroup.Group
}

// selfSigned makes a certificate of a new key.
func selfSigned() (tls.Certificate, *x509.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"bench"}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, public, private)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf}, leaf, err
}

// serverUser asks for all nodes: a name without a key.
const apiUser = lonja.UserName("person000000")

func newAPIStage(ctx context.Context, d *directory.Directory, nodes int) (*apiStage, error) {
	own, leaf, err := selfSigned()
	if err != nil {
		return nil, err
	}
	shown, _, err := selfSigned()
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	s := &apiStage{bare: make(map[APILoad]net.Listener), config: &tls.Config{
		RootCAs: roots, ServerName: "bench", Certificates: []tls.Certificate{shown}, MinVersion: tls.VersionTLS13,
	}}
	// No tickets, as the directory has none.
	config := &tls.Config{
		Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert,
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true,
	}
	if err := s.find(ctx, d); err != nil {
		return nil, err
	}
	ctx, s.stop = context.WithCancel(ctx)
	if err := s.listen(); err != nil {
		return nil, err
	}
	port := serveAsPeopleDo(d, config, 4*nodes)
	s.group.Go(func() error { return port.Serve(ctx, s.port) })
	s.group.Go(func() error { return acceptBare(s.bare[BareFrames], func(conn net.Conn) { s.echo(ctx, conn, config) }) })
	s.group.Go(func() error {
		return acceptBare(s.bare[BareHandshakes], func(conn net.Conn) {
			_ = tls.Server(conn, config).Handshake()
			_, _ = io.Copy(io.Discard, conn)
		})
	})
	var answer api.HoldersAnswer
	if err := answer.UnmarshalVT(s.answer); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(apiconnect.NewDirectoryHandler(bareDirectory{answer: &answer}, connect.WithCompressMinBytes(1<<10)))
	overHTTP := config.Clone()
	overHTTP.NextProtos = []string{apiserver.ProtocolHTTP}
	s.http = &http.Server{Handler: mux, TLSConfig: overHTTP}
	s.group.Go(func() error { return ignoreClosed(s.http.Serve(tls.NewListener(s.bare[BareConnect], overHTTP))) })
	return s, nil
}

// unlimited is a limit that nobody comes to: it is counted all the same.
const unlimited = 1 << 30

// serveAsPeopleDo returns the port of a directory with all that the program has
// around it: metrics of each operation, limits for each address and user, also for
// this machine, and a line for each request, which nobody reads.
func serveAsPeopleDo(d *directory.Directory, config *tls.Config, maxConns int) *dirserver.Server {
	metrics := telemetry.NewMetrics("bench")
	limiter := limits.New(limits.Options{
		ConnectionsPerAddress: unlimited, OperationsPerAddress: unlimited, OperationsPerUser: unlimited, Loopback: true,
	}, time.Now())
	var port *dirserver.Server
	secure := apiserver.New(apiserver.Options{
		Directory: metrics.InstrumentMembers(d), TLS: config, Limits: limiter, Journal: journal{&port},
	})
	port = dirserver.New(dirserver.Options{
		Directory: metrics.InstrumentMembers(d), TLS: secure.ServeConn, Limits: limiter, Limited: metrics.Limited,
		Announce: io.Discard, MaxConns: maxConns,
	})
	return port
}

// A journal is that of a port that comes later.
type journal struct{ port **dirserver.Server }

func (j journal) Announce(operation string, user lonja.UserName, timestamp string) {
	(*j.port).Announce(operation, user, timestamp)
}

func (j journal) Failed(operation string, err error)          { (*j.port).Failed(operation, err) }
func (j journal) Refused(reason limits.Reason, from net.Addr) { (*j.port).Refused(reason, from) }

// find looks for a name that some ten have, and keeps what is answered for it.
func (s *apiStage) find(ctx context.Context, d *directory.Directory) error {
	page, err := d.Search(ctx, apiUser, lonja.Query{Limit: lonja.MaxFound})
	if err != nil {
		return err
	}
	for _, f := range page.Found {
		if f.Holders <= sharedBy {
			s.name = f.Listing.Name
			break
		}
	}
	holders, _, err := d.HoldersPage(ctx, apiUser, lonja.Wanted{Name: s.name}, "", 0)
	if err != nil {
		return err
	}
	answer := &api.HoldersAnswer{}
	for i := range holders {
		answer.Holders = append(answer.Holders, api.FromHolder(&holders[i]))
	}
	s.answer, err = answer.MarshalVT()
	return err
}

func (s *apiStage) listen() (err error) {
	for _, l := range []APILoad{BareFrames, BareConnect, BareHandshakes} {
		if s.bare[l], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	s.port, err = net.Listen("tcp", "127.0.0.1:0")
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// acceptBare serves each connection in a goroutine, until ln is closed and all
// of them are.
func acceptBare(ln net.Listener, serve func(net.Conn)) error {
	var group errgroup.Group
	for {
		conn, err := ln.Accept()
		if err != nil {
			_ = group.Wait()
			return ignoreClosed(err)
		}
		group.Go(func() error {
			defer conn.Close()
			serve(conn)
			return nil
		})
	}
}

func (s *apiStage) echo(ctx context.Context, conn net.Conn, config *tls.Config) {
	config = config.Clone()
	config.NextProtos = []string{apiserver.ProtocolFrames}
	_ = frames.Serve(ctx, tls.Server(conn, config), bareService{s.answer}, frames.ServerOptions{})
}

// A bareService answers everything with the same bytes.
type bareService struct{ answer []byte }

func (bareService) Way(uint16) frames.Way { return frames.Inline }

func (b bareService) Answer(_ context.Context, _ uint16, _, to []byte) ([]byte, error) {
	return append(to, b.answer...), nil
}

func (bareService) Stream(context.Context, uint16, []byte, func([]byte) error) error { return nil }

// bareDirectory answers Holders with the same message.
type bareDirectory struct {
	apiconnect.UnimplementedDirectoryHandler
	answer *api.HoldersAnswer
}

func (b bareDirectory) Holders(context.Context, *api.HoldersRequest) (*api.HoldersAnswer, error) {
	return b.answer, nil
}

func (s *apiStage) close() error {
	s.stop()
	for _, ln := range s.bare {
		_ = ln.Close()
	}
	return errors.Join(s.http.Close(), s.group.Wait())
}

// clients returns what each of n clients does, and what ends them.
func (s *apiStage) clients(l APILoad, n int) (ask func(context.Context, int) error, end func(), err error) {
	switch l {
	case BareFrames:
		return s.frameClients(n)
	case FrameReads:
		clients := make([]*apiclient.Client, n)
		for i := range clients {
			clients[i] = apiclient.New(apiclient.Options{Addresses: []string{s.port.Addr().String()}, TLS: s.config})
		}
		return func(ctx context.Context, i int) error {
				_, _, err := clients[i].HoldersPage(ctx, apiUser, lonja.Wanted{Name: s.name}, "", 0)
				return err
			}, func() {
				for _, c := range clients {
					_ = c.Close()
				}
			}, nil
	case ClassicReads:
		c := dirclient.New(dirclient.Options{Address: s.port.Addr().String()})
		return func(ctx context.Context, _ int) error {
			_, err := c.Holders(ctx, apiUser, s.name)
			return err
		}, func() {}, nil
	case BareConnect:
		return s.connectClients(s.bare[l].Addr().String(), n)
	case ConnectReads:
		return s.connectClients(s.port.Addr().String(), n)
	case BareHandshakes:
		return s.handshakes(s.bare[l].Addr().String())
	case Handshakes:
		return s.handshakes(s.port.Addr().String())
	}
	return nil, nil, fmt.Errorf("no load %d", l)
}

func (s *apiStage) frameClients(n int) (func(context.Context, int) error, func(), error) {
	clients := make([]*frames.Client, 0, n)
	end := func() {
		for _, c := range clients {
			_ = c.Close()
		}
	}
	config := s.config.Clone()
	config.NextProtos = []string{apiserver.ProtocolFrames}
	body, err := (&api.HoldersRequest{User: string(apiUser), Name: string(s.name)}).MarshalVT()
	for range n {
		var conn *tls.Conn
		if err == nil {
			conn, err = tls.Dial("tcp", s.bare[BareFrames].Addr().String(), config)
		}
		if err != nil {
			end()
			return nil, nil, err
		}
		c, failed := frames.NewClient(context.Background(), conn, frames.ClientOptions{})
		if failed != nil {
			end()
			return nil, nil, failed
		}
		clients = append(clients, c)
	}
	return func(ctx context.Context, i int) error {
		_, err := clients[i].Call(ctx, uint16(api.Method_METHOD_HOLDERS), body)
		return err
	}, end, nil
}

func (s *apiStage) connectClients(address string, n int) (func(context.Context, int) error, func(), error) {
	transport := &http.Transport{TLSClientConfig: s.config.Clone(), MaxIdleConnsPerHost: n, MaxConnsPerHost: n}
	c := apiconnect.NewDirectoryClient(&http.Client{Transport: transport}, "https://"+address)
	request := &api.HoldersRequest{User: string(apiUser), Name: string(s.name)}
	return func(ctx context.Context, _ int) error {
		_, err := c.Holders(ctx, request)
		return err
	}, transport.CloseIdleConnections, nil
}

// handshakes opens a connection, and closes it when the server has it: it says so
// by what it sends next, which for the bare one is its end.
func (s *apiStage) handshakes(address string) (func(context.Context, int) error, func(), error) {
	config := s.config.Clone()
	config.NextProtos = []string{apiserver.ProtocolHTTP}
	return func(ctx context.Context, _ int) error {
		conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}, func() {}, nil
}
