package attack_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/console"
	"lonja/internal/dirclient"
	"lonja/internal/statement"
)

// combining is a letter with as many accents on it as a name has room for: 255
// bytes that are one character on the screen.
var combining = "a" + strings.Repeat("\u0301", 127)

// refusedNames are those that no file can have in the secure dialect.
var refusedNames = map[string]string{
	"parent":               "..",
	"climbs":               "../../etc/passwd",
	"climbs in the middle": "a/../../b",
	"itself":               ".",
	"absolute":             "/etc/passwd",
	"absolute elsewhere":   `C:\Windows\win.ini`,
	"climbs elsewhere":     `..\..\win.ini`,
	"an empty part":        "a//b",
	"an empty end":         "a/",
	"newline":              "a\nb",
	"return":               "a\rb",
	"clears the screen":    "a\x1b[2Jb",
	"sets the title":       "\x1b]0;x\x07",
	"one byte control":     "a\u009b2Jb",
	"turns the line":       "a\u202egpj.exe",
	"hidden":               "a\u200bb",
	"no UTF-8":             "a\xff\xfeb",
	"what stands for it":   "a\ufffdb",
	"blank before":         " a",
	"blank behind":         "a ",
	"too long":             strings.Repeat("x", 256),
}

// takenNames are those that it can have, and keeps byte by byte.
var takenNames = map[string]string{
	"combining":           combining,
	"composed":            "caf\u00e9",
	"decomposed":          "cafe\u0301",
	"in a folder":         "a/b/c",
	"dots":                "...",
	"blank inside":        "two words",
	"right to left":       "\u05e9\u05dc\u05d5\u05dd",
	"not of one plane":    "\U0001f41f",
	"looks like a switch": "-rf",
	"as long as can be":   strings.Repeat("x", 255),
}

// signs returns a listing that the citizen has signed, whatever its name: not
// all programs check what they sign.
func (c *citizen) signs(name string) lonja.Listing {
	c.town.Helper()
	p := lonja.Publication{Owner: c.member.User, Listing: lonja.Listing{
		Name: lonja.FileName(name), Size: 3, Proof: &lonja.Proof{File: lonja.FileID{1}, Date: time.Now().Unix(), Key: c.member.Key},
	}}
	signature, err := c.key.Sign(rand.Reader, statement.Publication(p), crypto.Hash(0))
	c.town.ok(err)
	p.Proof.Signature = lonja.Signature(signature)
	return p.Listing
}

// TestNamesOfFiles: what could harm is refused, all else is kept as it is.
func TestNamesOfFiles(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	for what, name := range refusedNames {
		err := ana.client.Publish(t.Context(), "ana", ana.signs(name))
		if kind := lonja.KindOf(err); kind != lonja.Invalid {
			t.Errorf("%s: %q: got %v, want Invalid", what, name, err)
		}
		if err != nil && lonja.Printable(err.Error()) != err.Error() {
			t.Errorf("%s: the error is not fit to be shown: %q", what, err)
		}
	}
	if listings, err := luis.ListContent(t.Context(), "ana"); err != nil || len(listings) > 0 {
		t.Errorf("listed all the same: %v, %v", listings, err)
	}
	var want, got []string
	for what, name := range takenNames {
		want = append(want, name)
		if err := ana.client.Publish(t.Context(), "ana", ana.signs(name)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	listings, err := luis.ListContent(t.Context(), "ana")
	v.ok(err)
	for _, l := range listings {
		got = append(got, string(l.Name))
		v.ok(statement.VerifyPublication(lonja.Publication{Owner: "ana", Listing: l}))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("listed are %q\nwant       %q", got, want)
	}
	if err := ana.client.Publish(t.Context(), "ana", ana.signs("nul\x00nul")); lonja.KindOf(err) != lonja.Invalid {
		t.Errorf("NUL: got %v, want Invalid", err)
	}
}

// TestNamesOfUsers likewise; names that differ only in their normal form are two
// users, with a key each.
func TestNamesOfUsers(t *testing.T) {
	v := newTown(t)
	for what, name := range refusedNames {
		if strings.HasPrefix(what, "climbs elsewhere") || what == "parent" || what == "itself" || what == "absolute elsewhere" {
			continue // no path is made of a user's name
		}
		c := v.citizen(lonja.UserName(name))
		if err := c.client.RegisterMember(t.Context(), c.member, ""); lonja.KindOf(err) != lonja.Invalid {
			t.Errorf("%s: %q: got %v, want Invalid", what, name, err)
		}
	}
	composed, decomposed := v.resident("caf\u00e9"), v.citizen("cafe\u0301")
	v.is(decomposed.client.Authorize(lonja.Member{User: composed.member.User, Key: decomposed.member.Key}), lonja.OtherKey)
	v.ok(decomposed.Register(t.Context(), decomposed.member.User))
	v.is(decomposed.client.Authorize(lonja.Member{User: composed.member.User, Key: decomposed.member.Key}), lonja.OtherKey)
	v.ok(v.citizen(lonja.UserName(combining)).Register(t.Context(), lonja.UserName(combining)))
}

// TestNamesOfClassic: the classic protocol takes what it always took, byte by
// byte; members are shown nothing of it that a terminal could obey.
func TestNamesOfClassic(t *testing.T) {
	v := newTown(t)
	luis := v.resident("luis")
	ctx := t.Context()
	classic := dirclient.New(dirclient.Options{Address: v.at})
	const user = "eve\x1b[31m\u202e\xff"
	v.ok(classic.Register(ctx, user))
	v.ok(classic.Connect(ctx, user, endpoint("127.0.0.1:4000")))
	var stored []lonja.FileName
	for what, name := range refusedNames {
		err := classic.Publish(ctx, user, lonja.Listing{Name: lonja.FileName(name), Description: lonja.Description("says\x1b[2J" + what)})
		if strings.ContainsAny(name, " \n\r") || len(name) > lonja.MaxFileName {
			if err == nil {
				t.Errorf("%s: %q was taken", what, name)
			}
			continue
		}
		v.ok(err)
		stored = append(stored, lonja.FileName(name))
	}
	listings, err := classic.ListContent(ctx, user, user)
	v.ok(err)
	var got []lonja.FileName
	for _, l := range listings {
		got = append(got, l.Name)
	}
	slices.Sort(stored)
	slices.Sort(got)
	if !slices.Equal(got, stored) {
		t.Errorf("listed are %q\nwant       %q", got, stored)
	}
	var shown bytes.Buffer
	lines, stop := console.NewPlainReader(strings.NewReader("list_users\nlist_content "+user+"\nfind a\nget_file "+user+" a\x1b[2Jb here\nget_multifile ..\\..\\win.ini "+t.TempDir()+"/got\n"), &shown)
	defer stop()
	v.ok(console.Run(ctx, console.Options{Node: luis.Node, Lines: lines, Out: &shown, Explain: &shown}))
	for line := range strings.Lines(shown.String()) {
		line = strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", "")
		if lonja.Printable(line) != line {
			t.Errorf("shown as %q", line)
		}
	}
	for _, want := range []string{"LIST_USERS OK", "LIST_CONTENT OK", "etc/passwd", "2Jb"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("%q is not in\n%s", want, shown.String())
		}
	}
}

// TestPathsOfANode: no name leads a node to a file that it does not offer, in
// either dialect.
func TestPathsOfANode(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	ana.offers("f", "the content")
	beside := ana.write("beside", "not published")
	names := []string{
		beside, "beside", "./beside", "../beside", "f/../beside", "/etc/passwd", "..//..//etc/passwd", "", ".", "/", "f/", "./f", "%2e%2e/beside",
	}
	for _, name := range names {
		if got := classicGet(t, ana.way(), name); len(got) != 1 || got[0] == 0 {
			t.Errorf("classic GET_FILE %q: got %q", name, got)
		}
		certificate := luis.certificate(v.authority, "luis", time.Hour)
		for _, path := range []string{"/" + name, "/v1/files/" + name, "/v1/files/../" + name} {
			if got := asksPath(t, ana.way(), path, certificate); strings.HasPrefix(got, "HTTP/1.1 2") || strings.HasPrefix(got, "HTTP/1.1 3") || strings.Contains(got, "not published") {
				t.Errorf("GET %s: got %q", path, got)
			}
		}
	}
	if got := classicGet(t, ana.way(), "f"); string(got) != "\x00the content" {
		t.Errorf("classic GET_FILE f: got %q", got)
	}
}

// classicGet returns what a node answers in the classic protocol.
func classicGet(t *testing.T, at, name string) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "GET_FILE\x00%s\x00", name); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("GET_FILE %q: no answer", name)
	}
	return got
}
