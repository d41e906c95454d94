package operator

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lonja"
)

// TestTextKeepsAnyBytes: names may be anything, and JSON only holds UTF-8.
func TestTextKeepsAnyBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Text(rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text"))
		line, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Text
		if err := json.Unmarshal(line, &got); err != nil || got != want {
			t.Fatalf("got %q and %v from %s, want %q", got, err, line, want)
		}
	})
}

func TestTextRefusesOtherJSON(t *testing.T) {
	for _, in := range []string{`7`, `{}`, `{"base64":"%"}`, `["a"]`} {
		var got Text
		if err := json.Unmarshal([]byte(in), &got); err == nil {
			t.Errorf("%s was taken for %q", in, got)
		}
	}
}

func TestAccountJSON(t *testing.T) {
	at := lonja.EndpointFrom(netip.MustParseAddr("192.0.2.7"), 4000)
	for _, c := range []struct {
		account Account
		want    string
	}{
		{Account{User: "ana", Publications: 2, Connected: true, At: at}, `{"user":"ana","publications":2,"connected":true,"at":"192.0.2.7:4000"}`},
		{Account{User: "a\xff"}, `{"user":{"base64":"Yf8="},"publications":0,"connected":false}`},
	} {
		line, err := json.Marshal(c.account)
		if err != nil || string(line) != c.want {
			t.Errorf("got %s and %v, want %s", line, err, c.want)
		}
		var back Account
		if err := json.Unmarshal(line, &back); err != nil || back != c.account {
			t.Errorf("got %v and %v back, want %v", back, err, c.account)
		}
	}
	for _, in := range []string{`{"user":""}`, `{"user":"` + strings.Repeat("x", 256) + `"}`, `{"user":"a","at":"nowhere"}`} {
		if err := json.Unmarshal([]byte(in), new(Account)); err == nil {
			t.Errorf("%s was taken", in)
		}
	}
}
