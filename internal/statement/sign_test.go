package statement_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/statement"
)

// publication returns one that can be signed.
func publication() lonja.Publication {
	return lonja.Publication{Owner: "ana", Listing: lonja.Listing{
		Name: "a/b c.txt", Description: "about", Size: 5,
		Proof: &lonja.Proof{File: lonja.FileID{1}, Date: 1795000000, Audience: []lonja.UserName{"luis", "eva", "luis"}},
	}}
}

func signed(t testing.TB, p lonja.Publication, n byte) lonja.Publication {
	t.Helper()
	p, err := statement.SignPublication(p, seedOf(n))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSignPublication(t *testing.T) {
	before := publication()
	p := signed(t, before, 1)
	if err := statement.VerifyPublication(p); err != nil {
		t.Error(err)
	}
	if want := []lonja.UserName{"eva", "luis"}; !slices.Equal(p.Proof.Audience, want) {
		t.Errorf("got audience %q, want %q", p.Proof.Audience, want)
	}
	if !before.Proof.Key.IsZero() || before.Proof.Audience[0] != "luis" {
		t.Error("the publication that was given has changed")
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := statement.SignPublication(before, other); !errors.Is(err, lonja.Invalid) {
		t.Errorf("an ECDSA key: got error %v, want %v", err, lonja.Invalid)
	}
}

// TestForgedPublication: whatever is changed, the signature is wrong.
func TestForgedPublication(t *testing.T) {
	for name, forge := range map[string]func(*lonja.Publication){
		"owner":         func(p *lonja.Publication) { p.Owner = "eva" },
		"name":          func(p *lonja.Publication) { p.Name = "a/b d.txt" },
		"description":   func(p *lonja.Publication) { p.Description = "" },
		"size":          func(p *lonja.Publication) { p.Size++ },
		"file":          func(p *lonja.Publication) { p.Proof.File[31] ^= 1 },
		"date":          func(p *lonja.Publication) { p.Proof.Date++ },
		"audience gone": func(p *lonja.Publication) { p.Proof.Audience = nil },
		"audience more": func(p *lonja.Publication) { p.Proof.Audience = []lonja.UserName{"eva", "luis", "mallory"} },
		"audience cut":  func(p *lonja.Publication) { p.Proof.Audience = []lonja.UserName{"ev", "luisa"} },
		"key":           func(p *lonja.Publication) { p.Proof.Key = publicOf(seedOf(2)) },
		"signature":     func(p *lonja.Publication) { p.Proof.Signature[0] ^= 1 },
		"none":          func(p *lonja.Publication) { p.Proof.Signature = lonja.Signature{} },
	} {
		p := signed(t, publication(), 1)
		forge(&p)
		if err := statement.VerifyPublication(p); !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.Untrusted)
		}
	}
}

func TestPublicationsThatNobodySigns(t *testing.T) {
	many := make([]lonja.UserName, statement.MaxAudience+1)
	for i := range many {
		many[i] = lonja.UserName(fmt.Sprintf("u%03d", i))
	}
	for name, spoil := range map[string]func(*lonja.Publication){
		"no proof":           func(p *lonja.Publication) { p.Proof = nil },
		"absolute":           func(p *lonja.Publication) { p.Name = "/etc/passwd" },
		"odd owner":          func(p *lonja.Publication) { p.Owner = "a/b" },
		"size unknown":       func(p *lonja.Publication) { p.Size = lonja.UnknownSize },
		"content unknown":    func(p *lonja.Publication) { p.Proof.File = lonja.FileID{} },
		"before 1970":        func(p *lonja.Publication) { p.Proof.Date = -1 },
		"description":        func(p *lonja.Publication) { p.Description = lonja.Description(strings.Repeat("x", 256)) },
		"everybody by name":  func(p *lonja.Publication) { p.Proof.Audience = many },
		"a user without any": func(p *lonja.Publication) { p.Proof.Audience = []lonja.UserName{""} },
	} {
		p := publication()
		spoil(&p)
		if _, err := statement.SignPublication(p, seedOf(1)); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%s: signing: got error %v, want %v", name, err, lonja.Invalid)
		}
		if err := statement.VerifyPublication(p); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%s: checking: got error %v, want %v", name, err, lonja.Invalid)
		}
	}
	p := signed(t, publication(), 1)
	slices.Reverse(p.Proof.Audience)
	if err := statement.VerifyPublication(p); !errors.Is(err, lonja.Invalid) {
		t.Errorf("audience in another order: got error %v, want %v", err, lonja.Invalid)
	}
}

// TestSignaturesStayInTheirKind: a signature of one kind of statement is none of
// another, nor is a bare one.
func TestSignaturesStayInTheirKind(t *testing.T) {
	laptop, phone := seedOf(1), seedOf(2)
	e, err := statement.SignEndorsement(lonja.Endorsement{User: "ana", Key: publicOf(phone), Date: 5}, laptop)
	if err != nil {
		t.Fatal(err)
	}
	r := lonja.Revocation{User: e.User, Key: e.Key, Date: e.Date, By: e.By, Signature: e.Signature}
	if err := statement.VerifyRevocation(r); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("got error %v, want %v", err, lonja.Untrusted)
	}
	if err := statement.VerifyEndorsement(e); err != nil {
		t.Error(err)
	}
	for name, forge := range map[string]func(*lonja.Endorsement){
		"user": func(e *lonja.Endorsement) { e.User = "eva" }, "label": func(e *lonja.Endorsement) { e.Label = "x" },
		"date": func(e *lonja.Endorsement) { e.Date++ }, "key": func(e *lonja.Endorsement) { e.Key = publicOf(seedOf(3)) },
		"by": func(e *lonja.Endorsement) { e.By = publicOf(seedOf(3)) },
	} {
		forged := e
		forge(&forged)
		if err := statement.VerifyEndorsement(forged); !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.Untrusted)
		}
	}
}

// TestWeakKeys: with a point of small order as key, R = key and S = 0 is a valid
// signature of many statements, as Go and everybody else check them.
func TestWeakKeys(t *testing.T) {
	for name, encoded := range map[string]string{
		"identity":  "0100000000000000000000000000000000000000000000000000000000000000",
		"order 2":   "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"order 4":   "0000000000000000000000000000000000000000000000000000000000000000",
		"order 8":   "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"no point":  "0200000000000000000000000000000000000000000000000000000000000000",
		"too large": "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	} {
		b, err := hex.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		p := publication()
		p.Proof.Audience = nil
		p.Proof.Key = lonja.PublicKey(b)
		copy(p.Proof.Signature[:], b)
		if err := statement.VerifyPublication(p); !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.Untrusted)
		}
		if err := statement.CheckKey(p.Proof.Key); !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.Untrusted)
		}
	}
	if err := statement.CheckKey(publicOf(seedOf(1))); err != nil {
		t.Error(err)
	}
}

func BenchmarkVerifyPublication(b *testing.B) {
	p := signed(b, publication(), 1)
	for b.Loop() {
		if err := statement.VerifyPublication(p); err != nil {
			b.Fatal(err)
		}
	}
}
