package lonja_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"lonja"
)

func ExampleError() {
	var err error = &lonja.Error{
		Kind: lonja.NotConnected, Op: lonja.OpPublish.String(), User: "ana",
	}
	fmt.Println(err)
	fmt.Println(errors.Is(err, lonja.NotConnected), lonja.KindOf(err) == lonja.NoSuchUser)
	// Output:
	// PUBLISH: ana: user is not connected
	// true false
}

func TestEveryKindHasWords(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range lonja.Kinds() {
		if k.Error() == "" || seen[k.Error()] {
			t.Errorf("kind %d is called %q", k, k.Error())
		}
		seen[k.Error()] = true
	}
}

func TestKindOf(t *testing.T) {
	_, dialErr := net.Dial("tcp", "127.0.0.1:0")
	for name, c := range map[string]struct {
		err  error
		want lonja.Kind
	}{
		"typed":     {lonja.E(lonja.NoHolder, "x", io.EOF), lonja.NoHolder},
		"wrapped":   {fmt.Errorf("a: %w", lonja.E(lonja.NoHolder, "x", nil)), lonja.NoHolder},
		"bare kind": {fmt.Errorf("a: %w", lonja.NoHolder), lonja.NoHolder},
		"canceled":  {fmt.Errorf("a: %w", context.Canceled), lonja.Canceled},
		"cut":       {io.ErrUnexpectedEOF, lonja.Unavailable},
		"network":   {dialErr, lonja.Unavailable},
		"closed":    {net.ErrClosed, lonja.Unavailable},
		"other":     {errors.New("x"), lonja.Internal},
	} {
		if got := lonja.KindOf(c.err); got != c.want {
			t.Errorf("%s (%v): got %v, want %v", name, c.err, got, c.want)
		}
	}
}

func TestParseNames(t *testing.T) {
	long := strings.Repeat("x", 255)
	for _, c := range []struct {
		parse func(string) error
		good  []string
		bad   []string
	}{
		{
			func(s string) error { _, err := lonja.ParseUserName(s); return err },
			[]string{"a", "ñ", "a b", "\xff", long},
			[]string{"", long + "x", "a\x00"},
		},
		{
			func(s string) error { _, err := lonja.ParseFileName(s); return err },
			[]string{"/a", `C:\a`, "a", long},
			[]string{"", long + "x", "a b", "a\tb", "a\n", "a\x00b"},
		},
		{
			func(s string) error { _, err := lonja.ParseDescription(s); return err },
			[]string{"", "a b\tc", long},
			[]string{long + "x", "\x00"},
		},
	} {
		for _, s := range c.good {
			if err := c.parse(s); err != nil {
				t.Errorf("%q: got error %v", s, err)
			}
		}
		for _, s := range c.bad {
			if err := c.parse(s); !errors.Is(err, lonja.Invalid) {
				t.Errorf("%q: got error %v, want kind Invalid", s, err)
			}
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"ñ 日本 x": "ñ 日本 x", "a\nb": "a\ufffdb", "\x1b[31m": "\ufffd[31m", "\xff": "\ufffd",
		"a\u202eb": "a\ufffdb", "\u00a0": "\u00a0", "": "",
	} {
		if got := lonja.Printable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestOperationNames(t *testing.T) {
	for _, op := range lonja.Operations() {
		if got := lonja.ParseOperation(op.String()); got != op || op.String() == "" {
			t.Errorf("%d is called %q, which is %d", op, op, got)
		}
	}
	if lonja.ParseOperation("") != lonja.NoOperation || lonja.ParseOperation("register") != lonja.NoOperation {
		t.Error("names are taken in another case, or empty")
	}
}

// TestSecureNames: names of the secure dialect are taken as they are, or refused.
func TestSecureNames(t *testing.T) {
	combining := "a" + strings.Repeat("\u0301", 127) // 255 bytes
	for name, c := range map[string]struct {
		parse func(string) (string, error)
		good  []string
		bad   []string
	}{
		"published": {
			func(s string) (string, error) { n, err := lonja.ParsePublishedName(s); return string(n), err },
			[]string{
				"a", "a b.txt", "poems/by shelley/ozymandias.txt", ".hidden", "...", "a..b/c.", "ñ", "n\u0303", "日本/語",
				combining, strings.Repeat("x", 255), "a:b", "-rf", "~", "a\u3000b",
			},
			[]string{
				"", "/", "/etc/passwd", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a/..", `a\b`, `..\a`, `C:\a`,
				"a\x00b", "a\nb", "a\tb", "a\rb", "\x1b[2J", "a\x7f", "a\u0085", "a\u202eb", "a\u2066b", "a\u200bb", "a\ufeff",
				"\xff", "a\xc0\xafb", "a\ufffdb", " a", "a ", "a/ b", "a /b", "a\u00a0", "\u3000/a", "a\u2028b",
				strings.Repeat("x", 256), combining + "b",
			},
		},
		"member": {
			func(s string) (string, error) { n, err := lonja.ParseMemberName(s); return string(n), err },
			[]string{"a", "ana maría", "日本", `a\b`, "a@b", combining, strings.Repeat("x", 255)},
			[]string{
				"", " ", " a", "a ", "a/b", "/", "a\x00", "a\n", "\x1b[2J", "a\u202e", "\xff", "\ufffd",
				strings.Repeat("x", 256),
			},
		},
	} {
		for _, s := range c.good {
			if got, err := c.parse(s); err != nil || got != s {
				t.Errorf("%s %q: got %q, %v", name, s, got, err)
			}
		}
		for _, s := range c.bad {
			got, err := c.parse(s)
			if !errors.Is(err, lonja.Invalid) || got != "" {
				t.Errorf("%s %q: got %q, %v; want %v", name, s, got, err, lonja.Invalid)
			} else if lonja.Printable(err.Error()) != err.Error() {
				t.Errorf("%s %q: the error cannot be shown: %q", name, s, err)
			}
		}
	}
}

// FuzzSecureNames: what is taken can be shown, is local on every system, and is
// not changed.
func FuzzSecureNames(f *testing.F) {
	for _, s := range []string{"a/b c", "..", "/a", "a\u202eb", "\xff", " a", "ñ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := lonja.ParsePublishedName(s); err == nil {
			if string(n) != s || lonja.Printable(s) != s || path.Clean(s) != s || !filepath.IsLocal(s) || n.Base() != path.Base(s) {
				t.Errorf("%q is taken", s)
			}
		}
		if n, err := lonja.ParseMemberName(s); err == nil && (string(n) != s || lonja.Printable(s) != s) {
			t.Errorf("member %q is taken", s)
		}
	})
}
