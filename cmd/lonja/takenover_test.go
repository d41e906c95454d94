package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// copied returns a machine that is a copy of this one: the key is too.
func (v *visitor) copied() *visitor {
	v.Helper()
	twin := v.visitor(v.name)
	if out, err := exec.Command("cp", "-a", v.home+"/.", twin.home).CombinedOutput(); err != nil { // with who may read what
		v.Fatalf("%v: %s", err, out)
	}
	return twin
}

// TestTwoMachinesWithOneKey: the one that was started last is connected. "lonja share"
// on the other ends, with a status that says not to start it again; a console says so,
// is disconnected, and takes over again when it is told to.
func TestTwoMachinesWithOneKey(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	twin := ana.copied()
	ana.file("public/poem.txt", "one")
	twin.file("public/poem.txt", "one")

	first := ana.share("public")
	first.waitFor("published public/poem.txt")
	second := twin.console()
	if status := first.wait(); status != exitTaken {
		t.Errorf("share ended with status %d, want %d", status, exitTaken)
	}
	if said := first.stderr.String(); !strings.Contains(said, "lonja: share: ana: another program with the same key has connected") || !strings.Contains(said, "lonja id add") {
		t.Errorf("share said %q", said)
	}

	first = ana.share("public")
	second.waitStderr("another program with the same key has taken the session over; connect again to take it back")
	for _, typed := range []struct{ command, answer string }{
		{"list_users", "LIST_USERS FAIL, USER NOT CONNECTED"},
		{"disconnect ana", "DISCONNECT FAIL , USER NOT CONNECTED"},
	} {
		if _, err := fmt.Fprintln(second.stdin, typed.command); err != nil {
			t.Fatal(err)
		}
		second.waitOutput(typed.answer, func(out []byte) bool { return strings.Contains(string(out), typed.answer) })
	}
	luis.does("get", "public/poem.txt") // from who is connected

	if _, err := fmt.Fprintln(second.stdin, "connect ana"); err != nil {
		t.Fatal(err)
	}
	if status := first.wait(); status != exitTaken {
		t.Errorf("share ended with status %d, want %d", status, exitTaken)
	}
	second.waitOutput("the connection", func(out []byte) bool { return strings.Count(string(out), "CONNECT OK") == 2 })
}
