package directory

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lonja"
	"lonja/internal/memstore"
	"lonja/internal/operator"
	"lonja/internal/statement"
	"lonja/internal/store"
)

// A signer is a member and its private key.
type signer struct {
	lonja.Member
	key ed25519.PrivateKey
}

func newSigner(user lonja.UserName, key string) signer {
	seed := sha256.Sum256([]byte(key))
	k := ed25519.NewKeyFromSeed(seed[:])
	return signer{lonja.Member{User: user, Key: lonja.PublicKey(k.Public().(ed25519.PublicKey))}, k}
}

func (s signer) listing(t testing.TB, name lonja.FileName, audience ...lonja.UserName) lonja.Listing {
	t.Helper()
	p, err := statement.SignPublication(lonja.Publication{Owner: s.User, Listing: lonja.Listing{
		Name: name, Size: 1, Proof: &lonja.Proof{File: sha256.Sum256([]byte(name)), Date: 1795000000 - 1, Audience: audience},
	}}, s.key)
	must(t, err)
	return p.Listing
}

func (s signer) endorse(t testing.TB, other signer) lonja.Endorsement {
	t.Helper()
	e, err := statement.SignEndorsement(lonja.Endorsement{User: s.User, Key: other.Key, Label: "other", Date: time.Now().Unix() - 10}, s.key)
	must(t, err)
	e.Consent, err = statement.SignConsent(s.User, s.Key, other.key)
	must(t, err)
	return e
}

func (s signer) revoke(t testing.TB, other signer) lonja.Revocation {
	t.Helper()
	r, err := statement.SignRevocation(lonja.Revocation{User: s.User, Key: other.Key, Date: time.Now().Unix()}, s.key)
	must(t, err)
	return r
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// join registers and connects members.
func join(t testing.TB, d *Directory, members ...signer) {
	t.Helper()
	for _, m := range members {
		must(t, d.RegisterMember(t.Context(), m.Member, ""), d.ConnectMember(t.Context(), m.Member, []lonja.Endpoint{somewhere}))
	}
}

// TestSessionsRunOut: a session that is not renewed ends after SessionLease,
// also where classic leases never do; one that is renewed stays, and probing has
// to do with neither.
func TestSessionsRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		d, err := Open(t.Context(), Options{Store: s, SessionLease: 20 * time.Second})
		must(t, err)
		defer d.Close()
		ana, eva := newSigner("ana", "ana"), newSigner("eva", "eva")
		join(t, d, ana, eva)
		must(t, d.Register(t.Context(), "old"), d.Connect(t.Context(), "old", somewhere))
		if n := d.ProbedCount(); n != 1 {
			t.Errorf("%d users are probed, want 1", n)
		}
		var probed []lonja.UserName
		d.Probed(0, 10, func(p lonja.Peer, _ uint64) { probed = append(probed, p.User) })
		if !slices.Equal(probed, []lonja.UserName{"old"}) {
			t.Errorf("probed: got %v, want old", probed)
		}
		online := func() (users []lonja.UserName) {
			peers, err := d.ListUsers(t.Context(), "old")
			must(t, err)
			for p := range peers.All() {
				users = append(users, p.User)
			}
			return users
		}
		for range 3 {
			time.Sleep(10 * time.Second)
			must(t, d.RenewMember(t.Context(), eva.Member, nil))
		}
		if got, want := online(), []lonja.UserName{"old", "eva"}; !slices.Equal(got, want) {
			t.Errorf("connected: got %v, want %v", got, want)
		}
		if err := d.RenewMember(t.Context(), ana.Member, nil); !errors.Is(err, lonja.NotConnected) {
			t.Errorf("got error %v, want %v", err, lonja.NotConnected)
		}
		time.Sleep(time.Hour)
		if got, want := online(), []lonja.UserName{"old"}; !slices.Equal(got, want) {
			t.Errorf("an hour later: got %v, want %v", got, want)
		}
	})
}

// TestSlowWatcherLoses: who does not take events holds nobody up, is told that
// it has lost some, and then goes on with what happens; and nothing of a watch
// is left when it has ended.
func TestSlowWatcherLoses(t *testing.T) {
	d := open(t, memstore.New())
	ana, eva := newSigner("ana", "ana"), newSigner("eva", "eva")
	join(t, d, ana, eva)
	goroutines := runtime.NumGoroutine()
	ctx, stop := context.WithCancel(t.Context())
	held, events, ended := make(chan struct{}), make(chan lonja.Event, 10*eventsKept), make(chan error, 1)
	began := make(chan struct{})
	var first sync.Once
	go func() {
		ended <- d.Watch(ctx, eva.Member, lonja.EventFilter{Matching: &lonja.Query{}}, func(e lonja.Event) error {
			first.Do(func() { close(began); <-held })
			events <- e
			return nil
		})
	}()
	<-began
	l := ana.listing(t, "file")
	for range eventsKept { // two events each: it is overtaken
		must(t, d.Publish(t.Context(), "ana", l), d.Delete(t.Context(), "ana", "file"))
	}
	close(held)
	for i := range 2 {
		if e := <-events; e.Kind != lonja.EventsLost {
			t.Fatalf("event %d: got %+v, want %v", i, e, lonja.EventsLost)
		}
	}
	must(t, d.Publish(t.Context(), "ana", ana.listing(t, "another")))
	for e := range events {
		if e.Listing.Name == "another" {
			break
		}
		if e.Kind == lonja.EventsLost {
			t.Fatal("it is told that it has lost some, and has not")
		}
	}
	stop()
	must(t, <-ended)
	// Who has said its last word may take a moment to be gone.
	for late := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(late) {
			t.Errorf("%d goroutines, %d before the watch", runtime.NumGoroutine(), goroutines)
			break
		}
	}
	if d.events.watched() || d.events.ring != nil {
		t.Error("events are kept for nobody")
	}
}

// TestWatchersLookAnew: when the index was made anew, nobody knows what has
// happened meanwhile.
func TestWatchersLookAnew(t *testing.T) {
	s := &torn{Store: memstore.New()}
	d := openWith(t, s, Options{})
	ana := newSigner("ana", "ana")
	join(t, d, ana)
	kinds := make(chan lonja.EventKind, 10)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- d.Watch(ctx, ana.Member, lonja.EventFilter{}, func(e lonja.Event) error { kinds <- e.Kind; return nil })
	}()
	for i := range 2 {
		if kind := <-kinds; kind != lonja.EventsLost {
			t.Errorf("event %d: got %v, want %v", i, kind, lonja.EventsLost)
		}
		if i == 0 {
			s.tear(false)
		}
	}
	stop()
	must(t, <-ended)
}

// secured returns a directory with all that the secure dialect knows.
func secured(t *testing.T, s store.Store) (*Directory, signer) {
	d := openWith(t, s, Options{Registration: RegisterInvited})
	ctx := t.Context()
	ana, phone, eva := newSigner("ana", "ana"), newSigner("ana", "phone"), newSigner("eva", "eva")
	secret, err := d.CreateInvitation(ctx, 3, 0, "for friends")
	must(t, err)
	_, err = d.CreateInvitation(ctx, 1, time.Now().Add(time.Hour).Unix(), "")
	must(t, err,
		d.RegisterMember(ctx, ana.Member, secret), d.RegisterMember(ctx, eva.Member, secret),
		d.AddKey(ctx, ana.Member, ana.endorse(t, phone)),
		d.ConnectMember(ctx, ana.Member, []lonja.Endpoint{somewhere}),
		d.Publish(ctx, "ana", ana.listing(t, "to all.txt")),
		d.Publish(ctx, "ana", ana.listing(t, "to/eva.txt", "eva")),
		d.Publish(ctx, "ana", phone.listing(t, "by phone.txt")),
		d.RevokeKey(ctx, ana.Member, ana.revoke(t, phone)),
		d.RegisterMember(ctx, newSigner("max", "max").Member, secret), d.Unregister(ctx, "max"),
	)
	return d, ana
}

// securedView is all that the secure dialect shows of a directory.
func securedView(t *testing.T, d *Directory) string {
	t.Helper()
	var b strings.Builder
	for _, user := range []lonja.UserName{"ana", "eva"} {
		keys, err := d.Keys(t.Context(), user)
		must(t, err)
		fmt.Fprintf(&b, "%s %+v\n", user, keys)
		d.mu.RLock()
		for _, l := range d.index.Listings(user) {
			fmt.Fprintf(&b, "%+v %+v\n", l.Name, *l.Proof)
		}
		d.mu.RUnlock()
	}
	invitations, err := d.Invitations(t.Context())
	must(t, err)
	revocations, err := d.Revocations(t.Context(), 0)
	must(t, err)
	fmt.Fprintf(&b, "%+v\n%+v\n", invitations, revocations)
	return b.String()
}

// TestSecuredTravels: keys, proofs, invitations and revocations are the same
// after a restart, an import, and a restored backup, and a check finds nothing
// wrong.
func TestSecuredTravels(t *testing.T) {
	s := memstore.New()
	d, _ := secured(t, s)
	want := securedView(t, d)
	if !strings.Contains(want, "to/eva.txt") || strings.Contains(want, "by phone.txt") || !strings.Contains(want, "Used:3") {
		t.Fatalf("this shows nothing:\n%s", want)
	}
	var backup bytes.Buffer
	must(t, d.Backup(t.Context(), &backup))
	exported := export(t, d)
	for name, another := range map[string]func() *Directory{
		"a second node": func() *Directory { return openWith(t, s, Options{}) },
		"an import": func() *Directory {
			to := openWith(t, memstore.New(), Options{})
			report, err := to.Import(t.Context(), strings.NewReader(exported))
			if counts := (operator.ImportReport{Accounts: 2, Publications: 2, Invitations: 2, Revocations: 2}); report != counts {
				t.Errorf("got %+v, want %+v", report, counts)
			}
			must(t, err)
			report, err = to.Import(t.Context(), strings.NewReader(exported))
			if counts := (operator.ImportReport{Skipped: 8}); report != counts || err != nil {
				t.Errorf("again: got %+v, %v; want %+v", report, err, counts)
			}
			return to
		},
		"a restored backup": func() *Directory {
			to := openWith(t, memstore.New(), Options{})
			must(t, to.Restore(t.Context(), &backup))
			return to
		},
	} {
		to := another()
		if got := securedView(t, to); got != want {
			t.Errorf("%s:\ngot\n%swant\n%s", name, got, want)
		}
		if report, err := to.Check(t.Context()); err != nil || report.Wrong() > 0 || report.Records < 7 {
			t.Errorf("%s: check: got %+v, %v", name, report, err)
		}
		if again := export(t, to); again != exported {
			t.Errorf("%s exports\n%swant\n%s", name, again, exported)
		}
	}
}

func TestImportRefusesWhatIsForged(t *testing.T) {
	d, _ := secured(t, memstore.New())
	lines := strings.SplitAfter(export(t, d), "\n")
	for name, change := range map[string]func(string) string{
		"a publication that was changed": func(s string) string { return strings.Replace(s, `"size":1`, `"size":2`, 1) },
		"an endorsement that was":        func(s string) string { return strings.Replace(s, `"label":"other"`, `"label":"mine"`, 1) },
		"a key that is none":             func(s string) string { return strings.Replace(s, `"key":"`, `"key":"!`, 1) },
		"an invitation used too often":   func(s string) string { return strings.Replace(s, `"used":3`, `"used":9`, 1) },
		"a consent that was":             func(s string) string { return strings.Replace(s, `"consent":"`, `"consent":"AAAA`, 1) },
	} {
		changed := change(strings.Join(lines, ""))
		if changed == strings.Join(lines, "") {
			t.Fatalf("%s: there is nothing to change", name)
		}
		to := openWith(t, memstore.New(), Options{})
		if _, err := to.Import(t.Context(), strings.NewReader(changed)); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.Invalid)
		}
	}
}

// TestCheckFindsOtherKeys: the check compares what the secure dialect keeps, too.
func TestCheckFindsOtherKeys(t *testing.T) {
	d, _ := secured(t, memstore.New())
	d.mu.Lock()
	a, _ := d.index.Account("ana")
	d.index.SetKeys("ana", a.Incarnation, a.KeysRev, []byte("others"), nil)
	for hash, i := range d.ledger.invitations {
		i.Uses++
		d.ledger.invitations[hash] = i
	}
	d.ledger.revocations[0].Date++
	d.ledger.revocations = append(d.ledger.revocations, heldRevocation{at: 9e9, rev: 1})
	d.mu.Unlock()
	report, err := d.Check(t.Context())
	if err != nil || report.Different != 4 || report.Extra != 1 {
		t.Errorf("got %+v, %v; want 4 different and 1 extra", report, err)
	}
}

// A neverDeletes is a store that loses the power to write after a key was
// revoked: as if the directory had died then.
type neverDeletes struct {
	store.Store
	deny bool
}

func (s *neverDeletes) Apply(ctx context.Context, batch []store.Change) (store.Rev, error) {
	if s.deny && slices.ContainsFunc(batch, func(c store.Change) bool { return c.Value == nil }) {
		return 0, lonja.E(lonja.Unavailable, "apply", errors.New("not now"))
	}
	return s.Store.Apply(ctx, batch)
}

// TestForbiddenLeftovers: what a revoked key has signed and is still in the store
// is not listed at the next start, is deleted, and its name can be used again.
func TestForbiddenLeftovers(t *testing.T) {
	s := &neverDeletes{Store: memstore.New()}
	d, err := Open(t.Context(), Options{Store: s})
	must(t, err)
	ctx := t.Context()
	ana, phone := newSigner("ana", "ana"), newSigner("ana", "phone")
	join(t, d, ana)
	must(t, d.AddKey(ctx, ana.Member, ana.endorse(t, phone)))
	const files = 300
	for i := range files {
		must(t, d.Publish(ctx, "ana", phone.listing(t, lonja.FileName(fmt.Sprint("file", i)))))
	}
	s.deny = true
	must(t, d.RevokeKey(ctx, ana.Member, ana.revoke(t, phone)))
	if listed, err := d.ListContent(ctx, "ana", "ana"); err != nil || len(listed) > 0 {
		t.Errorf("listed although it is revoked: %d, %v", len(listed), err)
	}
	must(t, d.Close())
	if n := publicationRecords(t, s); n != files {
		t.Fatalf("%d records are left, want %d", n, files)
	}

	s.deny = false
	d = openWith(t, s, Options{})
	must(t, d.ConnectMember(ctx, ana.Member, nil))
	if listed, err := d.ListContent(ctx, "ana", "ana"); err != nil || len(listed) > 0 {
		t.Errorf("listed after a restart: %d, %v", len(listed), err)
	}
	for late := time.Now().Add(30 * time.Second); publicationRecords(t, s) > 0; {
		if time.Now().After(late) {
			t.Fatal("what a revoked key has signed stays")
		}
	}
	must(t, d.Publish(ctx, "ana", ana.listing(t, "file1")))
}

// TestRevokedOnAllNodes: a session of a revoked key ends where it is held, and
// what it signed is off the lists of every node that has heard of it.
func TestRevokedOnAllNodes(t *testing.T) {
	nodes := openNodes(t, memstore.New(), 3)
	ctx := t.Context()
	ana, phone := newSigner("ana", "ana"), newSigner("ana", "phone")
	must(t, nodes[0].RegisterMember(ctx, ana.Member, ""), nodes[0].AddKey(ctx, ana.Member, ana.endorse(t, phone)), nodes[1].catchUp(ctx))
	must(t, nodes[1].ConnectMember(ctx, phone.Member, []lonja.Endpoint{somewhere}), nodes[1].Publish(ctx, "ana", phone.listing(t, "file")))
	must(t, nodes[2].catchUp(ctx), nodes[2].RevokeKey(ctx, ana.Member, ana.revoke(t, phone)))
	for i, d := range nodes {
		must(t, d.catchUp(ctx))
		d.settled("ana")
		if a, _ := d.account("ana"); a.Connected || a.Publications != 0 {
			t.Errorf("node %d: connected %v, %d publications", i, a.Connected, a.Publications)
		}
	}
	if err := nodes[1].RenewMember(ctx, phone.Member, nil); err == nil {
		t.Error("a revoked key renews its session")
	}
	must(t, nodes[1].ConnectMember(ctx, ana.Member, nil))
}

// TestManyPages: the pages of a user with very many publications hold others up
// for no longer than it takes to look at a few thousand, wherever they begin.
func TestManyPages(t *testing.T) {
	s := memstore.New()
	d := openWith(t, s, Options{})
	ana := newSigner("ana", "ana")
	join(t, d, ana)
	a, _ := d.account("ana")
	const files = 20_000
	for first := 0; first < files; first += store.MaxBatch {
		var batch []store.Change
		for i := range store.MaxBatch {
			l := lonja.Listing{Name: lonja.FileName(fmt.Sprint("file", first+i)), Size: 1}
			batch = append(batch, store.Change{Key: fileKey("ana", a.Incarnation, l.Name), Value: appendPublication(nil, l)})
		}
		must(t, d.write(t.Context(), batch...))
	}
	seen := 0
	for after, more := lonja.Cursor(""), true; more; more = after != "" {
		page, next, err := d.ContentPage(t.Context(), "ana", "ana", after, lonja.MaxPage)
		must(t, err)
		if seen += len(page); next != "" && len(page) != lonja.MaxPage {
			t.Fatalf("a page of %d", len(page))
		}
		// The listing that the cursor is at goes: the place has to be looked for.
		if next != "" {
			must(t, d.Delete(t.Context(), "ana", page[len(page)-1].Name))
		}
		after = next
	}
	if seen != files {
		t.Errorf("%d on all pages, want %d", seen, files)
	}
}

func TestClaimKeepsClassicUsersOut(t *testing.T) {
	d := open(t, memstore.New())
	ctx := t.Context()
	must(t, d.Register(ctx, "ana"), d.Connect(ctx, "ana", somewhere), d.Publish(ctx, "ana", lonja.Listing{Name: "/old", Size: -1}))
	ana := newSigner("ana", "ana")
	if d.Bound("ana") {
		t.Error("it is bound before it is claimed")
	}
	if err := d.Claim(ctx, ana.Member, netip.MustParseAddr("192.0.2.99")); !errors.Is(err, lonja.Forbidden) {
		t.Errorf("from another address: got error %v, want %v", err, lonja.Forbidden)
	}
	must(t, d.Claim(ctx, ana.Member, somewhere.Addr()))
	if !d.Bound("ana") {
		t.Error("it is not bound after it was claimed")
	}
	if err := d.Publish(ctx, "ana", lonja.Listing{Name: "/new", Size: -1}); !errors.Is(err, lonja.Invalid) {
		t.Errorf("unsigned: got error %v, want %v", err, lonja.Invalid)
	}
	listings, err := d.ListContent(ctx, "ana", "ana")
	if err != nil || len(listings) != 1 || listings[0].Proof != nil {
		t.Errorf("got %v, %v; want what was published before", listings, err)
	}
}

// TestInvitationEnds: by its time, by being revoked; its secret is nowhere.
func TestInvitationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := Open(t.Context(), Options{Store: memstore.New(), Registration: RegisterInvited})
		must(t, err)
		defer d.Close()
		ctx := t.Context()
		short, err := d.CreateInvitation(ctx, 5, time.Now().Add(time.Minute).Unix(), "short")
		must(t, err)
		taken, err := d.CreateInvitation(ctx, 5, 0, "taken")
		must(t, err)
		must(t, d.RegisterMember(ctx, newSigner("ana", "ana").Member, short))
		time.Sleep(2 * time.Minute)
		all, err := d.Invitations(ctx)
		must(t, err)
		if len(all) != 2 || all[0].Note+all[1].Note != "shorttaken" && all[0].Note+all[1].Note != "takenshort" {
			t.Fatalf("got %+v", all)
		}
		for _, i := range all {
			if strings.Contains(fmt.Sprint(i), string(short)) || strings.Contains(fmt.Sprint(i), string(taken)) {
				t.Errorf("the secret is shown: %+v", i)
			}
			if i.Note == "taken" {
				must(t, d.RevokeInvitation(ctx, i.ID))
				if err := d.RevokeInvitation(ctx, i.ID); !errors.Is(err, lonja.Invalid) {
					t.Errorf("again: got error %v, want %v", err, lonja.Invalid)
				}
			}
		}
		for _, secret := range []lonja.Invitation{short, taken} {
			if err := d.RegisterMember(ctx, newSigner("eva", "eva").Member, secret); !errors.Is(err, lonja.Forbidden) {
				t.Errorf("got error %v, want %v", err, lonja.Forbidden)
			}
		}
		for _, bad := range []func() error{
			func() error { _, err := d.CreateInvitation(ctx, 0, 0, ""); return err },
			func() error { _, err := d.CreateInvitation(ctx, operator.MaxUses+1, 0, ""); return err },
			func() error { _, err := d.CreateInvitation(ctx, 1, time.Now().Unix(), ""); return err },
			func() error {
				_, err := d.CreateInvitation(ctx, 1, 0, strings.Repeat("x", operator.MaxNote+1))
				return err
			},
			func() error { return d.RevokeInvitation(ctx, "nonsense") },
		} {
			if err := bad(); !errors.Is(err, lonja.Invalid) {
				t.Errorf("got error %v, want %v", err, lonja.Invalid)
			}
		}
	})
}

// FuzzCursor: whatever comes as a cursor is refused, or is the one that was made
// of the same numbers.
func FuzzCursor(f *testing.F) {
	f.Add(string(appendCursor(usersCursor, 7, 8)))
	f.Add(string(appendCursor(contentCursor, 1, 1<<32)))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		for _, kind := range []byte{usersCursor, contentCursor, holdersCursor} {
			var a, b uint64
			if err := parseCursor(kind, lonja.Cursor(s), &a, &b); err != nil || s == "" {
				continue
			}
			var c, d uint64
			again := appendCursor(kind, a, b)
			if err := parseCursor(kind, again, &c, &d); err != nil || a != c || b != d || len(again) > lonja.MaxCursor {
				t.Errorf("%q is %d, %d, and %q is %d, %d, %v", s, a, b, again, c, d, err)
			}
		}
	})
}

// FuzzDetail: a detail of a session is refused, or means the same when it is
// written again.
func FuzzDetail(f *testing.F) {
	key := newSigner("a", "a").Key
	ways := []lonja.Endpoint{somewhere, lonja.EndpointFrom(netip.MustParseAddr("2001:db8::1"), 9)}
	f.Add(detail{reach: &lonja.Reach{Key: key}}.String())
	f.Add(detail{reach: &lonja.Reach{Key: key, Ways: ways}, node: lonja.NodeID{15: 1}}.String())
	f.Add(detail{reach: &lonja.Reach{Key: key}, node: lonja.NodeID{15: 1}, yields: true}.String())
	f.Add(detail{reach: &lonja.Reach{Key: key, Ways: ways}, fetching: []lonja.FileID{{1}, {2}}, node: lonja.NodeID{15: 1}}.String())
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := parseDetail(s)
		if !ok {
			return
		}
		if again := d.String(); again != s {
			t.Errorf("got %x, want %x", again, s)
		}
		if len(d.fetching) > lonja.MaxFetching || len(d.reach.Ways) > lonja.MaxWays || keyOfDetail(s) != d.reach.Key || nodeOfDetail(s) != d.node {
			t.Errorf("%x is %+v", s, d)
		}
	})
}

// FuzzRecords: a record of any key and value is refused, or what it says is
// written so that it is read as the same.
func FuzzRecords(f *testing.F) {
	ana := newSigner("ana", "ana")
	ring := []lonja.KeyRecord{{Endorsement: lonja.Endorsement{User: "ana", Key: ana.Key}}}
	account, _ := appendBoundAccount(nil, 7, ring)
	keys, _ := appendKeys(nil, ring)
	hash := hashInvitation("secret")
	f.Add(string(userKey("ana")), account)
	f.Add(string(userKey("ana")), appendAccount(nil, 7))
	f.Add(string(keysKey("ana", 7)), keys)
	f.Add(string(fileKey("ana", 7, "f")), appendPublication(nil, ana.listing(f, "f", "eva")))
	f.Add(string(invitationKey(hash)), appendInvitation(nil, operator.Invitation{Uses: 3, Used: 1, Made: 5, Until: 9, Note: "note"}))
	f.Add(string(revocationKey(17, "ana", ana.Key)), appendRevocation(nil, lonja.Revocation{Date: 5, By: ana.Key}))
	f.Add(string(revocationKey(17, "ana", ana.Key)), appendRevocation(nil, lonja.Revocation{Date: 5, Account: 1 << 60}))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		name, err := parseKey(store.Key(key))
		if err != nil {
			return
		}
		said, again, err := readRecord(name, value)
		if err != nil {
			return
		}
		read, _, err := readRecord(name, again)
		if err != nil || !reflect.DeepEqual(read, said) {
			t.Errorf("%x is %+v, and %x is %+v, %v", value, said, again, read, err)
		}
	})
}

// readRecord returns what a record says, and its value written again.
func readRecord(name recordName, value []byte) (said any, again []byte, err error) {
	switch name.kind {
	case accountRecord:
		incarnation, keys, err := parseAccount(name.user, value, 9)
		if err != nil || keys == nil {
			return incarnation, appendAccount(nil, incarnation), err
		}
		ring, err := parseRing(name.user, keys)
		if err == nil {
			again, err = appendBoundAccount(nil, incarnation, ring)
		}
		return ring, again, err
	case fileRecord:
		p, err := parsePublication(name.file, value)
		return p, appendPublication(nil, p), err
	case keysRecord:
		_, ring, err := parseKeys(name.user, value)
		if err == nil {
			again, err = appendKeys(nil, ring)
		}
		return ring, again, err
	case invitationRecord:
		i, err := parseInvitation(name.invitation, value)
		return i, appendInvitation(nil, i), err
	case authorityRecord:
		id, err := parseAuthority(value)
		if len(value) == 0 {
			return id, nil, err // it is gone
		}
		return id, appendAuthority(nil, id), err
	}
	r, err := parseRevocation(name, value)
	return r, appendRevocation(nil, r), err
}
