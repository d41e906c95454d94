package main

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"lonja"
)

// TestRegister: a name is taken once, remembered, and given back.
func TestRegister(t *testing.T) {
	f := openFair(t)
	ana, eve := f.visitor("ana"), f.visitor("eve")
	ana.fails(2, "no name was registered from here at "+f.at, "ls")
	ana.fails(2, "accepts between 1 and 2", "register")
	ana.fails(2, "it has a / in it", "register", "a/b")
	ana.fails(2, "fingerprint of the directory", "register", "ana", "lonja://market.example")
	r := lines[registration](t, ana.does("register", "ana", "--json"))[0]
	if r.User != "ana" || r.Directory != f.at || r.Before || len(r.Authority) != 64 || r.Key != shownID(t, ana.home).Fingerprint {
		t.Errorf("got %+v", r)
	}
	if again := lines[registration](t, ana.does("register", "ana", "--json"))[0]; !again.Before || again.Key != r.Key {
		t.Errorf("got %+v", again)
	}
	eve.fails(1, "ana is somebody else's at "+f.at, "register", "ana")
	ana.does("ls")
	ana.does("register", "ana2")
	ana.fails(2, "ana, ana2 were registered from here", "ls")
	ana.does("ls", "--user", "ana2")
	eve.fails(1, "the name belongs to another key", "ls", "--user", "ana")
	eve.fails(1, "the name belongs to another key", "unregister", "ana")
	eve.fails(1, "register it: lonja register nobody", "ls", "--user", "nobody")
	if out := ana.does("unregister", "ana2"); out != "unregistered ana2 at "+f.at+"\n" {
		t.Errorf("got %q", out)
	}
	ana.does("ls")
	eve.does("register", "ana2")
	away := f.visitor("away")
	away.does("register", "away")
	away.untold()
	away.does("register", "away2")
	away.console()
	away.fails(2, "-s HOST is missing", "client", "--classic")
	away.does("id", "add", "ana")
	away.fails(1, "the name belongs to another key", "id", "claim", "ana")
	nobody := f.visitor("nobody")
	nobody.fails(1, "refused", "register", "x", "-s", "127.0.0.1:1")
}

// TestPublishAndGet: a file goes from one machine to another, by its name, its id
// and its link; nobody sees where it was.
func TestPublishAndGet(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	ana.console()
	path := ana.file("deep/poem.txt", "I met a traveller")
	p := lines[publishedLine](t, ana.does("publish", path, "-d", "by Shelley", "--json"))[0]
	if p.Name != "poem.txt" || *p.Size != 17 || p.Owner != "ana" || p.Dialect != dialectSecure || !strings.HasPrefix(p.Link, "lonja://"+f.at+"/"+p.File) {
		t.Errorf("got %+v", p)
	}
	if sum, err := exec.Command("b3sum", "--no-names", path).Output(); err != nil || strings.TrimSpace(string(sum)) != p.File {
		t.Errorf("b3sum says %q, %v; want %s", sum, err, p.File)
	}
	ana.does("publish", path, "-d", "by Shelley") // the same again
	listed := luis.does("ls", "ana")
	for _, want := range []string{"poem.txt", "17 B", "TLS", "everybody", "by Shelley"} {
		if !strings.Contains(listed, want) {
			t.Errorf("no %q in\n%s", want, listed)
		}
	}
	if strings.Contains(listed, "deep") {
		t.Errorf("where it is is told: %s", listed)
	}
	if out := luis.does("get", "poem.txt"); out != "poem.txt: 17 bytes from ana\n" {
		t.Errorf("got %q", out)
	}
	luis.holds("poem.txt", "I met a traveller")
	luis.fails(1, "poem.txt is there already", "get", "poem.txt")
	luis.file("poem.txt", "other")
	luis.does("get", "poem.txt", "--force", "--from", "ana")
	luis.holds("poem.txt", "I met a traveller")
	g := lastOf(lines[gotten](t, luis.does("get", p.File, "-o", "by-id", "--json")))
	if want := (gotten{p.File, "poem.txt", []string{"ana"}, "by-id", 17}); !reflect.DeepEqual(g, want) {
		t.Errorf("got %+v", g)
	}
	luis.holds("by-id", "I met a traveller")
	if err := os.Mkdir(filepath.Join(luis.home, "into"), 0o700); err != nil {
		t.Fatal(err)
	}
	luis.does("get", p.Link, "-o", "into")
	luis.holds("into/poem.txt", "I met a traveller")
	luis.fails(1, "no connected user has the file", "get", "nothing.txt")
	luis.fails(1, "does not offer the file", "get", "nothing.txt", "--from", "ana")
	luis.fails(1, "not connected", "get", "nothing.txt", "--from", "luis")
	luis.fails(2, "is no part of a name", "get", "../../etc/passwd")
	ana.file("deep/poem.txt", "changed since then")
	luis.fails(1, "ana", "get", "poem.txt", "-o", "changed")
	if _, err := os.Stat(filepath.Join(luis.home, "changed")); err == nil {
		t.Error("what had changed was fetched")
	}
	for late := time.Now().Add(30 * time.Second); strings.Contains(luis.does("ls", "ana"), "poem.txt"); {
		if time.Now().After(late) {
			t.Fatal("what has changed is listed still")
		}
	}
	ana.does("publish", path)
	if out := luis.does("get", "poem.txt", "-o", "changed"); out != "changed: 18 bytes from ana\n" {
		t.Errorf("got %q", out)
	}
	if out := ana.does("unpublish", path); out != "unpublished poem.txt\n" {
		t.Errorf("got %q", out)
	}
	luis.fails(1, "no connected user has the file", "get", p.File, "-o", "gone")
	ana.fails(1, "not published", "unpublish", "poem.txt")
	ana.fails(2, "no such file", "publish", "nowhere.txt")
	ana.fails(1, "--to nobody", "publish", path, "--to", "nobody")
}

// TestPublishDirectory: all that is in it, by its path below; nothing hidden,
// nothing unfinished, nothing behind a link.
func TestPublishDirectory(t *testing.T) {
	f := openFair(t)
	ana := f.join("ana")
	for _, name := range []string{"music/a/one.ogg", "music/two.ogg", "music/.hidden", "music/.git/config", "music/three.ogg.part"} {
		ana.file(name, name)
	}
	secret := ana.file("secret", "secret")
	if err := os.Symlink(secret, filepath.Join(ana.home, "music", "link")); err != nil {
		t.Fatal(err)
	}
	names := func(args ...string) (all []string) {
		t.Helper()
		for _, p := range lines[publishedLine](t, ana.does(append([]string{"ls", "--json"}, args...)...)) {
			all = append(all, p.Name)
		}
		return all
	}
	ana.does("publish", "music")
	if got := names(); strings.Join(got, " ") != "music/two.ogg music/a/one.ogg" {
		t.Errorf("got %q", got)
	}
	ana.does("publish", "music/a", "--as", "album")
	if got := names(); strings.Join(got, " ") != "album/one.ogg music/two.ogg music/a/one.ogg" {
		t.Errorf("got %q", got)
	}
	ana.does("unpublish", "music")
	if got := names(); len(got) != 0 {
		t.Errorf("got %q, want nothing", got)
	}
	ana.fails(2, "--as names one", "publish", "music", "secret", "--as", "x")
	if err := os.Mkdir(filepath.Join(ana.home, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	ana.fails(1, "nothing to publish", "publish", "empty")
}

// TestAudienceIsHidden: what is for one is not seen, found or fetched by another,
// even by its id.
func TestAudienceIsHidden(t *testing.T) {
	f := openFair(t)
	ana, luis, eve := f.join("ana"), f.join("luis"), f.join("eve")
	ana.console()
	p := lines[publishedLine](t, ana.does("publish", ana.file("letter.txt", "dear luis"), "--to", "luis", "--json"))[0]
	if strings.Join(p.Audience, " ") != "luis" {
		t.Errorf("got %+v", p)
	}
	if out := luis.does("ls", "ana"); !strings.Contains(out, "letter.txt") {
		t.Errorf("luis sees %q", out)
	}
	if out := luis.does("find", "letter"); !strings.Contains(out, "letter.txt") {
		t.Errorf("luis finds %q", out)
	}
	luis.does("get", "letter.txt")
	luis.holds("letter.txt", "dear luis")
	ana.fails(2, "--to names nobody", "publish", ana.file("secret.txt", "for few"), "--to", "") // a variable that is empty
	ana.fails(2, "--to names nobody", "publish", ana.file("secret.txt", "for few"), "--to=")
	if out := luis.does("ls", "ana"); strings.Contains(out, "secret.txt") {
		t.Errorf("everybody sees what was to be for few: %s", out)
	}
	if out := eve.does("ls", "ana") + eve.does("find", "letter"); strings.Contains(out, "letter") {
		t.Errorf("eve sees %q", out)
	}
	for _, wanted := range []string{"letter.txt", p.File, p.Link} {
		eve.fails(1, "no connected user has the file", "get", wanted)
	}
}

// TestSeveralContents: one name with several contents is a choice, not a guess.
func TestSeveralContents(t *testing.T) {
	f := openFair(t)
	ana, luis, eve := f.join("ana"), f.join("luis"), f.join("eve")
	ana.console()
	luis.console()
	a := lines[publishedLine](t, ana.does("publish", ana.file("poem.txt", "one"), "--json"))[0]
	b := lines[publishedLine](t, luis.does("publish", luis.file("poem.txt", "another"), "--json"))[0]
	status, out, stderr := eve.try("get", "poem.txt")
	if status != 1 || !strings.Contains(stderr, "2 contents") || !strings.Contains(out, a.File) || !strings.Contains(out, b.File) {
		t.Errorf("got status %d, %q and %q", status, out, stderr)
	}
	if _, err := os.Stat(filepath.Join(eve.home, "poem.txt")); err == nil {
		t.Error("one of them was fetched")
	}
	status, out, _ = eve.try("get", "poem.txt", "--json")
	if all := lines[choice](t, out); status != 1 || len(all) != 2 || len(all[0].Holders) != 1 {
		t.Errorf("got status %d, %+v", status, all)
	}
	eve.does("get", "poem.txt", "--from", "luis")
	eve.holds("poem.txt", "another")
	eve.does("get", a.File, "-o", "first.txt")
	eve.holds("first.txt", "one")
}

// TestWho: members and classic users are told apart; each learns how it is
// reached, and what is classic is not fetched.
func TestWho(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	luis.fails(1, "luis is not connected", "who", "--me")
	console := ana.console()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	old := f.classic()
	endpoint := lonja.Endpoint{AddrPort: ln.Addr().(*net.TCPAddr).AddrPort()}
	for _, err := range []error{
		old.Register(t.Context(), "old"), old.Connect(t.Context(), "old", endpoint),
		old.Publish(t.Context(), "old", lonja.Listing{Name: "/home/old/tape.ogg", Description: "unsigned"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]presentLine{}
	for _, p := range lines[presentLine](t, luis.does("who", "--json")) {
		seen[p.User] = p
	}
	if len(seen) != 2 || seen["old"].Dialect != dialectClassic || seen["old"].Ways[0] != endpoint.String() || seen["ana"].Dialect != dialectSecure ||
		seen["ana"].Key != shownID(t, ana.home).Fingerprint || len(seen["ana"].Ways) == 0 {
		t.Errorf("got %+v", seen)
	}
	if out := luis.does("who"); !strings.Contains(out, seen["ana"].Key[:16]) || !strings.Contains(out, "classic") {
		t.Errorf("got %s", out)
	}
	if out := luis.does("ls", "old"); !strings.Contains(out, "classic") {
		t.Errorf("got %s", out)
	}
	luis.fails(1, "published in the classic protocol", "get", "tape.ogg")
	if out := luis.does("find", "tape"); !strings.Contains(out, "classic") {
		t.Errorf("found %s", out)
	}

	var me reachLine
	for me.Source != "node" { // it is written down within a second
		if err := json.Unmarshal([]byte(ana.does("who", "--me", "--json")), &me); err != nil {
			t.Fatal(err)
		}
	}
	if me.Process != console.cmd.Process.Pid || me.Program != "client" || len(me.Ways) == 0 || !strings.HasPrefix(me.Session, "kept") || me.Mapping == "" {
		t.Errorf("got %+v", me)
	}
	if out := ana.does("who", "--me"); !strings.Contains(out, me.Ways[0]) || !strings.Contains(out, me.Mapping) {
		t.Errorf("got %s", out)
	}
	_ = console.cmd.Process.Kill() // no farewell: the directory still has her
	<-console.exited
	if out := ana.does("who", "--me"); !strings.Contains(out, "as the directory knows it") {
		t.Errorf("got %s", out)
	}
}
