package apiclient_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/apiserver"
	"lonja/internal/apiserver/apitest"
	"lonja/internal/directory/directorytest"
	"lonja/internal/statement"
)

// A person is a user with a key of its own.
type person struct {
	*apiclient.Client
	t      *testing.T
	cert   tls.Certificate
	member lonja.Member
}

// A hall is a directory and the people in it.
type hall struct {
	*testing.T
	site *apitest.Site
}

func openHall(t *testing.T) *hall { return openHallWith(t, apiserver.Options{}) }

func openHallWith(t *testing.T, secure apiserver.Options) *hall {
	t.Helper()
	return &hall{t, apitest.Start(t, apitest.Setup{Directory: directorytest.New(t), Secure: secure})}
}

// person returns a client with a new key.
func (h *hall) person(user lonja.UserName) *person {
	h.Helper()
	cert := apitest.Certificate(h)
	return &person{client(h.T, h.site, cert), h.T, cert, lonja.Member{User: user, Key: apitest.KeyOf(cert)}}
}

var here = []lonja.Endpoint{lonja.EndpointFrom(netip.MustParseAddr("192.0.2.7"), 4445)}

// join registers and connects.
func (h *hall) join(user lonja.UserName) *person {
	h.Helper()
	p := h.person(user)
	h.ok(p.RegisterMember(h.Context(), p.member, ""))
	h.ok(p.ConnectMember(h.Context(), p.member, here))
	return p
}

func (h *hall) ok(err error) {
	h.Helper()
	if err != nil {
		h.Fatalf("got error %v, want none", err)
	}
}

func (h *hall) is(err error, want lonja.Kind) {
	h.Helper()
	if !errors.Is(err, want) {
		h.Errorf("got error %v, want %v", err, want)
	}
}

func (p *person) signed(name lonja.FileName, file byte, audience ...lonja.UserName) lonja.Listing {
	p.t.Helper()
	made, err := statement.SignPublication(lonja.Publication{Owner: p.member.User, Listing: lonja.Listing{
		Name: name, Description: "about " + lonja.Description(name), Size: 12,
		Proof: &lonja.Proof{File: lonja.FileID{file}, Date: time.Now().Unix(), Audience: audience},
	}}, p.cert.PrivateKey.(crypto.Signer))
	if err != nil {
		p.t.Fatal(err)
	}
	return made.Listing
}

// TestKeysBind: a name that is registered with a key is that key's alone.
func TestKeysBind(t *testing.T) {
	h := openHall(t)
	ctx := t.Context()
	ana, eve := h.join("ana"), h.person("eve")
	posing := lonja.Member{User: "ana", Key: eve.member.Key}
	h.is(eve.RegisterMember(ctx, posing, ""), lonja.NameInUse)
	h.is(eve.Authorize(posing), lonja.OtherKey)
	h.is(eve.ConnectMember(ctx, posing, here), lonja.OtherKey)
	h.is(eve.RenewMember(ctx, posing, nil), lonja.OtherKey)
	h.is(eve.Unregister(ctx, "ana"), lonja.OtherKey)
	h.is(eve.Connect(ctx, "ana", here[0]), lonja.OtherKey)
	h.is(eve.Disconnect(ctx, "ana"), lonja.OtherKey)
	h.is(eve.Publish(ctx, "ana", ana.signed("f", 1)), lonja.OtherKey)
	h.is(eve.Delete(ctx, "ana", "f"), lonja.OtherKey)
	_, err := eve.ListUsers(ctx, "ana")
	h.is(err, lonja.OtherKey)
	_, err = eve.ContentDigest(ctx, "ana")
	h.is(err, lonja.OtherKey)
	h.is(eve.Watch(ctx, lonja.Member{User: "ana", Key: eve.member.Key}, lonja.EventFilter{}, nil), lonja.OtherKey)
	h.is(eve.ConnectMember(ctx, ana.member, here), lonja.OtherKey) // not asked at all
	nobody := client(t, h.site)
	_, err = nobody.ListUsers(ctx, "ana")
	h.is(err, lonja.OtherKey)
	h.is(nobody.RegisterMember(ctx, lonja.Member{User: "no key"}, ""), lonja.Forbidden)
	h.ok(ana.Authorize(ana.member))
	h.is(ana.Authorize(lonja.Member{User: "nobody", Key: ana.member.Key}), lonja.NoSuchUser)
}

func TestSignedPublications(t *testing.T) {
	h := openHall(t)
	ctx := t.Context()
	ana, luis, eve := h.join("ana"), h.join("luis"), h.join("eve")
	open, secret := ana.signed("open/ñ.txt", 1), ana.signed("luis_only", 2, "luis")
	h.ok(ana.Publish(ctx, "ana", open))
	h.ok(ana.Publish(ctx, "ana", secret))
	h.is(luis.Publish(ctx, "luis", open), lonja.Untrusted)
	seen := func(p *person) (names []lonja.FileName) {
		t.Helper()
		listings, err := p.ListContent(ctx, p.member.User, "ana")
		h.ok(err)
		for _, l := range listings {
			h.ok(statement.VerifyPublication(lonja.Publication{Owner: "ana", Listing: l}))
			names = append(names, l.Name)
		}
		return names
	}
	if got := seen(luis); !slices.Equal(got, []lonja.FileName{"luis_only", "open/ñ.txt"}) {
		t.Errorf("luis sees %q", got)
	}
	if got := seen(eve); !slices.Equal(got, []lonja.FileName{"open/ñ.txt"}) {
		t.Errorf("eve sees %q", got)
	}
	holders, next, err := luis.HoldersPage(ctx, "luis", lonja.Wanted{File: secret.Proof.File}, "", 0)
	h.ok(err)
	if len(holders) != 1 || next != "" || holders[0].User != "ana" || holders[0].Reach == nil || holders[0].Reach.Key != ana.member.Key {
		t.Errorf("holders for luis: got %+v, %q", holders, next)
	}
	holders, _, err = eve.HoldersPage(ctx, "eve", lonja.Wanted{File: secret.Proof.File}, "", 0)
	if h.ok(err); len(holders) != 0 {
		t.Errorf("holders for eve: got %+v", holders)
	}
	digest, err := ana.ContentDigest(ctx, "ana")
	h.ok(err)
	var want lonja.ContentDigest
	want.Add(open.Proof.Signature)
	want.Add(secret.Proof.Signature)
	if digest != want {
		t.Errorf("got digest %+v, want %+v", digest, want)
	}
}

func TestKeysAndRevocations(t *testing.T) {
	h := openHall(t)
	ctx := t.Context()
	ana, tablet := h.join("ana"), h.person("ana")
	endorsed, err := statement.SignEndorsement(lonja.Endorsement{
		User: "ana", Key: tablet.member.Key, Label: "tablet", Date: time.Now().Unix(),
	}, ana.cert.PrivateKey.(crypto.Signer))
	h.ok(err)
	h.is(ana.AddKey(ctx, ana.member, endorsed), lonja.Untrusted) // the tablet has not agreed
	endorsed.Consent, err = statement.SignConsent("ana", ana.member.Key, tablet.cert.PrivateKey.(crypto.Signer))
	h.ok(err)
	h.ok(ana.AddKey(ctx, ana.member, endorsed))
	h.ok(tablet.Authorize(tablet.member))
	keys, err := client(t, h.site).Keys(ctx, "ana")
	h.ok(err)
	if len(keys) != 2 || keys[1].Endorsement != endorsed {
		t.Errorf("got keys %+v", keys)
	}
	_, err = ana.Keys(ctx, "nobody")
	h.is(err, lonja.NoSuchOwner)

	events := make(chan lonja.Event, 8)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan error, 1)
	luis := h.join("luis")
	go func() {
		watched <- luis.Watch(watching, luis.member, lonja.EventFilter{}, func(e lonja.Event) error { events <- e; return nil })
	}()
	if e := <-events; e.Kind != lonja.EventsLost {
		t.Errorf("the first event: got %+v", e)
	}
	revoked, err := statement.SignRevocation(lonja.Revocation{User: "ana", Key: tablet.member.Key, Date: time.Now().Unix()},
		ana.cert.PrivateKey.(crypto.Signer))
	h.ok(err)
	h.ok(ana.RevokeKey(ctx, ana.member, revoked))
	h.is(tablet.Authorize(tablet.member), lonja.OtherKey)
	if e := <-events; e.Kind != lonja.KeyRevoked || e.Key != tablet.member.Key {
		t.Errorf("got event %+v", e)
	}
	list, err := ana.Revocations(ctx, 0)
	if h.ok(err); !slices.Contains(list, revoked) {
		t.Errorf("got revocations %+v", list)
	}
	stop()
	h.ok(<-watched)
}

// TestClaim: whoever is connected with a name that is bound to no key can bind it.
func TestClaim(t *testing.T) {
	h := openHall(t)
	ctx := t.Context()
	ana, eve := h.person("ana"), h.person("ana")
	h.ok(ana.Register(ctx, "ana"))
	h.is(ana.Claim(ctx, ana.member, netip.Addr{}), lonja.NotConnected)
	h.ok(ana.Connect(ctx, "ana", here[0]))
	h.ok(eve.Authorize(eve.member)) // as open as in the original
	h.ok(ana.Claim(ctx, ana.member, netip.Addr{}))
	h.is(eve.Authorize(eve.member), lonja.OtherKey)
	h.ok(ana.Authorize(ana.member))
}

// TestSession: what a node is given, and how it renews.
func TestSession(t *testing.T) {
	begun := time.Unix(1_700_000_000, 0)
	issued := 0
	h := openHallWith(t, apiserver.Options{Node: "n1", Issue: func(m lonja.Member, _ uint64) (apiserver.Certificate, error) {
		issued++
		if m.User == "mute" {
			return apiserver.Certificate{}, lonja.E(lonja.Internal, "issue", errors.New("no"))
		}
		return apiserver.Certificate{
			Chain: [][]byte{[]byte(m.User)}, Authorities: [][]byte{{1}, {2}},
			NotBefore: begun, NotAfter: begun.Add(time.Hour),
		}, nil
	}})
	ctx := t.Context()
	ana := h.person("ana")
	h.ok(ana.RegisterMember(ctx, ana.member, ""))
	_, err := ana.Renew(ctx, ana.member, nil, false)
	h.is(err, lonja.NotConnected)
	session, err := ana.Begin(ctx, ana.member, []lonja.Endpoint{apiclient.WayHere(4445), here[0]})
	h.ok(err)
	cert := session.Certificate
	if cert == nil || string(cert.Chain[0]) != "ana" || len(cert.Authorities) != 2 || !cert.HalfLife().Equal(begun.Add(30*time.Minute)) {
		t.Errorf("got certificate %+v", cert)
	}
	if session.Observed.Addr() != netip.MustParseAddr("127.0.0.1") || session.Node != "n1" || !session.Classic {
		t.Errorf("got session %+v", session)
	}
	list, err := ana.ListUsers(ctx, "ana")
	peers := slices.Collect(list.All())
	h.ok(err)
	ways := []lonja.Endpoint{lonja.EndpointFrom(netip.MustParseAddr("127.0.0.1"), 4445), here[0]}
	if len(peers) != 1 || peers[0].Reach == nil || !slices.Equal(peers[0].Reach.Ways, ways) || peers[0].Reach.Key != ana.member.Key {
		t.Errorf("got peers %+v", peers)
	}
	if session, err = ana.Renew(ctx, ana.member, nil, false); err != nil || session.Certificate != nil || issued != 1 {
		t.Errorf("got %+v, %v; %d were issued", session, err, issued)
	}
	if session, err = ana.Renew(ctx, ana.member, here, true); err != nil || session.Certificate == nil {
		t.Errorf("got %+v, %v", session, err)
	}
	other := h.person("ana")
	h.is(other.ConnectMember(ctx, other.member, here), lonja.OtherKey)
	h.ok(ana.ConnectMember(ctx, ana.member, here)) // taken over
	mute := h.person("mute")
	h.ok(mute.RegisterMember(ctx, mute.member, ""))
	h.is(mute.ConnectMember(ctx, mute.member, here), lonja.Internal)
	h.ok(ana.Disconnect(ctx, "ana"))
	h.is(ana.Disconnect(ctx, "ana"), lonja.NotConnected)
	_, err = ana.ListUsers(ctx, "ana")
	h.ok(err) // her key is proved, so she need not be connected
}

// TestPages: long lists come in pages, which fit in frames whatever is in them.
func TestPages(t *testing.T) {
	h := openHall(t)
	ctx := t.Context()
	ana := h.join("ana")
	audience := make([]lonja.UserName, 0, 64)
	for i := range cap(audience) {
		audience = append(audience, lonja.UserName(fmt.Sprintf("%03d%s", i, strings.Repeat("x", 240))))
		h.ok(ana.RegisterMember(ctx, lonja.Member{User: audience[i], Key: ana.member.Key}, ""))
	}
	const count = 150 // of 16 KiB each: more than a frame
	for i := range count {
		h.ok(ana.Publish(ctx, "ana", ana.signed(lonja.FileName(fmt.Sprintf("f%d", i)), byte(i+1), audience...)))
	}
	listings, next, err := ana.ContentPage(ctx, "ana", "ana", "", lonja.MaxPage)
	h.ok(err)
	if len(listings) == 0 || len(listings) >= count || next == "" {
		t.Errorf("got a page of %d, next %q", len(listings), next)
	}
	all, err := ana.ListContent(ctx, "ana", "ana")
	h.ok(err)
	if len(all) != count || all[0].Name != "f149" || all[count-1].Name != "f0" {
		t.Errorf("got %d in all", len(all))
	}
	_, _, err = ana.UsersPage(ctx, "ana", "", lonja.MaxPage+1)
	h.is(err, lonja.Invalid)
	_, _, err = ana.ContentPage(ctx, "ana", "ana", "nonsense", 1)
	h.is(err, lonja.Invalid)
}

// TestErrorsSayWhat: an error names the operation, the user and the file.
func TestErrorsSayWhat(t *testing.T) {
	h := openHall(t)
	ana := h.join("ana")
	err := ana.Delete(t.Context(), "ana", "f")
	if got := err.Error(); got != "DELETE: ana: f: file is not published" {
		t.Errorf("got %q", got)
	}
	err = ana.Publish(t.Context(), "ana", lonja.Listing{Name: "has a blank"})
	if got := err.Error(); !errors.Is(err, lonja.Invalid) || !strings.Contains(got, "blank") {
		t.Errorf("got %q, want the reason in it", got)
	}
}

// TestCertificateWithoutASession: members get one and are not there for it;
// nobody gets one for a name that is another's, or everybody's.
func TestCertificateWithoutASession(t *testing.T) {
	h := openHallWith(t, apiserver.Options{Issue: func(m lonja.Member, _ uint64) (apiserver.Certificate, error) {
		return apiserver.Certificate{Chain: [][]byte{[]byte(m.User), m.Key[:]}, NotBefore: time.Unix(1, 0), NotAfter: time.Unix(2, 0)}, nil
	}})
	ctx := t.Context()
	ana, luis, eve := h.person("ana"), h.join("luis"), h.person("ana")
	h.ok(ana.RegisterMember(ctx, ana.member, ""))
	cert, err := ana.Certificate(ctx, ana.member)
	h.ok(err)
	if string(cert.Chain[0]) != "ana" || lonja.PublicKey(cert.Chain[1]) != ana.member.Key || cert.NotAfter.Unix() != 2 {
		t.Errorf("got %+v", cert)
	}
	list, err := luis.ListUsers(ctx, "luis")
	peers := slices.Collect(list.All())
	if h.ok(err); len(peers) != 1 || peers[0].User != "luis" {
		t.Errorf("connected are %+v, want luis only", peers)
	}
	_, err = eve.Certificate(ctx, eve.member)
	h.is(err, lonja.OtherKey)
	_, err = eve.Certificate(ctx, ana.member) // not asked at all
	h.is(err, lonja.OtherKey)
	h.ok(eve.Register(ctx, "open"))
	_, err = eve.Certificate(ctx, lonja.Member{User: "open", Key: eve.member.Key})
	h.is(err, lonja.Forbidden)
	_, err = eve.Certificate(ctx, lonja.Member{User: "nobody", Key: eve.member.Key})
	h.is(err, lonja.NoSuchUser)
	_, err = client(t, h.site).Certificate(ctx, lonja.Member{User: "luis"})
	h.is(err, lonja.OtherKey)
}

// TestNoCertificateIsIssued: a directory may issue none at all.
func TestNoCertificateIsIssued(t *testing.T) {
	h := openHall(t)
	ana := h.join("ana")
	_, err := ana.Certificate(t.Context(), ana.member)
	h.is(err, lonja.Forbidden)
}
