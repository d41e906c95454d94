package statement_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/statement"
)

// unagreed returns ring as it was when keys did not have to agree.
func unagreed(ring []lonja.KeyRecord) []lonja.KeyRecord {
	ring = slices.Clone(ring)
	for i := range ring {
		ring[i].Consent = lonja.Signature{}
	}
	return ring
}

// TestKeysThatDidNotAgree: a ring of before keys had to agree is one, but only its
// first key speaks, until the others are endorsed again, and agree.
func TestKeysThatDidNotAgree(t *testing.T) {
	old := endorsed(t, endorsed(t, first(1), 1, 2, 200), 2, 3, 300)
	ring := unagreed(old)
	if err := statement.CheckRing(ring); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[byte]bool{1: true, 2: false, 3: false} {
		key := publicOf(seedOf(n))
		if got := statement.Speaks(ring, key); got != want {
			t.Errorf("key %d speaks: %t, want %t", n, got, want)
		}
		if err := statement.Follows(publicOf(seedOf(1)), ring, key); (err == nil) != want {
			t.Errorf("key %d follows: %v, want none: %t", n, err, want)
		}
	}
	half := slices.Clone(old)
	half[1].Consent = lonja.Signature{}
	if statement.Speaks(half, publicOf(seedOf(3))) {
		t.Error("a key speaks that was endorsed by one that did not agree")
	}
	if _, err := statement.Endorse(ring, old[2].Endorsement); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("endorsed by one that does not speak: got error %v, want %v", err, lonja.Untrusted)
	}
	for _, r := range old[1:] {
		next, err := statement.Endorse(ring, r.Endorsement)
		if err != nil {
			t.Fatal(err)
		}
		ring = next
	}
	if !slices.Equal(ring, old) || !statement.Speaks(ring, publicOf(seedOf(3))) {
		t.Errorf("got %+v, want %+v", ring, old)
	}
	if _, err := statement.Endorse(ring, old[1].Endorsement); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("once more: got error %v, want %v", err, lonja.Untrusted)
	}
	gone := revoked(unagreed(old), 2, 250)
	if _, err := statement.Endorse(gone, old[1].Endorsement); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("one that was revoked: got error %v, want %v", err, lonja.Untrusted)
	}
}

// TestConsent: it is of one key, for one name and one account.
func TestConsent(t *testing.T) {
	e := agreed(t, first(1), lonja.Endorsement{User: "ana", Key: publicOf(seedOf(2)), By: publicOf(seedOf(1))}, 2)
	if err := statement.VerifyConsent(publicOf(seedOf(1)), e); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*lonja.Endorsement){
		"another name": func(e *lonja.Endorsement) { e.User = "eva" },
		"another key":  func(e *lonja.Endorsement) { e.Key = publicOf(seedOf(3)) },
		"changed":      func(e *lonja.Endorsement) { e.Consent[7]++ },
		"none":         func(e *lonja.Endorsement) { e.Consent = lonja.Signature{} },
	} {
		other := e
		change(&other)
		if err := statement.VerifyConsent(publicOf(seedOf(1)), other); !errors.Is(err, lonja.Untrusted) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.Untrusted)
		}
	}
	if err := statement.VerifyConsent(publicOf(seedOf(3)), e); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("another account: got error %v, want %v", err, lonja.Untrusted)
	}
	if _, err := statement.SignConsent("a\nb", publicOf(seedOf(1)), seedOf(2)); !errors.Is(err, lonja.Invalid) {
		t.Errorf("no name: got error %v, want %v", err, lonja.Invalid)
	}
}

func TestRequests(t *testing.T) {
	want := statement.Request{Key: publicOf(seedOf(2)), Consent: lonja.Signature{1, 63: 2}}
	text := want.String()
	if got, err := statement.ParseRequest(text); err != nil || got != want || strings.ContainsAny(text, " =+/") {
		t.Errorf("got %+v from %q, %v", got, text, err)
	}
	for _, bad := range []string{"", "rubbish!", text[1:], text + "AAAA", text + "\n", want.Key.String()} {
		if got, err := statement.ParseRequest(bad); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%q: got %+v, error %v, want %v", bad, got, err, lonja.Invalid)
		}
	}
}

// FuzzParseRequest: a text that is taken is the one of what it says.
func FuzzParseRequest(f *testing.F) {
	f.Add(statement.Request{Key: publicOf(seedOf(2))}.String())
	f.Add(publicOf(seedOf(2)).String())
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := statement.ParseRequest(text); err == nil && r.String() != text {
			t.Errorf("%q is read as %+v, which is %q", text, r, r)
		}
	})
}
