package classic

import (
	"bufio"
	"errors"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"lonja"
)

func endpoint(s string) lonja.Endpoint {
	ap := netip.MustParseAddrPort(s)
	return lonja.EndpointFrom(ap.Addr(), ap.Port())
}

func TestAnswersSurviveTheWire(t *testing.T) {
	peers := []lonja.Peer{{User: "ana", At: endpoint("10.0.0.1:4000")}, {User: "ñandú", At: endpoint("[2001:db8::1]:65535")}}
	if got, err := ReadUsers(reader(string(AppendUsers(nil, lonja.PeerList{peers})))); err != nil || !reflect.DeepEqual(got, peers) {
		t.Errorf("users: got %v, %v; want %v", got, err, peers)
	}
	listings := []lonja.Listing{{Name: "/a", Size: lonja.UnknownSize}, {Name: `C:\b`, Size: lonja.UnknownSize}}
	if got, err := ReadListings(reader(string(AppendListings(nil, listings)))); err != nil || !reflect.DeepEqual(got, listings) {
		t.Errorf("listings: got %v, %v; want %v", got, err, listings)
	}
	var holders []lonja.Holder
	for range lonja.MaxHolders + 1 {
		holders = append(holders, lonja.Holder{At: endpoint("10.0.0.1:4000"), Name: "/a"})
	}
	got, err := ReadHolders(reader(string(AppendHolders(nil, holders))))
	if err != nil || len(got) != lonja.MaxHolders {
		t.Errorf("holders: got %d, %v; want %d", len(got), err, lonja.MaxHolders)
	}
}

func TestAnswerBytes(t *testing.T) {
	for name, c := range map[string]struct{ got, want string }{
		"no users": {string(AppendUsers(nil, nil)), "0\x00"},
		"users":    {string(AppendUsers(nil, lonja.PeerList{{{User: "ana", At: endpoint("[::ffff:10.0.0.1]:4000")}}})), "1\x00ana\x0010.0.0.1\x004000\x00"},
		"content":  {string(AppendListings(nil, []lonja.Listing{{Name: "/a", Description: "not sent"}})), "1\x00/a\x00"},
		"holders":  {string(AppendHolders(nil, []lonja.Holder{{User: "not sent", At: endpoint("10.0.0.1:4000"), Name: "/a"}})), "\x0110.0.0.1\x004000\x00/a\x00"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", name, c.got, c.want)
		}
	}
}

// TestEmptyAnswerIsAFailure: the original took it for 0.
func TestEmptyAnswerIsAFailure(t *testing.T) {
	if status, err := ReadStatus(reader("")); !errors.Is(err, lonja.Unavailable) {
		t.Errorf("got %d, %v; want kind Unavailable", status, err)
	}
}

func TestBadAnswers(t *testing.T) {
	readers := map[string]func(*bufio.Reader) (any, error){
		"users":   func(r *bufio.Reader) (any, error) { return ReadUsers(r) },
		"content": func(r *bufio.Reader) (any, error) { return ReadListings(r) },
		"holders": func(r *bufio.Reader) (any, error) { return ReadHolders(r) },
	}
	for name, c := range map[string]struct {
		kind, what string
		want       lonja.Kind
	}{
		"empty":           {"users", "", lonja.Unavailable},
		"cut":             {"users", "2\x00ana\x0010.0.0.1\x004000\x00", lonja.Unavailable},
		"negative":        {"users", "-1\x00", lonja.Malformed},
		"words":           {"content", "many\x00", lonja.Malformed},
		"endless":         {"content", "99999999999\x00", lonja.Malformed},
		"promise only":    {"content", "2000000\x00/a\x00", lonja.Unavailable},
		"long name":       {"content", "1\x00" + strings.Repeat("x", 5000) + "\x00", lonja.Malformed},
		"no address":      {"users", "1\x00ana\x00here\x004000\x00", lonja.Malformed},
		"no port":         {"users", "1\x00ana\x0010.0.0.1\x0070000\x00", lonja.Malformed},
		"no holders":      {"holders", "", lonja.Unavailable},
		"holders cut":     {"holders", "\x0210.0.0.1\x004000\x00/a\x00", lonja.Unavailable},
		"holders' letter": {"holders", "\x0110.0.0.1\x00x\x00/a\x00", lonja.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readers[c.kind](bufio.NewReaderSize(strings.NewReader(c.what), AnswerBufferSize))
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, %v; want kind %v", got, err, c.want)
			}
		})
	}
}

// A zone could be any text, and names nothing of this machine.
func TestZonesAreDropped(t *testing.T) {
	const hostile = "fe80::1%\x1b]0;title\x07"
	want := endpoint("[fe80::1]:4000")
	peers, err := ReadUsers(reader("1\x00eve\x00" + hostile + "\x004000\x00"))
	if err != nil || len(peers) != 1 || peers[0].At != want {
		t.Errorf("users: got %+v, %v; want %v", peers, err, want)
	}
	holders, err := ReadHolders(reader("\x01" + hostile + "\x004000\x00/x\x00"))
	if err != nil || len(holders) != 1 || holders[0].At != want {
		t.Errorf("holders: got %+v, %v; want %v", holders, err, want)
	}
}

// An answer is bounded by its bytes too, not by the number of its entries
// alone.
func TestAnswersAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		entry string
		read  func(*bufio.Reader) error
	}{
		"users":   {strings.Repeat("u", 1000) + "\x0010.0.0.1\x004000\x00", func(r *bufio.Reader) error { _, err := ReadUsers(r); return err }},
		"content": {strings.Repeat("n", 1000) + "\x00", func(r *bufio.Reader) error { _, err := ReadListings(r); return err }},
	} {
		sent := &endless{entry: c.entry}
		err := c.read(bufio.NewReaderSize(io.MultiReader(strings.NewReader("2000000\x00"), sent), AnswerBufferSize))
		if !errors.Is(err, lonja.Malformed) || sent.bytes > 2*maxAnswer {
			t.Errorf("%s: %v after %d bytes, want a malformed answer after about %d", name, err, sent.bytes, maxAnswer)
		}
	}
}

// An endless reader gives the same entry again and again.
type endless struct {
	entry string
	bytes int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.entry[(e.bytes+n)%len(e.entry):])
	}
	e.bytes += n
	return n, nil
}

func FuzzReadUsers(f *testing.F) {
	f.Add([]byte("1\x00ana\x0010.0.0.1\x004000\x00"))
	f.Add([]byte("0\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		peers, err := ReadUsers(reader(string(data)))
		if err != nil {
			return
		}
		again, err := ReadUsers(reader(string(AppendUsers(nil, lonja.PeerList{peers}))))
		if err != nil || !reflect.DeepEqual(again, peers) {
			t.Fatalf("%v became %v, %v", peers, again, err)
		}
	})
}

func FuzzReadListings(f *testing.F) {
	f.Add([]byte("2\x00/a\x00b\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		listings, err := ReadListings(reader(string(data)))
		if err != nil {
			return
		}
		again, err := ReadListings(reader(string(AppendListings(nil, listings))))
		if err != nil || !reflect.DeepEqual(again, listings) {
			t.Fatalf("%v became %v, %v", listings, again, err)
		}
	})
}

func FuzzReadHolders(f *testing.F) {
	f.Add([]byte("\x0110.0.0.1\x004000\x00/a\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		holders, err := ReadHolders(reader(string(data)))
		if err != nil {
			return
		}
		again, err := ReadHolders(reader(string(AppendHolders(nil, holders))))
		if err != nil || !reflect.DeepEqual(again, holders) {
			t.Fatalf("%v became %v, %v", holders, again, err)
		}
	})
}
