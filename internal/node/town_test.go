package node

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/apiserver"
	"lonja/internal/authority"
	"lonja/internal/directory"
	"lonja/internal/dirserver"
	"lonja/internal/hashing"
	"lonja/internal/identity"
	"lonja/internal/link"
	"lonja/internal/memstore"
	"lonja/internal/outboards"
	"lonja/internal/store"
	"lonja/internal/trust"
)

// patience bounds what these tests wait for; nothing takes that long.
const patience = 30 * time.Second

// A town is a directory with an authority, and the nodes of its members, over TLS
// on the loopback interface.
type town struct {
	*testing.T
	store     store.Store
	rules     *directory.Directory // on store
	authority *authority.Authority
	ports     []*port
	dialled   func() // a node has connected to the directory; nil: nobody is told
}

// A port is a node of the directory.
type port struct {
	at   string
	stop func() // ends it, and waits for that
}

func newTown(t *testing.T) *town {
	t.Helper()
	a, _, err := authority.Open(authority.Options{Dir: filepath.Join(t.TempDir(), "authority")})
	if err != nil {
		t.Fatal(err)
	}
	v := &town{T: t, authority: a}
	v.keeps(memstore.New())
	v.open("first", "127.0.0.1:0")
	t.Cleanup(func() { v.ok(v.rules.Close()) })
	return v
}

// keeps has the directory be one that knows what s holds, and nobody connected.
func (v *town) keeps(s store.Store) {
	v.Helper()
	var err error
	v.rules, err = directory.Open(v.Context(), directory.Options{Store: s})
	v.ok(err)
	v.store = s
}

// restart ends the directory, which has one port, and starts it anew with what s
// holds.
func (v *town) restart(s store.Store) {
	v.Helper()
	v.ports[0].stop()
	v.ok(v.rules.Close())
	v.keeps(s)
	at := v.ports[0].at
	v.ports = nil
	v.open("again", at)
}

// open opens a port of the directory at that address, under that name.
func (v *town) open(name, at string) {
	v.Helper()
	secure := apiserver.New(apiserver.Options{
		Directory: v.rules, TLS: v.authority.ServerConfig(nil), Issue: v.issue, Classic: true, Node: name,
		Authority: v.authority.Fingerprint,
	})
	server := dirserver.New(dirserver.Options{Directory: v.rules, TLS: secure.ServeConn})
	ln, err := net.Listen("tcp", at)
	v.ok(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	p := &port{at: ln.Addr().String()}
	ended := false
	p.stop = func() {
		if cancel(); !ended {
			ended = true
			if err := <-done; err != nil {
				v.Errorf("serve: %v", err)
			}
		}
	}
	v.Cleanup(func() { p.stop() })
	v.ports = append(v.ports, p)
}

func (v *town) issue(m lonja.Member, account uint64) (apiserver.Certificate, error) {
	der, err := v.authority.Issue(m, account, time.Hour)
	now := time.Now()
	return apiserver.Certificate{Chain: [][]byte{der}, Authorities: v.authority.Set().DER(), NotBefore: now, NotAfter: now.Add(time.Hour)}, err
}

func (v *town) ok(err error) {
	v.Helper()
	if err != nil {
		v.Fatalf("got error %v, want none", err)
	}
}

func (v *town) is(err error, want lonja.Kind) {
	v.Helper()
	if !errors.Is(err, want) {
		v.Errorf("got error %v, want %v", err, want)
	}
}

// until waits until something holds that gives no signal.
func (v *town) until(what string, holds func() bool) {
	v.Helper()
	late := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			v.Fatalf("it does not come to this: %s", what)
		}
	}
}

// A citizen is a user's node, with a key and a folder of its own.
type citizen struct {
	*Node
	town   *town
	user   lonja.UserName
	key    identity.Key
	client *apiclient.Client
	notes  *notebook
	home   string
	folder string
	proved atomic.Pointer[authority.Set]
	set    func(*Options)
}

// citizen returns a node that has done nothing yet; set may change its options.
func (v *town) citizen(user lonja.UserName, set func(*Options)) *citizen {
	v.Helper()
	key, err := identity.NewKey()
	v.ok(err)
	c := &citizen{town: v, user: user, key: key, home: filepath.Join(v.TempDir(), "home"), folder: v.TempDir(), set: set}
	c.start()
	return c
}

// start starts the node; again after its Close, as after a restart.
func (c *citizen) start() {
	v := c.town
	v.Helper()
	own, err := identity.Certificate(c.key)
	v.ok(err)
	config := authority.DirectoryClientConfig(authority.DirectoryOptions{
		Pinned: []lonja.PeerID{v.authority.Fingerprint()}, Certificate: own,
	})
	verify := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if err := verify(state); err != nil {
			return err
		}
		set, err := authority.SetOf(state)
		c.proved.Store(set)
		return err
	}
	addresses := make([]string, len(v.ports))
	for i, p := range v.ports {
		addresses[i] = p.at
	}
	pins := trust.New(c.home, nil)
	address, err := link.ParseAddress(addresses[0])
	v.ok(err)
	v.ok(pins.PinDirectory(address, v.authority.Fingerprint()))
	client := apiclient.New(apiclient.Options{
		Addresses: addresses, TLS: config, LeastPause: time.Millisecond, MostPause: 10 * time.Millisecond,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil && v.dialled != nil {
				v.dialled()
			}
			return conn, err
		},
	})
	hashes := hashing.NewCache(hashing.CacheOptions{})
	trees := outboards.New(c.trees(), outboards.Options{})
	c.client, c.notes = client, new(notebook)
	opts := Options{
		Directory: client, DirectoryName: "town:1", StateDir: c.home, Listen: "127.0.0.1:0",
		Log: slog.New(slog.NewTextHandler(c.notes, nil)),
		Secure: &SecureOptions{
			Directory: client, Key: c.key, Authority: c.proved.Load, Hashes: hashes, Outboards: trees,
			Pins: pins.UsersOf(v.authority.Fingerprint()), period: 20 * time.Millisecond, spread: 100 * time.Millisecond,
		},
	}
	if c.set != nil {
		c.set(&opts)
	}
	n := New(opts)
	c.Node = n
	notes := c.notes
	v.Cleanup(func() {
		if v.Failed() {
			v.Logf("%s logged:\n%s", c.user, notes.take())
		}
		n.Close()
		_ = client.Close()
		_ = trees.Close()
		_ = hashes.Close()
	})
}

// trees is where the node keeps the hashes of its files' pieces.
func (c *citizen) trees() string { return filepath.Join(c.home, "outboards") }

// resident returns a node whose user is registered and connected.
func (v *town) resident(user lonja.UserName) *citizen { return v.residentWith(user, nil) }

func (v *town) residentWith(user lonja.UserName, set func(*Options)) *citizen {
	v.Helper()
	c := v.citizen(user, set)
	v.ok(c.Register(v.Context(), user))
	v.ok(c.Connect(v.Context(), user))
	return c
}

// write puts a file into the citizen's folder and returns its path.
func (c *citizen) write(name, content string) string {
	c.town.Helper()
	path := filepath.Join(c.folder, name)
	c.town.ok(os.WriteFile(path, []byte(content), 0o600))
	return path
}

// fetch returns what GET_FILE brings. If it fails, nothing may be left of it.
func (c *citizen) fetch(owner lonja.UserName, name lonja.FileName) (string, error) {
	c.town.Helper()
	folder := c.town.TempDir()
	err := c.FetchFile(c.town.Context(), owner, name, filepath.Join(folder, "got"), nil)
	if err != nil {
		if left, _ := os.ReadDir(folder); len(left) > 0 {
			c.town.Errorf("a fetch that failed with %v left %v", err, left)
		}
		return "", err
	}
	content, err := os.ReadFile(filepath.Join(folder, "got"))
	return string(content), err
}

// gets fails the test unless GET_FILE brings that content.
func (c *citizen) gets(owner lonja.UserName, name lonja.FileName, content string) {
	c.town.Helper()
	if got, err := c.fetch(owner, name); err != nil || got != content {
		c.town.Errorf("GET_FILE of %s brings %q, %v, want %q", name, got, err, content)
	}
}

// listed returns the names that the directory lists of the citizen, in order.
func (c *citizen) listed() string {
	c.town.Helper()
	listings, err := c.town.rules.ListContent(c.town.Context(), c.user, c.user)
	c.town.ok(err)
	var names []string
	for _, l := range listings {
		names = append(names, string(l.Name))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// status returns how the citizen's node is doing.
func (c *citizen) status() Status {
	c.town.Helper()
	s, err := c.Status()
	c.town.ok(err)
	return s
}
