package attack_test

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/dirclient"
	"lonja/internal/identity"
)

// TestAnotherKey: a name that is bound to a key cannot be acted for by another
// node, which has a key of its own, in either dialect.
func TestAnotherKey(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	listing := ana.offers("f", "the content")
	thief := v.citizen("ana")
	ctx := t.Context()
	v.is(thief.Register(ctx, "ana"), lonja.NameInUse)
	v.is(thief.Connect(ctx, "ana"), lonja.OtherKey)
	v.is(thief.Unregister(ctx, "ana"), lonja.OtherKey)
	v.is(thief.Disconnect(ctx, "ana"), lonja.OtherKey)
	v.is(thief.client.Publish(ctx, "ana", listing), lonja.OtherKey)
	v.is(thief.client.Delete(ctx, "ana", "f"), lonja.OtherKey)
	v.is(thief.client.Claim(ctx, thief.member, netip.Addr{}), lonja.OtherKey)
	_, err := thief.client.ListContent(ctx, "ana", "ana")
	v.is(err, lonja.OtherKey)

	classic := dirclient.New(dirclient.Options{Address: v.at})
	v.is(classic.Register(ctx, "ana"), lonja.NameInUse)
	v.is(classic.Connect(ctx, "ana", endpoint("127.0.0.1:4000")), lonja.Refused)
	v.is(classic.Publish(ctx, "ana", lonja.Listing{Name: "/g"}), lonja.Refused)
	v.is(classic.Delete(ctx, "ana", "f"), lonja.Refused)
	v.is(classic.Disconnect(ctx, "ana"), lonja.Refused)
	v.is(classic.Unregister(ctx, "ana"), lonja.Refused)
	_, err = classic.ListContent(ctx, "ana", "ana")
	v.is(err, lonja.Refused)
	luis.gets("ana", "f", "the content") // nothing of it has harmed her
}

// TestOlderTLS: neither port speaks less than TLS 1.3.
func TestOlderTLS(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	own, err := identity.Certificate(luis.key)
	v.ok(err)
	for name, port := range map[string]struct {
		at, protocol string
		certificate  tls.Certificate
	}{
		"directory, frames": {v.at, "lonja/1", own},
		"directory, HTTP":   {v.at, "http/1.1", own},
		"node":              {ana.way(), "http/1.1", luis.certificate(v.authority, "luis", time.Hour)},
	} {
		config := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{port.certificate}, NextProtos: []string{port.protocol}}
		conn, err := tls.Dial("tcp", port.at, config)
		if err != nil {
			t.Fatalf("%s: TLS 1.3: %v", name, err)
		}
		_ = conn.Close()
		for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
			config.MinVersion, config.MaxVersion = tls.VersionTLS10, version
			conn, err := tls.Dial("tcp", port.at, config)
			if err == nil {
				_ = conn.Close()
				t.Errorf("%s: %s is spoken", name, tls.VersionName(version))
			} else if !strings.Contains(err.Error(), "protocol version not supported") {
				t.Errorf("%s: %s ends with %v, want that the version is refused", name, tls.VersionName(version), err)
			}
		}
	}
}
