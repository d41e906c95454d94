package main

import (
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/identity"
)

func (v *visitor) keys() []keyLine {
	v.Helper()
	return lines[keyLine](v.T, v.does("id", "keys", "--json"))
}

// TestSecondDevice: a new device shows its key, the first endorses it, both act for
// the name; what is lost is revoked, and acts no more.
func TestSecondDevice(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	phone := f.visitor("ana")
	phone.fails(1, "owner does not exist", "id", "add", "nobody")
	added := lines[addLine](t, phone.does("id", "add", "ana", "--json"))[0]
	if added.Endorsed || added.Fingerprint != shownID(t, phone.home).Fingerprint {
		t.Errorf("got %+v", added)
	}
	shown := phone.does("id", "add", "ana")
	key, err := lonja.ParsePublicKey(added.PublicKey)
	if err != nil || !strings.Contains(shown, `lonja id endorse --label "this device" `+typed(added.Request)+"\n") || !strings.Contains(shown, identity.Words(key.ID())) {
		t.Errorf("got %v, %s", err, shown)
	}
	phone.fails(1, "the name belongs to another key", "ls")
	luis.fails(1, "the name belongs to another key", "id", "endorse", "--user", "ana", "--", added.Request)
	luis.fails(2, "has asked for another name than luis", "id", "endorse", "--", added.Request)
	ana.fails(2, "REQUEST is what", "id", "endorse", "rubbish")
	ana.fails(2, "it is the key alone", "id", "endorse", "--", added.PublicKey)
	if out := ana.does("id", "endorse", "--label", "phone", "--", added.Request); !strings.Contains(out, identity.Words(key.ID())) {
		t.Errorf("got %s", out)
	}
	if again := lines[addLine](t, phone.does("id", "add", "ana", "--json"))[0]; !again.Endorsed {
		t.Errorf("got %+v", again)
	}
	phone.does("publish", phone.file("photo.jpg", "smile"))
	served := phone.console()
	luis.does("get", "photo.jpg")
	luis.holds("photo.jpg", "smile")
	keys := ana.keys()
	if len(keys) != 2 || !keys[0].Here || keys[1].Here || keys[1].Label != "phone" || keys[1].By != keys[0].Fingerprint {
		t.Errorf("got %+v", keys)
	}
	served.stop()

	ana.fails(2, "has no key 00000000", "id", "revoke", "00000000")
	ana.fails(2, "has no key "+keys[1].Fingerprint[:4], "id", "revoke", keys[1].Fingerprint[:4])
	ana.does("id", "revoke", keys[1].Fingerprint[:8])
	if keys = ana.keys(); keys[1].Revoked == "" {
		t.Errorf("got %+v", keys)
	}
	if out := ana.does("id", "keys"); !strings.Contains(out, "revoked") || !strings.Contains(out, "acts, here") {
		t.Errorf("got %s", out)
	}
	phone.fails(1, "the name belongs to another key", "ls")
	if out := luis.does("ls", "ana"); strings.Contains(out, "photo") {
		t.Errorf("what a revoked key has signed is listed: %s", out)
	}
	luis.fails(1, "no connected user has the file", "get", "photo.jpg", "-o", "again")
	ana.fails(1, "it is the last key of ana", "id", "revoke", keys[0].Fingerprint[:8])
}

// TestKeyWithADash: a key that begins with a dash is shown as it must be typed; typed
// alone it is explained.
func TestKeyWithADash(t *testing.T) {
	f := openFair(t)
	ana, phone := f.join("ana"), f.visitor("ana")
	key, err := identity.NewKey()
	begins := regexp.MustCompile(`^-[0-9p]`) // no flag, and one that wants a number; -s would take it for an address
	for err == nil && !begins.MatchString(key.PublicKey().String()) {
		key, err = identity.NewKey()
	}
	if err != nil {
		t.Fatal(err)
	}
	secret := key.PEM()
	phone.does("id", "import", phone.file("key.pem", string(secret.Bytes())))
	text := key.PublicKey().String()
	if out := phone.does("id"); !strings.Contains(out, "-- "+text+"\n") {
		t.Errorf("got %s", out)
	}
	var typed []string
	for line := range strings.Lines(phone.does("id", "add", "ana")) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), "lonja "); ok {
			typed = strings.Fields(strings.ReplaceAll(command, `"this device"`, "phone"))
		}
	}
	request := lines[addLine](t, phone.does("id", "add", "ana", "--json"))[0].Request
	if got := strings.Join(typed, " "); got != "id endorse --label phone -- "+request {
		t.Fatalf("got %q", got)
	}
	ana.does(typed...)
	for command, alone := range map[string]string{"endorse": request, "revoke": text} {
		ana.fails(2, "lonja id "+command+" -- "+alone, "id", command, alone)
	}
	ana.fails(2, "unknown flag: --nonsense", "id", "revoke", "--nonsense")
	ana.does("id", "revoke", "--", text)
	if keys := ana.keys(); len(keys) != 2 || keys[1].Revoked == "" {
		t.Errorf("got %+v", keys)
	}
}

// TestClaimFromTheCommandLine: whoever is connected with an open name can bind it.
func TestClaimFromTheCommandLine(t *testing.T) {
	f := openFair(t)
	old := f.classic()
	if err := old.Register(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	me, eve := f.visitor("old"), f.join("eve")
	me.fails(2, "old is not connected from here", "id", "claim", "old")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := old.Connect(t.Context(), "old", lonja.Endpoint{AddrPort: ln.Addr().(*net.TCPAddr).AddrPort()}); err != nil {
		t.Fatal(err)
	}
	if err := old.Publish(t.Context(), "old", lonja.Listing{Name: "/home/old/tape.ogg", Description: "unsigned"}); err != nil {
		t.Fatal(err)
	}
	me.does("id", "claim", "old")
	if out := me.does("ls"); !strings.Contains(out, "/home/old/tape.ogg") {
		t.Errorf("listed is %q", out)
	}
	if out := me.does("unpublish", "/home/old/tape.ogg"); out != "unpublished /home/old/tape.ogg\n" {
		t.Errorf("got %q", out)
	}
	if out := me.does("ls"); strings.Contains(out, "tape") {
		t.Errorf("still listed: %s", out)
	}
	me.fails(1, "not published", "unpublish", "/home/old/tape.ogg")
	eve.fails(1, "the name belongs to another key", "id", "claim", "old")
	if keys := me.keys(); len(keys) != 1 || !keys[0].Here {
		t.Errorf("got %+v", keys)
	}
}

// TestInvitedOnly: who has the link that the directory's operator has printed gets
// in, without a question, and as often as it says.
func TestInvitedOnly(t *testing.T) {
	path := filepath.Join(socketDir(t), "s")
	f := openFair(t, "--registration", "invitation", "--admin", "unix:"+path)
	link := strings.TrimSpace(succeeds(t, t.TempDir(), "admin", "invite", "--admin", "unix:"+path))
	if !strings.HasPrefix(link, "lonja://"+f.at+"#") {
		t.Errorf("got %q", link)
	}
	ana, eve := f.visitor("ana"), f.visitor("eve")
	eve.fails(1, "ask who runs the directory for an invitation", "register", "eve")
	status, out, stderr := ana.try("register", "ana", link)
	if status != 0 || strings.Contains(stderr, "first contact") {
		t.Errorf("got status %d, %q and %q", status, out, stderr)
	}
	ana.does("ls")
	eve.fails(1, "ask who runs the directory for an invitation", "register", "eve", link) // it is used up
	wrong := strings.Replace(link, link[strings.IndexByte(link, '#')+1:][:8], "00000000", 1)
	f.visitor("late").fails(1, "lonja trust forget", "register", "late", wrong)
}

// TestChangedKeys: a user, and a directory, that suddenly have another key stop
// everything, with both fingerprints.
func TestChangedKeys(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	console := ana.console()
	ana.does("publish", ana.file("poem.txt", "of ana"))
	luis.does("get", "poem.txt", "-o", "first")
	console.stop()
	eve := f.visitor("ana")
	eve.fails(1, "somebody else's", "register", "ana")
	first := shownID(t, ana.home)
	ana.does("unregister", "ana")
	eve.does("register", "ana")
	eve.console()
	eve.does("publish", eve.file("poem.txt", "of eve"))
	status, _, stderr := luis.try("get", "poem.txt", "-o", "second")
	for _, id := range []string{first.Fingerprint, shownID(t, eve.home).Fingerprint} {
		key, err := identity.ParseHex(id)
		if err != nil || status != 1 || !strings.Contains(stderr, identity.Hex(key)) && !strings.Contains(stderr, id) {
			t.Errorf("got status %d and %q, want %s in it", status, stderr, id)
		}
	}
	luis.does("trust", "forget", f.at, "--user", "ana")
	luis.does("get", "poem.txt", "-o", "second")
	luis.holds("second", "of eve")

	port := f.at[strings.LastIndexByte(f.at, ':')+1:]
	f.server.stop()
	other := start(t, nil, "server", "--host", "127.0.0.1", "-p", port, "--data", filepath.Join(t.TempDir(), "other"))
	other.firstLine()
	luis.fails(1, "lonja trust forget "+f.at, "ls")
}
