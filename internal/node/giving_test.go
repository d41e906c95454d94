package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/authority"
	"lonja/internal/fileclient"
	"lonja/internal/identity"
	"lonja/internal/transport"
	"lonja/internal/tree"
)

func random(size int) string {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return string(b)
}

// A hold stops a download once so much of it is there, until it is let go on.
type hold struct {
	c       *citizen
	target  string
	reached chan struct{} // closed then
	goOn    chan struct{}
	done    chan error
}

// fetchHeld has the citizen fetch something, and returns once so many bytes of it are
// there. When the test ends it goes on.
func (c *citizen) fetchHeld(name lonja.FileName, bytes int64) *hold {
	c.town.Helper()
	return c.hold(bytes, func(target string, progress func(int64)) error {
		return c.FetchMulti(c.town.Context(), name, target, progress)
	})
}

// runHeld is fetchHeld for who is not connected.
func (c *citizen) runHeld(id lonja.FileID, bytes int64) *hold {
	c.town.Helper()
	e, err := c.Errand(c.user)
	c.town.ok(err)
	wanted := lonja.Wanted{File: id}
	choices, err := e.Choices(c.town.Context(), wanted, "")
	c.town.ok(err)
	return c.hold(bytes, func(target string, progress func(int64)) error {
		_, err := e.Fetch(c.town.Context(), Fetching{Wanted: wanted, Choice: choices[0], Local: target, Progress: progress})
		return err
	})
}

func (c *citizen) hold(bytes int64, fetch func(target string, progress func(int64)) error) *hold {
	c.town.Helper()
	h := &hold{c, filepath.Join(c.town.TempDir(), "got"), make(chan struct{}), make(chan struct{}), make(chan error, 1)}
	var once bool
	reach := make(chan int64, 64)
	go func() {
		for n := range reach {
			if n >= bytes && !once {
				once = true
				close(h.reached)
			}
		}
	}()
	go func() {
		h.done <- fetch(h.target, func(received int64) {
			reach <- received
			if received >= bytes {
				<-h.goOn
			}
		})
		close(reach)
	}()
	select {
	case <-h.reached:
	case <-time.After(patience):
		c.town.Fatalf("%d bytes do not come", bytes)
	}
	return h
}

// finish lets it go on, and fails unless it brings that content.
func (h *hold) finish(content string) {
	h.c.town.Helper()
	close(h.goOn)
	h.c.town.ok(<-h.done)
	if got, err := os.ReadFile(h.target); err != nil || string(got) != content {
		h.c.town.Errorf("%s has got %d bytes, %v: not the content", h.c.user, len(got), err)
	}
}

// partial returns who fetches a content, as the directory tells the citizen.
func (c *citizen) partial(id lonja.FileID) (all []lonja.Holder) {
	c.town.Helper()
	all, err := c.askPartial(id)
	c.town.ok(err)
	return all
}

func (c *citizen) askPartial(id lonja.FileID) ([]lonja.Holder, error) {
	holders, _, err := c.client.HoldersPage(c.town.Context(), c.user, lonja.Wanted{File: id, Partial: true}, "", 0)
	return slices.DeleteFunc(holders, func(h lonja.Holder) bool { return !h.Partial }), err
}

// offer publishes a file, for those users only if there are any, and returns its id.
func (c *citizen) offer(name, content string, audience ...lonja.UserName) lonja.FileID {
	c.town.Helper()
	e, err := c.Errand(c.user)
	c.town.ok(err)
	l, err := e.Offer(c.town.Context(), Offer{Path: c.write(name, content), Audience: audience})
	c.town.ok(err)
	return l.Proof.File
}

// partsOf returns what asks a node, as this citizen, for a content.
func (c *citizen) partsOf(h lonja.Holder, id lonja.FileID) *fileclient.Client {
	c.town.Helper()
	config := authority.PeerClientConfig(c.current().keeps.peers(), authority.Expected{User: h.User, Keys: []lonja.PublicKey{h.Reach.Key}})
	dialer := transport.NewDialer(transport.Options{})
	client := fileclient.New(id, fileclient.Options{Conns: 1, StallTimeout: patience, Dial: func(ctx context.Context) (net.Conn, error) {
		return dialer.Dial(ctx, h.Reach.Ways, config)
	}})
	c.town.Cleanup(client.Close)
	return client
}

// sees waits until the directory tells the citizen that somebody fetches something.
func (c *citizen) sees(fetcher *citizen, id lonja.FileID) (h lonja.Holder) {
	c.town.Helper()
	c.town.until(string(fetcher.user)+" is listed as fetching", func() bool {
		all, err := c.askPartial(id)
		if err != nil && lonja.KindOf(err) != lonja.Unavailable { // a directory that is back is not reached at once
			c.town.Fatal(err)
		}
		for _, h = range all {
			if h.User == fetcher.user && h.Reach.Key == fetcher.key.PublicKey() {
				return true
			}
		}
		return false
	})
	return h
}

// TestADownloaderIsAHolder: who is fetching something is listed, and serves what it has
// of it, hashes too, to other members; once it is done it is not listed any more.
func TestADownloaderIsAHolder(t *testing.T) {
	v := newTown(t)
	ana, eva, luis := v.resident("ana"), v.resident("eva"), v.resident("luis")
	content := random(12 * tree.PieceSize)
	id := ana.offer("film.mkv", content)
	held := eva.fetchHeld("film.mkv", 4*tree.PieceSize)
	client := luis.partsOf(luis.sees(eva, id), id)
	has, err := client.Have(t.Context(), 12)
	v.ok(err)
	if has == nil || has.IsEmpty() || has.GetCardinality() == 12 {
		t.Fatalf("it has %v", has)
	}
	layout, _ := tree.LayoutOf(int64(len(content)))
	hashes, err := client.Tree(t.Context(), layout.OutboardSize(), 0, layout.OutboardSize())
	v.ok(err)
	board, err := tree.OpenOutboard(bytes.NewReader(hashes), id)
	v.ok(err)
	piece := int64(has.Minimum())
	v.ok(board.Check(piece, readPiece(v, client, layout, piece)))
	missing := int64(roaring.Flip(has, 0, 12).Minimum())
	if _, err := client.Open(t.Context(), layout.Size(), missing*tree.PieceSize, (missing+1)*tree.PieceSize); lonja.KindOf(err) != lonja.NoHolder {
		t.Errorf("of a piece that is not there: got %v", err)
	}
	held.finish(content)
	v.until("eva is listed no more", func() bool { return len(luis.partial(id)) == 0 })
	if _, err := client.Have(t.Context(), 12); lonja.KindOf(err) != lonja.NoSuchFile {
		t.Errorf("once it is whole and not published: got %v", err)
	}
}

func readPiece(v *town, client *fileclient.Client, layout tree.Layout, piece int64) []byte {
	v.Helper()
	body, err := client.Open(v.Context(), layout.Size(), piece*tree.PieceSize, piece*tree.PieceSize+int64(layout.PieceLen(piece)))
	v.ok(err)
	defer body.Close()
	b := make([]byte, layout.PieceLen(piece))
	for n := 0; n < len(b); {
		m, err := body.Read(b[n:])
		if n += m; err != nil && n < len(b) {
			v.ok(err)
		}
	}
	return b
}

// TestWhatIsForSomeOnly: what somebody fetches that is for some members only, others
// learn nothing of, and get nothing of, whoever they ask.
func TestWhatIsForSomeOnly(t *testing.T) {
	v := newTown(t)
	ana, eva, luis, ben := v.resident("ana"), v.resident("eva"), v.resident("luis"), v.resident("ben")
	content := random(6 * tree.PieceSize)
	id := ana.offer("film.mkv", content, "ben", "eva")
	held := eva.fetchHeld("film.mkv", 3*tree.PieceSize)
	at := ben.sees(eva, id)
	if told := luis.partial(id); len(told) > 0 {
		t.Errorf("luis is told of %v", told)
	}
	if _, err := luis.partsOf(at, id).Have(t.Context(), 6); lonja.KindOf(err) != lonja.NoSuchFile {
		t.Errorf("luis asks eva: got %v", err)
	}
	if _, err := ben.partsOf(at, id).Have(t.Context(), 6); lonja.KindOf(err) != lonja.NoSuchFile {
		t.Errorf("ben, whom eva has never met, asks her: got %v", err)
	}
	eva.meets(ben)
	_, err := ben.partsOf(at, id).Have(t.Context(), 6)
	v.ok(err)
	_, err = ana.partsOf(at, id).Have(t.Context(), 6)
	v.ok(err)
	held.finish(content)
}

// meets has the citizen know somebody by the key that the other one has.
func (c *citizen) meets(other *citizen) {
	c.town.Helper()
	ring, err := c.client.Keys(c.town.Context(), other.user)
	c.town.ok(err)
	c.town.ok(c.dialect.(*secureDialect).Pins.CheckUser(other.user, ring, other.key.PublicKey()))
}

// falseKeys is a directory that gives a user another key.
type falseKeys struct {
	SecureDirectory
	user lonja.UserName
	key  lonja.PublicKey
}

func (f falseKeys) Keys(ctx context.Context, user lonja.UserName) ([]lonja.KeyRecord, error) {
	if user == f.user {
		return []lonja.KeyRecord{{Endorsement: lonja.Endorsement{User: user, Key: f.key, Date: time.Now().Unix()}}}, nil
	}
	return f.SecureDirectory.Keys(ctx, user)
}

// TestFalseMemberOfAnAudience: a directory that gives the name of somebody whom a
// content is for to a key of its own gets nothing of it from the owner, nor from who is
// fetching it, who has never met that one; nor is that one met by being asked for it.
func TestFalseMemberOfAnAudience(t *testing.T) {
	v := newTown(t)
	key, err := identity.NewKey()
	v.ok(err)
	v.resident("eva")
	ana := v.resident("ana")
	luis := v.residentWith("luis", func(o *Options) {
		o.Secure.Directory = falseKeys{o.Secure.Directory, "eva", key.PublicKey()}
	})
	id := ana.offer("film.mkv", random(6*tree.PieceSize), "luis", "eva")
	held := luis.fetchHeld(lonja.FileName(id.String()), 3*tree.PieceSize)
	defer close(held.goOn)
	der, err := v.authority.Issue(lonja.Member{User: "eva", Key: key.PublicKey()}, 1<<40, time.Hour)
	v.ok(err)
	cert, err := authority.MemberCertificate(der, key, "eva", v.authority.Set())
	v.ok(err)
	peers := authority.PeerOptions{
		Set: luis.proved.Load, Certificate: func() (*tls.Certificate, error) { return cert, nil },
		Revoked: func(lonja.Member, uint64) bool { return false }, Protocols: []string{"http/1.1"},
	}
	for _, from := range []*citizen{ana, luis} {
		config := authority.PeerClientConfig(peers, authority.Expected{User: from.user, Keys: []lonja.PublicKey{from.key.PublicKey()}})
		dialer := transport.NewDialer(transport.Options{})
		client := fileclient.New(id, fileclient.Options{Conns: 1, StallTimeout: patience, Dial: func(ctx context.Context) (net.Conn, error) {
			return dialer.Dial(ctx, from.current().keeps.ways(), config)
		}})
		if has, err := client.Have(t.Context(), 6); lonja.KindOf(err) != lonja.NoSuchFile {
			t.Errorf("%s tells the false eva that it has %v, %v", from.user, has, err)
		}
		client.Close()
	}
	d := luis.dialect.(*secureDialect)
	holders, _, err := luis.client.HoldersPage(t.Context(), "luis", lonja.Wanted{File: id}, "", 0)
	v.ok(err)
	look := &lookout{secureDialect: d, as: luis.current().asks(), audience: newAudience(holders)}
	shown := lonja.Holder{User: "eva", Reach: &lonja.Reach{Key: key.PublicKey(), Ways: ana.status().Ways}, Partial: true}
	_, err = look.partialHolder(shown).Dial(t.Context())
	v.is(err, lonja.Untrusted)
	met, err := d.Pins.Users()
	v.ok(err)
	if slices.Contains(met, "eva") {
		t.Error("luis has met the false eva")
	}
}

// TestAnotherKeyGetsNothing: a certificate with the name of somebody whom it is for, but
// with a key by which that one is not known, is of no use.
func TestAnotherKeyGetsNothing(t *testing.T) {
	v := newTown(t)
	ana, eva, ben := v.resident("ana"), v.resident("eva"), v.resident("ben")
	id := ana.offer("film.mkv", "closed", "ben", "eva")
	holders, _, err := eva.client.HoldersPage(t.Context(), "eva", lonja.Wanted{File: id}, "", 0)
	v.ok(err)
	publication := holders[0]
	d := eva.dialect.(*secureDialect)
	eva.meets(ana)
	eva.meets(ben)
	of := newAudience([]lonja.Holder{publication})
	forged := publication
	forged.Proof = &lonja.Proof{File: id, Audience: []lonja.UserName{"mallory"}, Key: publication.Proof.Key, Signature: publication.Proof.Signature}
	of.heed([]lonja.Holder{forged, {User: "zed", Proof: &lonja.Proof{File: id}}})
	for _, c := range []struct {
		member lonja.Member
		want   bool
	}{
		{lonja.Member{User: "ana", Key: ana.key.PublicKey()}, true},
		{lonja.Member{User: "ben", Key: ben.key.PublicKey()}, true},
		{lonja.Member{User: "ben", Key: ana.key.PublicKey()}, false},
		{lonja.Member{User: "luis", Key: ben.key.PublicKey()}, false},
		{lonja.Member{User: "mallory", Key: ben.key.PublicKey()}, false},
	} {
		for range 2 {
			if got := d.isMeant(t.Context(), of, c.member); got != c.want {
				t.Errorf("%v: got %v, want %v", c.member, got, c.want)
			}
		}
	}
}

// TestFetchesFromDownloaders: with nobody there who has all of it, what others have of it
// comes from them; the rest once somebody is there again.
func TestFetchesFromDownloaders(t *testing.T) {
	v := newTown(t)
	ana, eva, luis := v.resident("ana"), v.resident("eva"), v.resident("luis")
	for _, c := range []*citizen{eva, luis} {
		c.dialect.(*secureDialect).tries = -1 // ana comes back, however long that takes here
	}
	content := random(12 * tree.PieceSize)
	id := ana.offer("film.mkv", content)
	held := eva.fetchHeld("film.mkv", 6*tree.PieceSize)
	luis.sees(eva, id)
	e, err := luis.Errand("luis")
	v.ok(err)
	choices, err := e.Choices(t.Context(), lonja.Wanted{File: id}, "")
	v.ok(err)
	v.ok(ana.Disconnect(t.Context(), "ana"))
	target := filepath.Join(t.TempDir(), "got")
	some := make(chan struct{}, 1)
	var fetched Fetched
	done := make(chan error, 1)
	go func() {
		var err error
		fetched, err = e.Fetch(t.Context(), Fetching{
			Wanted: lonja.Wanted{File: id}, Choice: choices[0], Local: target,
			Progress: func(received int64) {
				if received > tree.PieceSize {
					select {
					case some <- struct{}{}:
					default:
					}
				}
			},
		})
		done <- err
	}()
	<-some
	v.ok(ana.Connect(t.Context(), "ana"))
	held.finish(content)
	v.ok(<-done)
	if got, err := os.ReadFile(target); err != nil || string(got) != content {
		t.Errorf("got %d bytes, %v: not the content", len(got), err)
	}
	if !slices.Contains(fetched.From, "eva") {
		t.Errorf("it came from %v", fetched.From)
	}
}

// TestPartialOff: who does not want others to be given what is on its way is not listed,
// and serves nothing of it.
func TestPartialOff(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	eva := v.residentWith("eva", func(o *Options) { o.Secure.PartialOff = true })
	content := random(4 * tree.PieceSize)
	id := ana.offer("film.mkv", content)
	held := eva.fetchHeld("film.mkv", 2*tree.PieceSize)
	if told := eva.dialect.(*secureDialect).fetching.told(); len(told) > 0 {
		t.Errorf("it would tell of %v", told)
	}
	peer := lonja.Holder{User: "eva", Reach: &lonja.Reach{Key: eva.key.PublicKey(), Ways: eva.status().Ways}}
	if _, err := luis.partsOf(peer, id).Have(t.Context(), 4); lonja.KindOf(err) != lonja.NoSuchFile {
		t.Errorf("got %v", err)
	}
	held.finish(content)
}

// TestFetchingIsToldAnew: a new session is told what is fetched; who is not told of as
// one that fetches it, because it has moved to a restarted directory, is so again.
func TestFetchingIsToldAnew(t *testing.T) {
	v := newTown(t)
	ana, eva, luis := v.resident("ana"), v.resident("eva"), v.resident("luis")
	content := random(6 * tree.PieceSize)
	id := ana.offer("film.mkv", content)
	held := eva.fetchHeld("film.mkv", 3*tree.PieceSize)
	luis.sees(eva, id)
	v.restart(v.store)
	luis.sees(eva, id)
	held.finish(content)
}

// TestPartialHolderWithAnotherKey: whom the directory says to be somebody who fetches it,
// with a key by which that one is not known, is not connected with.
func TestPartialHolderWithAnotherKey(t *testing.T) {
	v := newTown(t)
	ana, eva, luis := v.resident("ana"), v.resident("eva"), v.resident("luis")
	d := luis.dialect.(*secureDialect)
	as := luis.current().asks()
	l := &lookout{secureDialect: d, as: as, audience: newAudience(nil)}
	dial := func(user lonja.UserName, of *citizen) error {
		reach := &lonja.Reach{Key: of.key.PublicKey(), Ways: of.status().Ways}
		conn, err := l.partialHolder(lonja.Holder{User: user, Reach: reach, Partial: true}).Dial(t.Context())
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	v.ok(dial("eva", eva))
	v.is(dial("eva", ana), lonja.Untrusted)
	v.is(dial("ana", eva), lonja.Untrusted)
	v.ok(dial("ana", ana))
}
