package main

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// proposals returns what the shell is told to propose behind words.
func (v *visitor) proposals(words ...string) string {
	v.Helper()
	out := v.does(append([]string{"__complete"}, words...)...)
	lines := strings.Fields(out)
	if len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], ":") {
		v.Fatalf("%v: got %q", words, out)
	}
	return strings.Join(lines[:len(lines)-1], " ")
}

// proposalsInTime asks again while there is nothing and something is expected: on a busy
// machine a directory may take longer than completion waits.
func (v *visitor) proposalsInTime(some bool, words ...string) (found string) {
	v.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if found = v.proposals(words...); found != "" || !some {
			break
		}
	}
	return found
}

// TestCompletion: users and names come from the directory that is remembered; from one
// that is away, or that was never met, nothing, and nothing is made.
func TestCompletion(t *testing.T) {
	f := openFair(t)
	ana, luis, eva := f.join("ana"), f.join("luis"), f.join("eva")
	ana.console()
	luis.console()
	ana.does("publish", ana.file("poem.txt", "one"), ana.file("song.ogg", "two"))
	eva.untold()
	for _, c := range []struct{ words, want string }{
		{"ls|", "ana luis"},
		{"ls|l", "luis"},
		{"ls|luis|", ""},
		{"get|", "poem.txt song.ogg"},
		{"get|po", "poem.txt"},
		{"get|--from|a", "ana"},
		{"publish|--to|", "ana luis"},
		{"share|--to|luis,a", "luis,ana"},
		{"find|--owner|lu", "luis"},
		{"unpublish|", ""},
		{"events|--holders|po", "poem.txt"},
		{"who|", ""},
	} {
		if got := eva.proposalsInTime(c.want != "", strings.Split(c.words, "|")...); got != c.want {
			t.Errorf("%q: got %q, want %q", c.words, got, c.want)
		}
	}
	if got := ana.proposalsInTime(true, "unpublish", "s"); got != "song.ogg" {
		t.Errorf("got %q", got)
	}
	stranger := f.visitor("stranger")
	if got := stranger.proposals("ls", "--user", "stranger", ""); got != "" {
		t.Errorf("got %q", got)
	}
	if _, _, stderr := stranger.try("id", "show"); !strings.Contains(stderr, "made a new key") {
		t.Error("completion has made a key")
	}
	if err := f.server.cmd.Process.Signal(syscall.SIGSTOP); err != nil { // it is killed all the same
		t.Fatal(err)
	}
	if got := eva.proposals("ls", ""); got != "" {
		t.Errorf("got %q from a directory that says nothing", got)
	}
}

// TestCompletionScripts: each shell's script is made; bash takes its own.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		status, script, stderr := runToEnd(t, "completion", shell)
		if status != 0 || stderr != "" || !strings.Contains(script, "__complete") {
			t.Fatalf("%s: got status %d, %q and %d bytes", shell, status, stderr, len(script))
		}
		if shell != "bash" {
			continue
		}
		bash := exec.Command("bash", "-c", `source /dev/stdin && complete -p lonja`)
		bash.Stdin = strings.NewReader(script)
		if out, err := bash.CombinedOutput(); err != nil || !strings.Contains(string(out), "__start_lonja") {
			t.Errorf("bash: %v, %s", err, out)
		}
	}
}
