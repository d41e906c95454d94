package attack_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/apiclient"
	"lonja/internal/authority"
	"lonja/internal/fileapi"
	"lonja/internal/identity"
	"lonja/internal/statement"
)

// yesterday opens the town's authority as it was so long ago: what it issues has
// run out.
func (v *town) yesterday(ago time.Duration) *authority.Authority {
	v.Helper()
	a, made, err := authority.Open(authority.Options{Dir: v.dir, Clock: func() time.Time { return time.Now().Add(-ago) }})
	v.ok(err)
	if made {
		v.Fatal("it is another authority")
	}
	return a
}

// foreign returns the authority of another directory.
func (v *town) foreign() *authority.Authority {
	v.Helper()
	a, _, err := authority.Open(authority.Options{Dir: private(v.T)})
	v.ok(err)
	return a
}

// revoke takes the citizen's key back: another device of the same user does.
func (c *citizen) revoke() {
	c.town.Helper()
	ctx := c.town.Context()
	second, err := identity.NewKey()
	c.town.ok(err)
	e, err := statement.SignEndorsement(lonja.Endorsement{User: c.member.User, Key: second.PublicKey(), Date: time.Now().Unix() - 10}, c.key)
	c.town.ok(err)
	e.Consent, err = statement.SignConsent(c.member.User, c.member.Key, second)
	c.town.ok(err)
	c.town.ok(c.client.AddKey(ctx, c.member, e))
	r, err := statement.SignRevocation(lonja.Revocation{User: c.member.User, Key: c.member.Key, Date: time.Now().Unix()}, second)
	c.town.ok(err)
	c.town.ok(c.town.rules.RevokeKey(ctx, lonja.Member{User: c.member.User, Key: second.PublicKey()}, r))
}

// asks has somebody with that certificate, or none, ask a node for a content, and
// returns the whole answer, without its date; "" if the node breaks off.
func asks(t *testing.T, at string, id lonja.FileID, certificates ...tls.Certificate) string {
	t.Helper()
	return asksPath(t, at, fileapi.Path(id), certificates...)
}

// asksPath is asks for any path.
func asksPath(t *testing.T, at, path string, certificates ...tls.Certificate) string {
	t.Helper()
	conn, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true, Certificates: certificates, NextProtos: []string{"http/1.1"}})
	if err != nil {
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: peer\r\nConnection: close\r\n\r\n", path); err != nil {
		return ""
	}
	r := bufio.NewReader(conn)
	var answer strings.Builder
	for {
		line, err := r.ReadString('\n')
		if !strings.HasPrefix(line, "Date: ") {
			answer.WriteString(line)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return ""
			}
			return answer.String()
		}
	}
}

// TestCertificatesThatANodeRefuses: a real node serves members with certificates
// that hold, and nobody else.
func TestCertificatesThatANodeRefuses(t *testing.T) {
	v := newTown(t)
	ana, luis, gone := v.resident("ana"), v.resident("luis"), v.resident("gone")
	listing := ana.offers("f", "the content")
	own, err := identity.Certificate(luis.key)
	v.ok(err)
	stale := gone.certificate(v.authority, "gone", time.Hour)
	if got := asks(t, ana.way(), listing.Proof.File, stale); !strings.HasSuffix(got, "the content") {
		t.Fatalf("before its key was revoked, a member gets %q", got)
	}
	gone.revoke()
	// The node hears of it over its session, some time later.
	for deadline := time.Now().Add(patience); asks(t, ana.way(), listing.Proof.File, stale) != ""; {
		if time.Now().After(deadline) {
			t.Fatal("a revoked key is still served")
		}
	}
	directory, err := v.authority.ServerConfig(nil).GetCertificate(nil)
	v.ok(err)
	for name, certificates := range map[string][]tls.Certificate{
		"none":                              nil,
		"signed by itself":                  {own},
		"expired":                           {luis.certificate(v.yesterday(48*time.Hour), "luis", time.Hour)},
		"of another directory":              {luis.certificate(v.foreign(), "luis", time.Hour)},
		"of another directory, for the own": {luis.certificate(v.foreign(), "ana", time.Hour)},
		"wrong name, the directory's":       {*directory},
		"revoked":                           {stale},
	} {
		t.Run(name, func(t *testing.T) {
			if got := asks(t, ana.way(), listing.Proof.File, certificates...); got != "" {
				t.Errorf("the node answers %q", got)
			}
		})
	}
	if got := asks(t, ana.way(), listing.Proof.File, luis.certificate(v.authority, "luis", time.Hour)); !strings.HasSuffix(got, "the content") {
		t.Errorf("a member gets %q", got)
	}
}

// poses listens with that certificate and serves the content to whoever asks.
func (v *town) poses(certificate tls.Certificate, content string) lonja.Endpoint {
	v.Helper()
	ln := tls.NewListener(v.listen(), &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"http/1.1"},
	})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, part, ok := fileapi.ParsePath(r.URL.Path); ok && part == fileapi.Have {
			_, _ = w.Write(fileapi.AppendHave(nil, nil))
			return
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	}), ReadHeaderTimeout: patience, ErrorLog: nobodyReads}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(ln) }()
	v.Cleanup(func() { _ = server.Close(); <-done })
	return endpoint(ln.Addr().String())
}

// leadsTo has the directory say that all holders are reached there.
func leadsTo(at lonja.Endpoint) func([]lonja.Holder) []lonja.Holder {
	return func(holders []lonja.Holder) []lonja.Holder {
		for i := range holders {
			holders[i].Reach = &lonja.Reach{Key: holders[i].Reach.Key, Ways: []lonja.Endpoint{at}}
		}
		return holders
	}
}

// TestCertificatesThatADownloaderRefuses: whoever answers at the owner's address
// must be the owner, now.
func TestCertificatesThatADownloaderRefuses(t *testing.T) {
	v := newTown(t)
	ana, luis, eve := v.resident("ana"), v.resident("luis"), v.resident("eve")
	ana.offers("f", "the content")
	luis.gets("ana", "f", "the content")
	own, err := identity.Certificate(ana.key)
	v.ok(err)
	for name, certificate := range map[string]tls.Certificate{
		"signed by itself":            own,
		"expired":                     ana.certificate(v.yesterday(48*time.Hour), "ana", time.Hour),
		"of another directory":        ana.certificate(v.foreign(), "ana", time.Hour),
		"of another user":             eve.certificate(v.authority, "eve", time.Hour),
		"of the user for another key": eve.certificate(v.authority, "ana", time.Hour),
		"of another user for the key": ana.certificate(v.authority, "eve", time.Hour),
	} {
		v.rules.lies(nil, leadsTo(v.poses(certificate, "the content")))
		_, err := luis.fetch("ana", "f")
		if !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got %v, want Untrusted", name, err)
		}
	}
	good := v.poses(ana.certificate(v.authority, "ana", time.Hour), "the content")
	v.rules.lies(nil, leadsTo(good))
	luis.gets("ana", "f", "the content") // so it was the certificates

	v.rules.lies(nil, leadsTo(v.poses(ana.certificate(v.authority, "ana", time.Hour), "another one")))
	_, err = luis.fetch("ana", "f")
	v.is(err, lonja.Untrusted)
	ana.revoke() // her session ends, and what she signed is no longer listed
	v.rules.lies(nil, nil)
	_, err = luis.fetch("ana", "f")
	v.is(err, lonja.NoSuchOwner)
}

// TestRevokedOwner: a directory that goes on listing what a revoked key has signed
// finds nobody who fetches it.
func TestRevokedOwner(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	ana.offers("f", "the content")
	luis.gets("ana", "f", "the content")
	var before []lonja.Holder
	v.rules.lies(nil, func(holders []lonja.Holder) []lonja.Holder { before = holders; return holders })
	luis.gets("ana", "f", "the content")
	ana.revoke()
	v.rules.lies(nil, func([]lonja.Holder) []lonja.Holder { return before })
	_, err := luis.fetch("ana", "f")
	v.is(err, lonja.Untrusted)
}

// TestCertificatesThatADirectoryRefuses: without a key nobody acts for a name that
// is bound to one, and with a revoked one neither.
func TestCertificatesThatADirectoryRefuses(t *testing.T) {
	v := newTown(t)
	ana := v.resident("ana")
	config := ana.config()
	config.Certificates = nil
	nobody := apiclient.New(apiclient.Options{Addresses: []string{v.at}, TLS: config, DialTimeout: patience})
	defer nobody.Close()
	v.is(nobody.Authorize(lonja.Member{User: "ana"}), lonja.OtherKey)
	v.is(nobody.Disconnect(t.Context(), "ana"), lonja.OtherKey)
	v.is(nobody.Unregister(t.Context(), "ana"), lonja.OtherKey)
	v.is(nobody.RegisterMember(t.Context(), lonja.Member{User: "eve"}, ""), lonja.Forbidden)
	ana.revoke()
	v.is(ana.client.Authorize(ana.member), lonja.OtherKey)
	v.is(ana.client.ConnectMember(t.Context(), ana.member, nil), lonja.OtherKey)
	v.is(ana.client.Publish(t.Context(), "ana", lonja.Listing{Name: "f"}), lonja.OtherKey)
}

// TestDirectoriesThatANodeRefuses: what answers at the directory's address must
// have a certificate of the pinned authority that is a directory's and holds.
func TestDirectoriesThatANodeRefuses(t *testing.T) {
	v := newTown(t)
	ana := v.resident("ana")
	proved, err := tls.Dial("tcp", v.at, ana.config())
	v.ok(err)
	chain := proved.ConnectionState().PeerCertificates
	_ = proved.Close()
	member := ana.certificate(v.authority, "ana", time.Hour)
	for _, c := range chain[1:] {
		member.Certificate = append(member.Certificate, c.Raw)
	}
	own, err := identity.Certificate(ana.key)
	v.ok(err)
	with := func(c tls.Certificate) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{c}, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"lonja/1"}}
	}
	for name, config := range map[string]*tls.Config{
		"signed by itself":     with(own),
		"a member's":           with(member),
		"expired":              v.yesterday(365 * 24 * time.Hour).ServerConfig(nil),
		"of another authority": v.foreign().ServerConfig(nil),
	} {
		c := v.citizenBy("luis", v.serve(config))
		err := c.Register(context.WithoutCancel(t.Context()), "luis")
		if !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got %v, want Untrusted", name, err)
		}
		if _, err := v.rules.Directory.Keys(t.Context(), "luis"); !errors.Is(err, lonja.NoSuchOwner) {
			t.Errorf("%s: the directory was asked all the same", name)
		}
	}
	v.ok(v.citizenBy("luis", v.serve(v.authority.ServerConfig(nil))).Register(t.Context(), "luis"))
}

// TestNothingResumes: each connection is checked whole, so that a revoked key does
// not come back with a ticket from before.
func TestNothingResumes(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	own, err := identity.Certificate(luis.key)
	v.ok(err)
	for name, port := range map[string]struct {
		at, protocol string
		certificate  tls.Certificate
	}{
		"directory": {v.at, "http/1.1", own},
		"node":      {ana.way(), "http/1.1", luis.certificate(v.authority, "luis", time.Hour)},
	} {
		config := &tls.Config{
			InsecureSkipVerify: true, Certificates: []tls.Certificate{port.certificate}, NextProtos: []string{port.protocol},
			ServerName: "peer", ClientSessionCache: tls.NewLRUClientSessionCache(4),
		}
		for range 2 {
			conn, err := tls.Dial("tcp", port.at, config)
			v.ok(err)
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			v.ok(err)
			if _, err := io.ReadAll(conn); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if conn.ConnectionState().DidResume {
				t.Errorf("%s: a session was resumed", name)
			}
			_ = conn.Close()
		}
	}
}

// TestUnregisteredMember: what was issued for an account is good no more when the
// account has ended, although it lasts; what is issued to the same key for its next
// account is.
func TestUnregisteredMember(t *testing.T) {
	v := newTown(t)
	ctx := t.Context()
	ana, luis := v.resident("ana"), v.resident("luis")
	file := ana.offers("f", "the content").Proof.File
	served := func(cert tls.Certificate) bool {
		return strings.HasSuffix(asks(t, ana.way(), file, cert), "the content")
	}
	first := luis.issued()
	if !served(first) {
		t.Fatal("a member is not served")
	}
	v.ok(luis.Disconnect(ctx, "luis"))
	v.ok(luis.Unregister(ctx, "luis"))
	v.comes("nothing is served with the certificate of an account that has ended", func() bool { return !served(first) })
	v.ok(luis.Register(ctx, "luis"))
	if !served(luis.issued()) {
		t.Error("the next account of the same key is not served")
	}
	if served(first) {
		t.Error("the certificate of the account before is good again")
	}
	v.ok(ana.Disconnect(ctx, "ana")) // a node that begins later hears of it too
	v.ok(ana.Connect(ctx, "ana"))
	v.comes("that is so for a node that has just begun", func() bool { return !served(first) })
	if !served(luis.issued()) {
		t.Error("a node that has just begun does not serve the next account")
	}
}
