package link_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/link"
)

var (
	id   = lonja.PeerID{0xab, 31: 0xcd}
	file = lonja.FileID{0x12, 31: 0x34}
)

func ExampleParseInvitation() {
	i, err := link.ParseInvitation("lonja://Market.example#ab000000000000000000000000000000000000000000000000000000000000cd.s3cret")
	fmt.Println(i.Address, i.Secret, err)
	// Output: market.example:4444 s3cret <nil>
}

func TestAddresses(t *testing.T) {
	for s, want := range map[string]string{
		"host": "host:4444", "HOST.example.": "host.example.:4444", "a_b-c.d:1": "a_b-c.d:1", "h:65535": "h:65535",
		"127.0.0.1": "127.0.0.1:4444", "127.0.0.1:80": "127.0.0.1:80", "::1": "[::1]:4444", "[::1]": "[::1]:4444",
		"[2001:DB8::0:1]:99": "[2001:db8::1]:99", "[::ffff:1.2.3.4]:5": "1.2.3.4:5", "xn--ls8h.example": "xn--ls8h.example:4444",
	} {
		a, err := link.ParseAddress(s)
		if err != nil || a.String() != want {
			t.Errorf("%q: got %v, %v; want %s", s, a, err, want)
		}
		if again, err := link.ParseAddress(a.String()); err != nil || again != a {
			t.Errorf("%q: %v is read as %v, %v", s, a, again, err)
		}
	}
	for _, s := range []string{
		"", ":1", "h:", "h:0", "h:65536", "h:-1", "h:+1", "h:x", "h:1:2", "[::1", "[::1]x", "[::1]:", "[h]:1", "[1.2.3.4]:1",
		"a b", "a/b", "ñ", "h\x00", "fe80::1%eth0", "[fe80::1%25eth0]:1", "user@h", strings.Repeat("x", 254), "\u212a", // KELVIN SIGN
	} {
		if a, err := link.ParseAddress(s); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%q: got %v, error %v, want %v", s, a, err, lonja.Invalid)
		}
	}
}

// TestAddressWithAnotherPort: the port that is meant where none stands is not taken
// for one that does, nor the end of an IPv6 address for a port.
func TestAddressWithAnotherPort(t *testing.T) {
	for s, want := range map[string]string{
		"host": "host:5", "host:4444": "host:4444", "fd00::4444": "[fd00::4444]:5", "[fd00::4444]": "[fd00::4444]:5",
		"[fd00::1]:4444": "[fd00::1]:4444", "1.2.3.4": "1.2.3.4:5",
	} {
		if a, err := link.ParseAddressOr(s, 5); err != nil || a.String() != want {
			t.Errorf("%q: got %v, %v; want %s", s, a, err, want)
		}
	}
}

func TestInvitations(t *testing.T) {
	for _, want := range []link.Invitation{
		{link.Address{"host", 4444}, id, ""},
		{link.Address{"host", 4444}, id, "A-Za-z0.9_"},
		{link.Address{"2001:db8::1", 1}, id, lonja.Invitation(strings.Repeat("x", link.MaxInvitation))},
	} {
		if got, err := link.ParseInvitation(want.String()); err != nil || got != want {
			t.Errorf("%v: got %v, %v", want, got, err)
		}
	}
	good := "lonja://host#" + id.String()
	for _, s := range []string{good, "lonja://host/#" + id.String(), "LONJA://host:4444#" + strings.ToUpper(id.String())} {
		if got, err := link.ParseInvitation(s); err != nil || got.String() != "lonja://host:4444#"+id.String() {
			t.Errorf("%q: got %v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "host", "lonja:host#" + id.String(), "https" + good[5:], "lonja://host", "lonja://host#", good[:len(good)-1], good + "0",
		"lonja://#" + id.String(), good + ".", good + ".a b", good + ".ñ", good + "." + strings.Repeat("x", link.MaxInvitation+1),
		"lonja://u@host#" + id.String(), "lonja://u:p@host#" + id.String(), "lonja://host/x#" + id.String(), "lonja://host?x#" + id.String(),
		"lonja://host:0#" + id.String(), " " + good, good + "\n", "lonja://" + file.String() + "@host#" + id.String(),
	} {
		if got, err := link.ParseInvitation(s); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%q: got %v, error %v, want %v", s, got, err, lonja.Invalid)
		} else if strings.Contains(err.Error(), id.String()[:40]) {
			t.Errorf("%q: the error repeats what may be secret: %v", s, err)
		}
	}
}

func TestFiles(t *testing.T) {
	for _, want := range []link.File{
		{link.Address{"host", 4444}, file, "", "", lonja.UnknownSize, lonja.PeerID{}},
		{link.Address{"::1", 9}, file, "poems/by shelley & co.txt", "ana maría", 631, id},
		{link.Address{"host", 4444}, file, "100%+#?.txt", "", 0, lonja.PeerID{}},
	} {
		if got, err := link.ParseFile(want.String()); err != nil || got != want {
			t.Errorf("%v: got %v, %v", want, got, err)
		}
	}
	good := "lonja://host/" + file.String()
	if got, err := link.ParseFile(good + "?later=x&size=5"); err != nil || got.Size != 5 {
		t.Errorf("a parameter of later: got %v, %v", got, err)
	}
	for _, s := range []string{
		"lonja://host", "lonja://host/", good[:len(good)-1], good + "0", good + "/", "lonja://host//" + file.String(),
		"lonja://host/" + lonja.FileID{}.String(), good + "?name=../x", good + "?name=%2fetc%2fpasswd", good + "?name=a%0ab",
		good + "?name=a&name=b", good + "?owner=a%2fb", good + "?size=-1", good + "?size=x", good + "?size=9223372036854775808",
		good + "?%zz", good + "?a;b", good + "#" + id.String()[1:], good + "?name=" + strings.Repeat("x", link.MaxLink),
	} {
		if got, err := link.ParseFile(s); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%q: got %v, error %v, want %v", s, got, err, lonja.Invalid)
		}
	}
}

// FuzzLinks: whatever is read, what is taken is written in a form that is read
// as the same, and errors can be shown.
func FuzzLinks(f *testing.F) {
	f.Add(link.Invitation{link.Address{"host", 4444}, id, "secret"}.String())
	f.Add(link.File{link.Address{"::1", 1}, file, "a b", "ana", 5, id}.String())
	f.Add("[::1]:5")
	f.Fuzz(func(t *testing.T, s string) {
		var errs []error
		a, err := link.ParseAddress(s)
		if again, errAgain := link.ParseAddress(a.String()); err == nil && (errAgain != nil || again != a) {
			t.Errorf("%q: %v is read as %v, %v", s, a, again, errAgain)
		}
		errs = append(errs, err)
		i, err := link.ParseInvitation(s)
		if again, errAgain := link.ParseInvitation(i.String()); err == nil && (errAgain != nil || again != i) {
			t.Errorf("%q: %v is read as %v, %v", s, i, again, errAgain)
		}
		errs = append(errs, err)
		l, err := link.ParseFile(s)
		if again, errAgain := link.ParseFile(l.String()); err == nil && len(l.String()) <= link.MaxLink && (errAgain != nil || again != l) {
			t.Errorf("%q: %v is read as %v, %v", s, l, again, errAgain)
		}
		for _, err := range append(errs, err) {
			if err != nil && (!errors.Is(err, lonja.Invalid) || lonja.Printable(err.Error()) != err.Error()) {
				t.Errorf("%q: got error %q", s, err)
			}
		}
	})
}
