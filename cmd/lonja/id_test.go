package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lonja"
	"lonja/internal/authority"
	"lonja/internal/identity"
	"lonja/internal/link"
	"lonja/internal/trust"
)

// runAt runs lonja to its end in a home of its own, away from any terminal.
func runAt(t *testing.T, home string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	p := start(t, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "HOME="+home, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}, args...)
	_ = p.stdin.Close()
	status = p.wait()
	return status, p.output(), p.stderr.String()
}

// succeeds is runAt for what must.
func succeeds(t *testing.T, home string, args ...string) string {
	t.Helper()
	status, stdout, stderr := runAt(t, home, args...)
	if status != exitOK {
		t.Fatalf("%v: status %d, %s", args, status, stderr)
	}
	return stdout
}

// fails is runAt for what must not; want is a part of what it says.
func fails(t *testing.T, home, want string, args ...string) {
	t.Helper()
	if status, stdout, stderr := runAt(t, home, args...); status == exitOK || stdout != "" || !strings.Contains(stderr, want) {
		t.Errorf("%v: status %d, %q; want %q", args, status, stderr, want)
	}
}

func written(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func shownID(t *testing.T, home string, args ...string) (key shownKey) {
	t.Helper()
	if err := json.Unmarshal([]byte(succeeds(t, home, append([]string{"id", "--json"}, args...)...)), &key); err != nil {
		t.Fatal(err)
	}
	return key
}

func TestIDIsMadeAndShown(t *testing.T) {
	home := t.TempDir()
	first := shownID(t, home)
	if want := filepath.Join(home, ".config", "lonja", "identity.key"); first.File != want || first.Sealed {
		t.Errorf("got %+v, want it in %s", first, want)
	}
	public, err := lonja.ParsePublicKey(first.PublicKey)
	if err != nil || public.ID().String() != first.Fingerprint || len(strings.Fields(first.Words)) != 12 {
		t.Errorf("got %+v, %v", first, err)
	}
	text := succeeds(t, home, "id", "show")
	for _, want := range []string{first.Words, identity.Hex(public.ID()), first.PublicKey, first.File} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	if other := shownID(t, home, "--config-dir", filepath.Join(home, "other")); other.Fingerprint == first.Fingerprint {
		t.Error("another directory has the same key")
	}
	if err := os.Chmod(first.File, 0o644); err != nil {
		t.Fatal(err)
	}
	fails(t, home, "chmod 600 "+first.File, "id")
}

func TestIDIsSealedAndMoved(t *testing.T) {
	home, other := t.TempDir(), t.TempDir()
	one, two := written(t, "first passphrase\n"), written(t, "second")
	key := shownID(t, home)
	fails(t, home, "no terminal", "id", "seal")
	succeeds(t, home, "id", "seal", "--new-passphrase-file", one)
	fails(t, home, "--passphrase-file", "id")
	fails(t, home, "not its passphrase", "id", "--passphrase-file", two)
	if got := shownID(t, home, "--passphrase-file", one); got.Fingerprint != key.Fingerprint || !got.Sealed {
		t.Errorf("got %+v, want %+v, sealed", got, key)
	}

	exported := filepath.Join(t.TempDir(), "key.age")
	export := []string{"id", "export", "--passphrase-file", one, "--new-passphrase-file", two, "-o", exported}
	succeeds(t, home, export...)
	fails(t, home, "exists", export...)
	if text, err := os.ReadFile(exported); err != nil || !strings.HasPrefix(string(text), "-----BEGIN AGE ENCRYPTED FILE-----") {
		t.Errorf("got %q, %v", text, err)
	}
	was := shownID(t, other)
	fails(t, other, "another key", "id", "import", exported, "--passphrase-file", two)
	if got := shownID(t, other); got != was {
		t.Errorf("got %+v, want %+v", got, was)
	}
	succeeds(t, other, "id", "import", exported, "--passphrase-file", two, "--force")
	succeeds(t, other, "id", "unseal", "--passphrase-file", two)
	if got := shownID(t, other); got.Fingerprint != key.Fingerprint || got.Sealed {
		t.Errorf("got %+v, want %+v", got, key)
	}
	plain := succeeds(t, other, "id", "export", "--plain")
	if k, err := identity.ParseKey([]byte(plain)); err != nil || k.PublicKey().String() != key.PublicKey {
		t.Errorf("got %v, %v", k, err)
	}
	fails(t, other, "no such file", "id", "import", filepath.Join(other, "nothing"))
}

// TestPassphraseOnATerminal: it is asked for, twice where it is new, and not
// shown.
func TestPassphraseOnATerminal(t *testing.T) {
	home := t.TempDir()
	term := openTerminal(t, home, "id", "seal", "--config-dir", filepath.Join(home, "none"))
	term.waitFor("no such file") // before anybody types anything
	key := shownID(t, home)
	dir := filepath.Dir(key.File)
	seal := openTerminal(t, home, "id", "seal", "--config-dir", dir)
	seal.answer("New passphrase: ", "open sesame")
	seal.answer("The same again: ", "open sesame")
	if err := seal.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	show := openTerminal(t, home, "id", "--config-dir", dir)
	show.answer("Passphrase of the key: ", "open sesame")
	show.waitFor(key.PublicKey)
	for _, term := range []*terminal{seal, show} {
		if screen := term.screen(); strings.Contains(screen, "sesame") {
			t.Errorf("the terminal shows it: %q", screen)
		}
	}
}

// answer waits for a question and types what is not shown.
func (term *terminal) answer(question, line string) {
	term.t.Helper()
	term.waitFor(question)
	if _, err := term.file.WriteString(line + "\r"); err != nil {
		term.t.Fatal(err)
	}
}

func TestServerCA(t *testing.T) {
	home := t.TempDir()
	fails(t, home, "no such file", "server", "ca", "show")
	fails(t, home, "keeps nothing", "server", "ca", "show", "--data", inMemory)
	data := filepath.Join(home, ".local", "share", "lonja", "directory-4444") // where "lonja server" has it
	a, made, err := authority.Open(authority.Options{Dir: data})
	if err != nil || !made {
		t.Fatal(err)
	}
	first := a.Fingerprint()
	show := func() (ca shownCA) {
		t.Helper()
		if err := json.Unmarshal([]byte(succeeds(t, home, "server", "ca", "show", "--json")), &ca); err != nil {
			t.Fatal(err)
		}
		return ca
	}
	if got := show(); got.Fingerprint != first.String() || len(got.Earlier) != 0 || got.Words != identity.Words(first) {
		t.Errorf("got %+v, want %v", got, first)
	}
	text := succeeds(t, home, "server", "ca", "rotate", "--overlap", "48h")
	if changed, err := a.Reload(); !changed || err != nil {
		t.Errorf("the running directory sees: %t, %v", changed, err)
	}
	second := a.Fingerprint()
	if !strings.Contains(text, identity.Hex(second)) || !strings.Contains(text, identity.Hex(first)) {
		t.Errorf("got %q, want %v and %v", text, second, first)
	}
	got := show()
	if got.Fingerprint != second.String() || len(got.Earlier) != 1 || got.Earlier[0].Fingerprint != first.String() {
		t.Fatalf("got %+v, want %v after %v", got, second, first)
	}
	if left := time.Until(got.Earlier[0].Until); left < 47*time.Hour || left > 48*time.Hour {
		t.Errorf("the first holds for %v more, want 48h", left)
	}

	copied := filepath.Join(home, "copy.pem")
	succeeds(t, home, "server", "ca", "export", "-o", copied)
	node := filepath.Join(home, "node")
	succeeds(t, home, "server", "ca", "import", copied, "--data", node)
	b, err := authority.Load(authority.Options{Dir: node})
	if err != nil || b.CheckSame("first", second) != nil {
		t.Errorf("the other node: %v", err)
	}
	other, _, err := authority.Open(authority.Options{Dir: filepath.Join(home, "other")})
	if err != nil {
		t.Fatal(err)
	}
	fails(t, home, "which members trust", "server", "ca", "import", copied, "--data", filepath.Dir(other.Path()))
	succeeds(t, home, "server", "ca", "import", copied, "--data", filepath.Dir(other.Path()), "--force")
	fails(t, home, "overlap", "server", "ca", "rotate", "--overlap", "-1h")
}

func TestTrustIsListedAndForgotten(t *testing.T) {
	home := t.TempDir()
	one, two := lonja.PeerID{1}, lonja.PeerID{2}
	at := link.Address{Host: "market.example", Port: link.DefaultPort}
	store := trust.New(filepath.Join(home, ".config", "lonja"), nil)
	if err := store.PinDirectory(at, one); err != nil {
		t.Fatal(err)
	}
	if text := succeeds(t, home, "trust", "list"); !strings.Contains(text, at.String()) || !strings.Contains(text, one.String()) {
		t.Errorf("got %q", text)
	}
	fails(t, home, "nothing was trusted", "trust", "forget", "elsewhere.example")
	fails(t, home, "no user ana", "trust", "forget", "market.example", "--user", "ana")
	fails(t, home, "fingerprint", "trust", "forget", "market.example", "--trust", "rubbish")
	succeeds(t, home, "trust", "forget", "Market.Example", "--trust", identity.Hex(two))
	if pins, err := store.Pins(at); err != nil || len(pins) != 1 || pins[0] != two {
		t.Errorf("got %v, %v; want %v", pins, err, two)
	}
	succeeds(t, home, "trust", "forget", "market.example")
	if text := succeeds(t, home, "trust", "list", "--json"); text != "" {
		t.Errorf("got %q, want nothing", text)
	}
}
