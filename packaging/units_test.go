//go:build interop

package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A unit is a file for systemd.
type unit struct {
	file string
	user bool     // of a user's own manager
	runs string   // the program, as the file has it
	args []string // what it is run with
}

// units returns all that are given to operators.
func units(t *testing.T) (all []unit) {
	t.Helper()
	files, err := filepath.Glob("systemd/*.service")
	if err != nil || len(files) != 2 {
		t.Fatalf("got the units %v, %v, want 2", files, err)
	}
	for _, file := range files {
		text := readUnit(t, file)
		starts := regexp.MustCompile(`(?m)^ExecStart=(\S+)(.*)$`).FindAllStringSubmatch(text, -1)
		if len(starts) != 1 {
			t.Fatalf("%s starts %q", file, starts)
		}
		all = append(all, unit{file, strings.Contains(text, "WantedBy=default.target"), starts[0][1], strings.Fields(starts[0][2])})
	}
	return all
}

func readUnit(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// program builds lonja.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lonja")
	if out, err := exec.Command("go", "build", "-o", path, "lonja/cmd/lonja").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// verified returns what systemd says against a unit with that text, "" for nothing.
// The program that it starts must be there.
func (u unit) verified(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, filepath.Base(u.file))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"verify", file}
	if u.user {
		args = append([]string{"--user"}, args...)
	}
	cmd := exec.Command("systemd-analyze", args...)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("systemd-analyze, of Debian's package systemd: %v", err)
	}
	return string(out)
}

// TestUnits: systemd takes the units as they are, and the program the flags with
// which they start it.
func TestUnits(t *testing.T) {
	lonja := program(t)
	for _, u := range units(t) {
		t.Run(filepath.Base(u.file), func(t *testing.T) {
			text := strings.ReplaceAll(readUnit(t, u.file), u.runs, lonja)
			if said := u.verified(t, text); said != "" {
				t.Errorf("systemd says:\n%s", said)
			}
			// So it would say if there was something.
			for name, wrong := range map[string]string{
				"a setting that is none": strings.Replace(text, "[Service]", "[Service]\nNoSuchThing=yes", 1),
				"a program that is none": strings.ReplaceAll(text, lonja, "/nowhere/lonja"),
			} {
				if u.verified(t, wrong) == "" {
					t.Errorf("%s: systemd has nothing to say", name)
				}
			}
			if out, err := started(lonja, u.args); err != nil {
				t.Errorf("lonja %q: %v\n%s", u.args, err, out)
			}
			if _, err := started(lonja, append(slices.Clone(u.args), "--no-such-flag")); err == nil {
				t.Error("the program takes any flag")
			}
		})
	}
}

// started has the program look at its flags, and explain them instead of starting.
func started(lonja string, args []string) ([]byte, error) {
	return exec.Command(lonja, append(slices.Clone(args), "--help")...).CombinedOutput()
}

// TestUnitsLetInterfacesBeSeen: where others reach it the program tells from the
// machine's interfaces, of which it asks the kernel over netlink. A unit that
// forbids that makes it say 127.0.0.1.
func TestUnitsLetInterfacesBeSeen(t *testing.T) {
	for _, u := range units(t) {
		families := regexp.MustCompile(`(?m)^RestrictAddressFamilies=(.*)$`).FindStringSubmatch(readUnit(t, u.file))
		if families == nil {
			t.Errorf("%s lets the program open sockets of all families", u.file)
			continue
		}
		for _, want := range []string{"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"} {
			if !slices.Contains(strings.Fields(families[1]), want) {
				t.Errorf("%s has no %s", u.file, want)
			}
		}
	}
}
