package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// waitFor waits until a running command has written what, and returns the line.
func (p *process) waitFor(what string) string {
	p.t.Helper()
	out := p.waitOutput(what, func(out []byte) bool {
		i := strings.Index(string(out), what)
		return i >= 0 && strings.Contains(string(out[i:]), "\n")
	})
	for line := range strings.Lines(out) {
		if strings.Contains(line, what) {
			return line
		}
	}
	return ""
}

func (v *visitor) share(dir string, args ...string) *process {
	v.Helper()
	p := v.start(append([]string{"share", dir, "--listen", "127.0.0.1:0"}, args...)...)
	p.waitFor("serving")
	return p
}

// TestShare: what is in the directory is served, and what comes, changes, moves
// and goes there; what "publish" adds is served too.
func TestShare(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	ana.file("public/poem.txt", "one")
	ana.file("public/.hidden", "hidden")
	share := ana.share("public", "-d", "of ana")
	if line := share.firstLine(); !strings.Contains(line, "as ana at 127.0.0.1:") {
		t.Errorf("got %q", line)
	}
	share.waitFor("published public/poem.txt")
	luis.does("get", "public/poem.txt", "-o", "a")
	luis.holds("a", "one")

	ana.file("public/new/deep/song.ogg", "la la")
	share.waitFor("published public/new/deep/song.ogg")
	ana.file("public/poem.txt", "one and a half")
	share.waitFor("published public/poem.txt (14 B)")
	luis.does("get", "poem.txt", "--force", "-o", "a")
	luis.holds("a", "one and a half")

	if err := os.Rename(filepath.Join(ana.home, "public/new"), filepath.Join(ana.home, "public/old")); err != nil {
		t.Fatal(err)
	}
	share.waitFor("unpublished public/new/deep/song.ogg")
	share.waitFor("published public/old/deep/song.ogg")
	if err := os.RemoveAll(filepath.Join(ana.home, "public/old")); err != nil {
		t.Fatal(err)
	}
	share.waitFor("unpublished public/old/deep/song.ogg")
	if out := luis.does("ls", "ana"); strings.Contains(out, "song") || strings.Contains(out, "hidden") || !strings.Contains(out, "of ana") {
		t.Errorf("luis sees %s", out)
	}

	ana.does("publish", ana.file("elsewhere.txt", "by hand"))
	luis.does("get", "elsewhere.txt")
	luis.holds("elsewhere.txt", "by hand")
	ana.does("unpublish", "elsewhere.txt")
	luis.fails(1, "no connected user has the file", "get", "elsewhere.txt", "-o", "again")

	ana.fails(1, "serves for ana already", "share", "public")
	if out := ana.does("who", "--me"); !strings.Contains(out, `"lonja share" says`) {
		t.Errorf("got %s", out)
	}
	if status := share.end(syscall.SIGINT); status != 0 {
		t.Errorf("share ended with status %d", status)
	}
	luis.fails(1, "no connected user has the file", "get", "poem.txt", "-o", "again")
	ana.fails(1, "ana is not connected", "who", "--me")
}

// TestShareAgain: what went while nothing ran here is taken off the list; what
// was published otherwise stays, and what is as it was is not published anew.
func TestShareAgain(t *testing.T) {
	f := openFair(t)
	ana := f.join("ana")
	kept, gone := ana.file("public/kept", "kept"), ana.file("public/gone", "gone")
	// So old that its hash is remembered.
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(kept, old, old); err != nil {
		t.Fatal(err)
	}
	ana.does("publish", "public")
	ana.does("publish", gone, "--as", "by hand")
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	share := ana.share("public", "--json")
	share.waitFor(`{"unpublished":"public/gone"}`)
	ana.file("public/new", "new") // is published after kept would be
	share.waitFor(`"name":"public/new"`)
	if out := share.output(); strings.Contains(out, `"name":"public/kept"`) {
		t.Errorf("published anew: %s", out)
	}
	names := ""
	for _, p := range lines[publishedLine](t, ana.does("ls", "--json")) {
		names += p.Name + " "
	}
	if names != "public/new by hand public/kept " {
		t.Errorf("listed are %q, of %s", names, kept)
	}
	share.stop()
	ana.fails(2, "is not a directory", "share", kept)
	ana.fails(2, "no such file", "share", "nowhere")
	ana.fails(2, "--classic is on or off", "share", "public", "--classic", "only")
	ana.fails(2, "--rescan", "share", "public", "--rescan", "0s")
	ana.fails(2, "--to names nobody", "share", "public", "--to", "")
	stranger := f.visitor("stranger")
	stranger.file("public/x", "x")
	stranger.fails(2, "no name was registered from here", "share", "public")
}

// TestShareEndsWithItsAccount: who gives the name back serves no more.
func TestShareEndsWithItsAccount(t *testing.T) {
	t.Parallel() // it is noticed at the next renewal
	f := openFair(t)
	ana := f.join("ana")
	ana.file("public/x", "x")
	share := ana.share("public")
	share.waitFor("published public/x")
	ana.does("unregister", "ana")
	if status := share.wait(); status != 1 || !strings.Contains(share.stderr.String(), "ended the session") {
		t.Errorf("got status %d and %q", status, share.stderr.String())
	}
}
