package localnet

import (
	"context"
	"crypto/tls"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/apiserver"
	"lonja/internal/authority"
	"lonja/internal/directory"
	"lonja/internal/dirserver"
	"lonja/internal/hashing"
	"lonja/internal/identity"
	"lonja/internal/limits"
	"lonja/internal/link"
	"lonja/internal/node"
	"lonja/internal/oplog"
	"lonja/internal/outboards"
	"lonja/internal/trust"
)

// newServer returns what serves both dialects with dir, with an authority that is
// made for it.
func (n *Network) newServer(dir *directory.Directory, records *oplog.Client) (*dirserver.Server, error) {
	a, _, err := authority.Open(authority.Options{Dir: filepath.Join(n.opts.Dir, "directory")})
	if err != nil {
		return nil, err
	}
	n.Fingerprint = a.Fingerprint()
	var secure *apiserver.Server // made after who announces for it
	server := dirserver.New(dirserver.Options{
		Directory: dir, Record: records.Record, Announce: n.opts.Operations, Log: n.opts.Log,
		TLS: func(ctx context.Context, conn net.Conn, visit limits.Visit) { secure.ServeConn(ctx, conn, visit) },
	})
	secure = apiserver.New(apiserver.Options{
		Directory: dir, TLS: a.ServerConfig([]string{apiserver.ProtocolFrames, apiserver.ProtocolHTTP}), Classic: true,
		Issue:   func(m lonja.Member, account uint64) (apiserver.Certificate, error) { return issue(a, m, account) },
		Journal: server, Record: records.Record, Log: n.opts.Log,
	})
	return server, nil
}

func issue(a *authority.Authority, m lonja.Member, account uint64) (apiserver.Certificate, error) {
	der, err := a.Issue(m, account, authority.DefaultLifetime)
	now := time.Now()
	return apiserver.Certificate{Chain: [][]byte{der}, NotBefore: now, NotAfter: now.Add(authority.DefaultLifetime)}, err
}

// Address returns where the directory is.
func (n *Network) Address() link.Address {
	return link.Address{Host: n.Directory.Addr().String(), Port: n.Directory.Port()}
}

// NewNode returns a node with a key and a state of its own, named after who will
// use it, and changed in other ways if the caller wishes. It speaks the secure
// dialect. The caller closes it before the Network.
func (n *Network) NewNode(name string, change ...func(*node.Options)) (*node.Node, error) {
	state := filepath.Join(n.opts.Dir, "state", name)
	key, _, err := identity.File{Dir: state}.LoadOrMake()
	if err != nil {
		return nil, err
	}
	own, err := identity.Certificate(key)
	if err != nil {
		return nil, err
	}
	pins := trust.New(state, nil)
	if err := pins.PinDirectory(n.Address(), n.Fingerprint); err != nil {
		return nil, err
	}
	var proved atomic.Pointer[authority.Set]
	client := apiclient.New(apiclient.Options{
		Addresses: []string{n.Directory.String()}, TLS: n.proves(own, &proved), Log: n.opts.Log,
	})
	hashes := hashing.NewCache(hashing.CacheOptions{})
	trees := outboards.New(filepath.Join(state, "outboards"), outboards.Options{Log: n.opts.Log})
	n.closed = append([]func(){func() {
		_ = client.Close()
		_ = trees.Close()
		_ = hashes.Close()
	}}, n.closed...)
	opts := node.Options{
		Directory: client, DirectoryName: n.Directory.String(), StateDir: state,
		Listen: net.JoinHostPort(loopback, "0"), Log: n.opts.Log,
		Secure: &node.SecureOptions{
			Directory: client, Key: key, Authority: proved.Load,
			Pins: pins.UsersOf(n.Fingerprint), Hashes: hashes, Outboards: trees,
		},
	}
	for _, c := range change {
		c(&opts)
	}
	return node.New(opts), nil
}

// proves returns how a node with that certificate knows the directory. What the
// directory proves goes to proved.
func (n *Network) proves(own tls.Certificate, proved *atomic.Pointer[authority.Set]) *tls.Config {
	config := authority.DirectoryClientConfig(authority.DirectoryOptions{
		Pinned: []lonja.PeerID{n.Fingerprint}, Certificate: own,
	})
	verify := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if err := verify(state); err != nil {
			return err
		}
		set, err := authority.SetOf(state)
		proved.Store(set)
		return err
	}
	return config
}
