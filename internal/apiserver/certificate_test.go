package apiserver_test

import (
	"crypto"
	"errors"
	"testing"
	"time"

	"lonja"
	"lonja/internal/apiserver"
	"lonja/internal/apiserver/apitest"
	"lonja/internal/directory/directorytest"
	"lonja/internal/statement"
)

// TestNoCertificateForOpenNames: anybody may connect with a name that is bound to
// no key, and gets nothing by which it would be that user when it is bound.
func TestNoCertificateForOpenNames(t *testing.T) {
	s := site(t, apitest.Setup{Secure: apiserver.Options{Issue: func(m lonja.Member, _ uint64) (apiserver.Certificate, error) {
		return apiserver.Certificate{Chain: [][]byte{[]byte(m.User)}}, nil
	}}})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cert := apitest.Certificate(t)
	c, ana := client(t, s, cert), lonja.Member{User: "ana", Key: apitest.KeyOf(cert)}
	must(c.Register(ctx, "ana"))
	session, err := c.Begin(ctx, ana, here)
	must(err)
	if session.Certificate != nil {
		t.Errorf("CONNECT with an open name gives the certificate %+v", session.Certificate)
	}
	session, err = c.Renew(ctx, ana, nil, true)
	must(err)
	if session.Certificate != nil {
		t.Errorf("RENEW with an open name gives the certificate %+v", session.Certificate)
	}
	if _, err := c.Certificate(ctx, ana); !errors.Is(err, lonja.Forbidden) {
		t.Errorf("a certificate of an open name: got %v", err)
	}
	must(c.Claim(ctx, ana, here[0].Addr()))
	if session, err = c.Renew(ctx, ana, nil, true); err != nil || session.Certificate == nil {
		t.Errorf("RENEW with a bound name: got %+v, %v", session, err)
	}
}

// TestNoCertificateOfRevokedKeys: a key that is revoked while its certificate is
// made does not get it: peers that heard of the revocation before would take it.
func TestNoCertificateOfRevokedKeys(t *testing.T) {
	dir := directorytest.New(t)
	cert := apitest.Certificate(t)
	ana := lonja.Member{User: "ana", Key: apitest.KeyOf(cert)}
	s := site(t, apitest.Setup{Directory: dir, Secure: apiserver.Options{Issue: func(m lonja.Member, _ uint64) (apiserver.Certificate, error) {
		r, err := statement.SignRevocation(lonja.Revocation{User: m.User, Key: m.Key, Date: time.Now().Unix()}, cert.PrivateKey.(crypto.Signer))
		if err == nil {
			err = dir.RevokeKey(t.Context(), m, r)
		}
		return apiserver.Certificate{Chain: [][]byte{[]byte(m.User)}}, err
	}}})
	c := client(t, s, cert)
	if err := c.RegisterMember(t.Context(), ana, ""); err != nil {
		t.Fatal(err)
	}
	if issued, err := c.Certificate(t.Context(), ana); !errors.Is(err, lonja.OtherKey) {
		t.Errorf("got %+v, %v", issued, err)
	}
}
