// Package attack_test attacks the whole: a directory with both dialects on its
// port, and the nodes of its users, as they run in the program, over TLS on the
// loopback interface. Who attacks uses what crypto/tls and the packages below
// the nodes offer, with keys and certificates as bad as need be.
//
// What a single package withstands is tested beside it; docs/security.md lists
// both.
package attack_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/apiserver"
	"lonja/internal/authority"
	"lonja/internal/directory"
	"lonja/internal/directory/directorytest"
	"lonja/internal/dirserver"
	"lonja/internal/hashing"
	"lonja/internal/identity"
	"lonja/internal/link"
	"lonja/internal/node"
	"lonja/internal/outboards"
	"lonja/internal/trust"
)

// patience bounds what these tests wait for; nothing takes that long.
const patience = 30 * time.Second

// A liar is a real directory that tells what a test wants it to tell.
type liar struct {
	*directory.Directory
	mu      sync.Mutex
	keys    func([]lonja.KeyRecord) []lonja.KeyRecord // nil: the truth
	holders func([]lonja.Holder) []lonja.Holder       // likewise
	keeps   error                                     // what it says instead of deleting; nil: it does
}

// DeleteMember implements lonja.Members.
func (l *liar) DeleteMember(ctx context.Context, member lonja.Member, name lonja.FileName) error {
	l.mu.Lock()
	keeps := l.keeps
	l.mu.Unlock()
	if keeps != nil {
		return keeps
	}
	return l.Directory.DeleteMember(ctx, member, name)
}

// keepsAll has the directory delete nothing, and say that; nil has it delete again.
func (l *liar) keepsAll(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keeps = why
}

// Keys implements lonja.Members.
func (l *liar) Keys(ctx context.Context, of lonja.UserName) ([]lonja.KeyRecord, error) {
	keys, err := l.Directory.Keys(ctx, of)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys != nil && err == nil {
		keys = l.keys(keys)
	}
	return keys, err
}

// HoldersPage implements lonja.Pages.
func (l *liar) HoldersPage(ctx context.Context, user lonja.UserName, w lonja.Wanted, after lonja.Cursor, limit int) ([]lonja.Holder, lonja.Cursor, error) {
	holders, next, err := l.Directory.HoldersPage(ctx, user, w, after, limit)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holders != nil && err == nil {
		holders = l.holders(holders)
	}
	return holders, next, err
}

// lies has the directory tell something else; nil is the truth.
func (l *liar) lies(keys func([]lonja.KeyRecord) []lonja.KeyRecord, holders func([]lonja.Holder) []lonja.Holder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys, l.holders = keys, holders
}

// A town is a directory and who lives there.
type town struct {
	*testing.T
	rules     *liar
	authority *authority.Authority
	dir       string // of the authority
	at        string // where the directory listens
}

// private returns a folder that does not exist yet: keys are kept in none that
// others may look into.
func private(t *testing.T) string { return filepath.Join(t.TempDir(), "private") }

func newTown(t *testing.T) *town {
	t.Helper()
	v := &town{T: t, rules: &liar{Directory: directorytest.New(t)}, dir: private(t)}
	var err error
	v.authority, _, err = authority.Open(authority.Options{Dir: v.dir})
	v.ok(err)
	v.at = v.serve(v.authority.ServerConfig(nil))
	return v
}

// serve opens a port of the directory, with that side of TLS, until the test
// ends, and returns where.
func (v *town) serve(config *tls.Config) string {
	v.Helper()
	secure := apiserver.New(apiserver.Options{Directory: v.rules, TLS: config, Issue: v.issue, Classic: true})
	server := dirserver.New(dirserver.Options{Directory: v.rules, TLS: secure.ServeConn})
	ln := v.listen()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	v.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			v.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String()
}

func (v *town) issue(m lonja.Member, account uint64) (apiserver.Certificate, error) {
	der, err := v.authority.Issue(m, account, time.Hour)
	now := time.Now()
	return apiserver.Certificate{Chain: [][]byte{der}, NotBefore: now, NotAfter: now.Add(time.Hour)}, err
}

func (v *town) listen() net.Listener {
	v.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	v.ok(err)
	v.Cleanup(func() { _ = ln.Close() })
	return ln
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

// A citizen is a user's node, with a key and a folder of its own.
type citizen struct {
	*node.Node
	town   *town
	member lonja.Member
	key    identity.Key
	client *apiclient.Client
	state  string
	folder string
	proved atomic.Pointer[authority.Set]
}

// citizen returns a node that has done nothing yet.
func (v *town) citizen(user lonja.UserName) *citizen { return v.citizenBy(user, v.at) }

// citizenBy is citizen for one that finds the directory at another address.
func (v *town) citizenBy(user lonja.UserName, at string) *citizen {
	v.Helper()
	key, err := identity.NewKey()
	v.ok(err)
	c := &citizen{town: v, key: key, member: lonja.Member{User: user, Key: key.PublicKey()}, state: private(v.T), folder: v.TempDir()}
	pins := trust.New(c.state, nil)
	address, err := link.ParseAddress(at)
	v.ok(err)
	v.ok(pins.PinDirectory(address, v.authority.Fingerprint()))
	c.client = apiclient.New(apiclient.Options{Addresses: []string{at}, TLS: c.config(), DialTimeout: patience})
	hashes := hashing.NewCache(hashing.CacheOptions{})
	trees := outboards.New(filepath.Join(c.state, "outboards"), outboards.Options{})
	c.Node = node.New(node.Options{
		Directory: c.client, DirectoryName: at, StateDir: c.state, Listen: "127.0.0.1:0",
		Secure: &node.SecureOptions{
			Directory: c.client, Key: key, Authority: c.proved.Load,
			Pins: pins.UsersOf(v.authority.Fingerprint()), Hashes: hashes, Outboards: trees,
		},
	})
	v.Cleanup(func() {
		c.Close()
		_ = c.client.Close()
		_ = trees.Close()
		_ = hashes.Close()
	})
	return c
}

// config is how the citizen knows the directory, which is pinned.
func (c *citizen) config() *tls.Config {
	c.town.Helper()
	own, err := identity.Certificate(c.key)
	c.town.ok(err)
	config := authority.DirectoryClientConfig(authority.DirectoryOptions{
		Pinned: []lonja.PeerID{c.town.authority.Fingerprint()}, Certificate: own,
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
	return config
}

// resident returns a node whose user is registered and connected.
func (v *town) resident(user lonja.UserName) *citizen {
	v.Helper()
	c := v.citizen(user)
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

// offers publishes a file, and returns what the directory has of it.
func (c *citizen) offers(name, content string) lonja.Listing {
	c.town.Helper()
	c.town.ok(c.Publish(c.town.Context(), c.write(name, content), "a file"))
	return c.listed(lonja.FileName(name))
}

func (c *citizen) listed(name lonja.FileName) lonja.Listing {
	c.town.Helper()
	listings, err := c.town.rules.ListContent(c.town.Context(), c.member.User, c.member.User)
	c.town.ok(err)
	for _, l := range listings {
		if l.Name == name {
			return l
		}
	}
	c.town.Fatalf("%s is not listed", name)
	return lonja.Listing{}
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
	c.town.ok(err)
	return string(content), nil
}

// gets fails the test unless GET_FILE brings that content.
func (c *citizen) gets(owner lonja.UserName, name lonja.FileName, content string) {
	c.town.Helper()
	if got, err := c.fetch(owner, name); err != nil || got != content {
		c.town.Errorf("GET_FILE of %s brings %q, %v, want %q", name, got, err, content)
	}
}

// way returns where the citizen's node listens.
func (c *citizen) way() string {
	c.town.Helper()
	status, err := c.Status()
	c.town.ok(err)
	return status.Ways[0].String()
}

// issued returns the certificate of the citizen's account, as the directory would
// issue it now.
func (c *citizen) issued() tls.Certificate {
	c.town.Helper()
	account, err := c.town.rules.Account(c.town.Context(), c.member)
	c.town.ok(err)
	der, err := c.town.authority.Issue(c.member, account, time.Hour)
	c.town.ok(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: c.key}
}

// certificate returns one of that authority's for the citizen's key.
func (c *citizen) certificate(a *authority.Authority, user lonja.UserName, life time.Duration) tls.Certificate {
	c.town.Helper()
	der, err := a.Issue(lonja.Member{User: user, Key: c.member.Key}, 1, life)
	c.town.ok(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: c.key}
}
