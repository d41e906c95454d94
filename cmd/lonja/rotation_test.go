package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lonja/internal/authority"
)

// A running directory looks every ten seconds whether it has another authority, and a
// node renews its session within eighteen.
const rotationPatience = 3 * patience

func (f *fair) eventually(what string, holds func() bool) {
	f.Helper()
	late := time.After(rotationPatience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			f.Fatalf("it does not come to this: %s", what)
		}
	}
}

// trusts reports whether the visitor's file of what is trusted has that in it.
func (v *visitor) trusts(fingerprint string) bool {
	text, err := os.ReadFile(filepath.Join(v.home, ".config", "lonja", "trust.json"))
	return err == nil && strings.Contains(string(text), fingerprint)
}

// TestRunningNodeFollowsTheAuthority: a node that serves learns of a rotation, says
// what to do about one without an overlap, and goes on once a person has done that.
func TestRunningNodeFollowsTheAuthority(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	f := openFair(t, "--data", data)
	ana, luis := f.join("ana"), f.join("luis")
	ana.file("public/x", "x")
	share := ana.share("public", "-v")
	share.waitFor("published public/x")
	rotate := func(overlap string) string {
		f.visitor("operator").does("server", "ca", "rotate", "--data", data, "--overlap", overlap)
		a, err := authority.Load(authority.Options{Dir: data})
		if err != nil {
			t.Fatal(err)
		}
		return a.Fingerprint().String()
	}

	second := rotate("48h")
	f.eventually("the node trusts the second key", func() bool { return ana.trusts(second) })
	luis.does("get", "public/x", "-o", "a")
	luis.holds("a", "x")

	third := rotate("0s")
	f.eventually("the node says what to do", func() bool {
		said := share.stderr.String()
		return strings.Contains(said, third) && strings.Contains(said, "lonja trust forget "+f.at)
	})
	for _, v := range []*visitor{ana, luis} {
		v.does("trust", "forget", f.at, "--trust", third)
	}
	f.eventually("the session is back", func() bool { return strings.Contains(share.stderr.String(), "the directory is back") })
	luis.does("get", "public/x", "-o", "b")
	luis.holds("b", "x")
}
