package node

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/authority"
	"lonja/internal/directory"
	"lonja/internal/fileapi"
	"lonja/internal/identity"
	"lonja/internal/memstore"
	"lonja/internal/statement"
)

// TestDirectoryRestarts: the session comes back by itself, and what is published
// stays published.
func TestDirectoryRestarts(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	v.ok(ana.Publish(t.Context(), ana.write("f", "content"), ""))
	v.restart(v.store)
	for _, c := range []*citizen{ana, luis} {
		v.until("the session of "+string(c.user)+" is back", func() bool {
			s := c.status().Session
			return s.Connected && s.Grant.Node == "again"
		})
	}
	luis.gets("ana", "f", "content")
	if got := ana.listed(); got != "f" {
		t.Errorf("listed are %q", got)
	}
}

// TestDirectoryLosesPublications: a directory that was restored from an old copy
// learns again what is published, and not what was deleted.
func TestDirectoryLosesPublications(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	for _, name := range []string{"f", "g", "h"} {
		v.ok(ana.Publish(t.Context(), ana.write(name, "content of "+name), ""))
	}
	v.ok(ana.Delete(t.Context(), "g"))
	copied := memstore.New()
	old, err := directory.Open(t.Context(), directory.Options{Store: copied})
	v.ok(err)
	for _, c := range []*citizen{ana, luis} {
		v.ok(old.RegisterMember(t.Context(), lonja.Member{User: c.user, Key: c.key.PublicKey()}, ""))
	}
	v.ok(old.Close())
	v.restart(copied)
	v.until("all is published again", func() bool { return ana.listed() == "f h" })
	v.until("luis is back", func() bool { return luis.status().Session.Connected })
	luis.gets("ana", "h", "content of h")
	v.until("that is said", func() bool { return strings.Contains(ana.notes.take(), "published again") })
}

// TestDirectoryNodeMoves: when one node of a directory ends, the session goes on
// at another.
func TestDirectoryNodeMoves(t *testing.T) {
	v := newTown(t)
	v.open("second", "127.0.0.1:0")
	ana, luis := v.resident("ana"), v.resident("luis")
	v.ok(ana.Publish(t.Context(), ana.write("f", "content"), ""))
	before := ana.status().Session
	left, other := v.ports[0], "second"
	if before.Grant.Node == "second" {
		left, other = v.ports[1], "first"
	}
	left.stop()
	v.until("the session is at the other node", func() bool {
		s := ana.status().Session
		return s.Connected && s.Grant.Node == other
	})
	luis.gets("ana", "f", "content")
}

// TestDisconnectLeavesNothing: no listener and no goroutine, whatever was going on.
func TestDisconnectLeavesNothing(t *testing.T) {
	v := newTown(t)
	luis := v.resident("luis")
	ana := v.citizen("ana", nil)
	v.ok(ana.Register(t.Context(), "ana"))
	connect := func() (at string) {
		v.ok(ana.Connect(t.Context(), "ana"))
		return ana.status().Ways[0].String()
	}
	connect()
	v.ok(ana.Disconnect(t.Context(), "ana"))
	before := runtime.NumGoroutine()
	for range 3 {
		at := connect()
		v.ok(ana.Publish(t.Context(), ana.write("f", "content"), ""))
		luis.gets("ana", "f", "content")
		v.ok(ana.Disconnect(t.Context(), "ana"))
		if conn, err := net.Dial("tcp", at); err == nil {
			_ = conn.Close()
			t.Error("the node still listens")
		}
		v.ok(ana.Connect(t.Context(), "ana"))
		v.ok(ana.Delete(t.Context(), "f"))
		v.ok(ana.Disconnect(t.Context(), "ana"))
	}
	v.until("no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
	if _, err := luis.fetch("ana", "f"); !errors.Is(err, lonja.NoSuchOwner) {
		t.Errorf("got %v", err)
	}
}

// TestRevokedOnARunningConnection: a key that is revoked is served no more, also
// over a connection that it has already.
func TestRevokedOnARunningConnection(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	v.ok(ana.Publish(t.Context(), ana.write("f", "content"), ""))
	listings, err := luis.ListContent(t.Context(), "ana")
	v.ok(err)
	config := authority.PeerClientConfig(luis.current().keeps.peers(), authority.Expected{User: "ana", Keys: []lonja.PublicKey{ana.key.PublicKey()}})
	conn, err := tls.Dial("tcp", ana.status().Ways[0].String(), config)
	v.ok(err)
	defer conn.Close()
	ask := newRequester(v, conn, fileapi.Path(listings[0].Proof.File)).ask
	for range 2 {
		if status := ask(); status != http.StatusOK {
			t.Fatalf("got status %d", status)
		}
	}
	luis.revoke()
	v.until("the node refuses", func() bool {
		status := ask()
		if status != http.StatusOK && status != http.StatusForbidden {
			t.Fatalf("got status %d", status)
		}
		return status == http.StatusForbidden
	})
}

// A requester asks for one thing again and again over a connection.
type requester struct {
	town    *town
	conn    net.Conn
	answers *bufio.Reader
	path    string
}

func newRequester(v *town, conn net.Conn, path string) *requester {
	v.Helper()
	v.ok(conn.SetDeadline(time.Now().Add(patience)))
	return &requester{v, conn, bufio.NewReader(conn), path}
}

// ask returns the status of the answer.
func (r *requester) ask() int {
	v := r.town
	v.Helper()
	_, err := fmt.Fprintf(r.conn, "GET %s HTTP/1.1\r\nHost: ana\r\n\r\n", r.path)
	v.ok(err)
	answer, err := http.ReadResponse(r.answers, nil)
	v.ok(err)
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	v.ok(err)
	return answer.StatusCode
}

// revoke takes the citizen's key back with a second one.
func (c *citizen) revoke() {
	v := c.town
	v.Helper()
	second, err := identity.NewKey()
	v.ok(err)
	now := time.Now().Unix()
	e, err := statement.SignEndorsement(lonja.Endorsement{User: c.user, Key: second.PublicKey(), Date: now - 10}, c.key)
	v.ok(err)
	e.Consent, err = statement.SignConsent(c.user, c.key.PublicKey(), second)
	v.ok(err)
	v.ok(v.rules.AddKey(v.Context(), lonja.Member{User: c.user, Key: c.key.PublicKey()}, e))
	r, err := statement.SignRevocation(lonja.Revocation{User: c.user, Key: c.key.PublicKey(), Date: now}, second)
	v.ok(err)
	v.ok(v.rules.RevokeKey(v.Context(), lonja.Member{User: c.user, Key: second.PublicKey()}, r))
}
