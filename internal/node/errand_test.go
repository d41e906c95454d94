package node

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/apiserver"
	"lonja/internal/authority"
	"lonja/internal/directory/directorytest"
	"lonja/internal/dirserver"
	"lonja/internal/hashing"
	"lonja/internal/identity"
	"lonja/internal/link"
	"lonja/internal/outboards"
	"lonja/internal/trust"
)

// A hamlet is a directory of members, on a port of the loopback address.
type hamlet struct {
	*testing.T
	authority *authority.Authority
	at        link.Address
}

func openHamlet(t *testing.T) *hamlet {
	t.Helper()
	a, _, err := authority.Open(authority.Options{Dir: filepath.Join(t.TempDir(), "authority")})
	if err != nil {
		t.Fatal(err)
	}
	dir := directorytest.New(t)
	secure := apiserver.New(apiserver.Options{
		Directory: dir, TLS: a.ServerConfig([]string{apiserver.ProtocolFrames}),
		Issue: func(m lonja.Member, account uint64) (apiserver.Certificate, error) {
			der, err := a.Issue(m, account, authority.DefaultLifetime)
			return apiserver.Certificate{Chain: [][]byte{der}}, err
		},
	})
	port := dirserver.New(dirserver.Options{Directory: dir, TLS: secure.ServeConn})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := port.Serve(ctx, ln); err != nil {
			t.Errorf("serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	at, err := link.ParseAddress(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return &hamlet{t, a, at}
}

// A machine is one of a member's, with its key and its state.
type machine struct {
	*hamlet
	user  lonja.UserName
	key   identity.Key
	state string
	pins  *trust.Pins
}

func (t *hamlet) machine(user lonja.UserName) *machine {
	t.Helper()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	store := trust.New(filepath.Join(t.TempDir(), "trust"), nil)
	if err := store.PinDirectory(t.at, t.authority.Fingerprint()); err != nil {
		t.Fatal(err)
	}
	return &machine{t, user, key, t.TempDir(), store.UsersOf(t.authority.Fingerprint())}
}

// node returns a node of the machine that sees the directory through as.
func (m *machine) node(as func(SecureDirectory) SecureDirectory) *Node {
	m.Helper()
	own, err := identity.Certificate(m.key)
	if err != nil {
		m.Fatal(err)
	}
	client := apiclient.New(apiclient.Options{
		Addresses: []string{m.at.String()},
		TLS:       authority.DirectoryClientConfig(authority.DirectoryOptions{Pinned: []lonja.PeerID{m.authority.Fingerprint()}, Certificate: own}),
	})
	m.Cleanup(func() { _ = client.Close() })
	trees := outboards.New(filepath.Join(m.state, "outboards"), outboards.Options{})
	m.Cleanup(func() { _ = trees.Close() })
	n := New(Options{
		Directory: client, DirectoryName: m.at.String(), StateDir: m.state, Listen: "127.0.0.1:0",
		Secure: &SecureOptions{
			Directory: as(client), Key: m.key, Authority: m.authority.Set, Pins: m.pins,
			Hashes: hashing.NewCache(hashing.CacheOptions{}), Outboards: trees,
		},
	})
	m.Cleanup(n.Close)
	return n
}

// TestIsPublished: what is exactly as it was published, and nothing else.
func TestIsPublished(t *testing.T) {
	ana := openHamlet(t).machine("ana")
	e := ana.errand(honest)
	if err := e.dialect.register(t.Context(), "ana"); err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "poem.txt")
	write := func(content string, age time.Duration) os.FileInfo {
		t.Helper()
		at := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(path, []byte(content), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	info := write("a poem", time.Hour)
	offer := Offer{Path: path, Name: "poem.txt", Description: "by Shelley"}
	if e.IsPublished(offer, info) {
		t.Error("it was not published yet")
	}
	if _, err := e.Offer(t.Context(), offer); err != nil {
		t.Fatal(err)
	}
	if !e.IsPublished(offer, info) {
		t.Error("it is published")
	}
	for what, other := range map[string]func(*Offer){
		"another description": func(o *Offer) { o.Description = "by Byron" },
		"an audience":         func(o *Offer) { o.Audience = []lonja.UserName{"luis"} },
		"another name":        func(o *Offer) { o.Name = "ode.txt" },
		"another path":        func(o *Offer) { o.Path = filepath.Join(dir, "ode.txt") },
	} {
		o := offer
		if other(&o); e.IsPublished(o, info) {
			t.Errorf("with %s it is not published", what)
		}
	}
	if e.IsPublished(offer, write("a song", time.Minute)) {
		t.Error("it has another content now")
	}
	info = write("a poem", time.Hour)
	if _, err := e.Withdraw(t.Context(), "poem.txt"); err != nil || e.IsPublished(offer, info) {
		t.Errorf("it was taken back (%v)", err)
	}
}

func honest(d SecureDirectory) SecureDirectory { return d }

func (m *machine) errand(as func(SecureDirectory) SecureDirectory) *Errand {
	m.Helper()
	e, err := m.node(as).Errand(m.user)
	if err != nil {
		m.Fatal(err)
	}
	return e
}

// offer publishes a file with that content.
func (m *machine) offer(e *Errand, name lonja.FileName, content string) lonja.Listing {
	m.Helper()
	path := filepath.Join(m.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		m.Fatal(err)
	}
	l, err := e.Offer(m.Context(), Offer{Path: path, Name: name})
	if err != nil {
		m.Fatal(err)
	}
	return l
}

// fetch returns what comes.
func (m *machine) fetch(e *Errand, w lonja.Wanted) (string, error) {
	choices, err := e.Choices(m.Context(), w, "")
	if err != nil {
		return "", err
	}
	target := filepath.Join(m.TempDir(), "got")
	if _, err := e.Fetch(m.Context(), Fetching{Wanted: w, Choice: choices[0], Local: target}); err != nil {
		return "", err
	}
	content, err := os.ReadFile(target)
	return string(content), err
}

// open registers ana and luis; ana is connected.
func (t *hamlet) open() (ana, luis *machine, serving *Node) {
	t.Helper()
	ana, luis = t.machine("ana"), t.machine("luis")
	serving = ana.node(honest)
	for _, err := range []error{
		serving.Register(t.Context(), "ana"), luis.node(honest).Register(t.Context(), "luis"), serving.Connect(t.Context(), "ana"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return ana, luis, serving
}

// TestErrandsNeedNoSession: what one publishes the running node serves; another
// fetches it, is not there for that, and takes no session.
func TestErrandsNeedNoSession(t *testing.T) {
	hamlet := openHamlet(t)
	ana, luis, serving := hamlet.open()
	beside, visiting := ana.errand(honest), luis.errand(honest)
	l := ana.offer(beside, "poems/one", "content")
	for _, w := range []lonja.Wanted{{Name: "one"}, {Name: "poems/one"}, {File: l.Proof.File}} {
		if got, err := luis.fetch(visiting, w); got != "content" || err != nil {
			t.Errorf("%+v: got %q, %v", w, got, err)
		}
	}
	if _, err := luis.fetch(visiting, lonja.Wanted{Name: "others/one"}); !errors.Is(err, lonja.NoHolder) {
		t.Errorf("got %v, want %v", err, lonja.NoHolder)
	}
	if _, err := visiting.Holders(t.Context(), lonja.Wanted{Name: "one"}, "luis"); !errors.Is(err, lonja.NoSuchOwner) {
		t.Errorf("got %v, want %v", err, lonja.NoSuchOwner)
	}
	peers, err := serving.ListUsers(t.Context())
	if err != nil || len(peers) != 1 || peers[0].User != "ana" || !serving.Serving() {
		t.Errorf("connected are %+v, %v", peers, err)
	}
	if same, err := serving.Errand("ana"); err != nil || !slices.ContainsFunc(same.Published(), func(p lonja.Listing) bool { return p.Name == l.Name }) {
		t.Errorf("the node that serves does not have it: %v", err)
	}
	if names, err := beside.Withdraw(t.Context(), "poems/one"); err != nil || !slices.Equal(names, []lonja.FileName{"poems/one"}) {
		t.Errorf("got %q, %v", names, err)
	}
	if _, err := luis.fetch(visiting, lonja.Wanted{File: l.Proof.File}); !errors.Is(err, lonja.NoHolder) {
		t.Errorf("got %v, want %v", err, lonja.NoHolder)
	}
	if err := beside.WithdrawName(t.Context(), "poems/one"); !errors.Is(err, lonja.NotPublished) {
		t.Errorf("got %v, want %v", err, lonja.NotPublished)
	}
	if _, err := New(Options{}).Errand("ana"); !errors.Is(err, lonja.Invalid) {
		t.Errorf("classic: got %v, want %v", err, lonja.Invalid)
	}
}

// A liar is a directory that says that a name stands for another content of the
// same owner; with shows, its listings say so too.
type liar struct {
	SecureDirectory
	instead lonja.FileID
	shows   bool
}

func (d *liar) forge(p *lonja.Proof) *lonja.Proof {
	forged := *p
	forged.File = d.instead
	return &forged
}

func (d *liar) HoldersPage(ctx context.Context, user lonja.UserName, w lonja.Wanted, after lonja.Cursor, limit int) ([]lonja.Holder, lonja.Cursor, error) {
	page, next, err := d.SecureDirectory.HoldersPage(ctx, user, w, after, limit)
	for i := range page {
		page[i].Proof = d.forge(page[i].Proof)
	}
	return page, next, err
}

func (d *liar) ContentPage(ctx context.Context, user, owner lonja.UserName, after lonja.Cursor, limit int) ([]lonja.Listing, lonja.Cursor, error) {
	page, next, err := d.SecureDirectory.ContentPage(ctx, user, owner, after, limit)
	for i := range page {
		if d.shows && page[i].Name == "contract" {
			page[i].Proof = d.forge(page[i].Proof)
		}
	}
	return page, next, err
}

// TestForgedNamesAreNotFetched: a directory cannot pass off one of an owner's files
// as another.
func TestForgedNamesAreNotFetched(t *testing.T) {
	hamlet := openHamlet(t)
	ana, luis, _ := hamlet.open()
	publishing := ana.errand(honest)
	ana.offer(publishing, "contract", "new")
	old := ana.offer(publishing, "contract.old", "old")
	if got, err := luis.fetch(luis.errand(honest), lonja.Wanted{Name: "contract"}); got != "new" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	for _, shows := range []bool{false, true} {
		lied := luis.errand(func(d SecureDirectory) SecureDirectory { return &liar{d, old.Proof.File, shows} })
		if got, err := luis.fetch(lied, lonja.Wanted{Name: "contract"}); !errors.Is(err, lonja.Untrusted) {
			t.Errorf("lies in listings too: %t: got %q, %v; want %v", shows, got, err, lonja.Untrusted)
		}
	}
}
