package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// withSettings runs lonja to its end with a file of settings and an environment.
func withSettings(t *testing.T, text string, env []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lonja")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, configName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, func(c *exec.Cmd) { c.Env = append(append(c.Env, "XDG_CONFIG_HOME="+filepath.Dir(dir)), env...) }, args...)
	_ = p.stdin.Close()
	status = p.wait()
	return status, p.output(), p.stderr.String()
}

// TestSettingsReachCommands: a port that cannot be is complained of, from
// wherever it comes.
func TestSettingsReachCommands(t *testing.T) {
	for _, c := range []struct {
		name, file, env, args, says string
		status                      int
	}{
		{"file", "[node]\nserver = 'localhost'\nport = 70001\n", "", "client", "port 70001 is not between", 2},
		{"environment over file", "[node]\nserver = 'localhost'\nport = 70001\n", "LONJA_PORT=70002", "client", "port 70002", 2},
		{"flag over environment", "", "LONJA_PORT=70002", "client -s localhost -p 70003", "port 70003", 2},
		{"another section", "[server]\nport = 70004\n", "", "server", "port 70004", 2},
		{"a group's command", "[admin]\nadmin = 'nowhere'\n", "", "admin stats", "nowhere", 2},
		{"a key that is none", "[node]\nprot = 1\n", "", "client", "has no setting prot", 2},
		{"what is no setting", "[node]\ninput-file = 'x'\n", "", "client", "has no setting input-file", 2},
		{"a value that is none", "", "LONJA_PORT=many", "find x -s localhost", "environment LONJA_PORT", 2},
		{"a file that is missing", "", "LONJA_CONFIG=/nonexistent", "client", "/nonexistent", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, stdout, stderr := withSettings(t, c.file, strings.Fields(c.env), strings.Fields(c.args)...)
			if status != c.status || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 || stdout != "" {
				t.Errorf("got status %d, %q and %q; want %d and one line with %q", status, stdout, stderr, c.status, c.says)
			}
		})
	}
}

// TestConfigShowTellsWhereFrom: each setting, its value, and where it stands.
func TestConfigShowTellsWhereFrom(t *testing.T) {
	status, stdout, stderr := withSettings(t, "[node]\nlisten = ':4445'\n", []string{"LONJA_PORT=4000"}, "config", "show", "node", "--json")
	if status != 0 || stderr != "" {
		t.Fatalf("status %d, %s", status, stderr)
	}
	from := make(map[string]setting)
	for line := range strings.Lines(stdout) {
		var s setting
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		from[s.Name] = s
	}
	if s := from["listen"]; s.Value != ":4445" || !strings.Contains(s.From, configName) {
		t.Errorf("listen: %+v", s)
	}
	if s := from["port"]; s.Value != "4000" || s.From != "environment LONJA_PORT" {
		t.Errorf("port: %+v", s)
	}
	if s := from["server"]; s.From != "default" {
		t.Errorf("server: %+v", s)
	}
	if status, _, stderr := withSettings(t, "", nil, "config", "show", "nodes"); status != 2 || !strings.Contains(stderr, `no section "nodes"`) {
		t.Errorf("an unknown section: status %d, %s", status, stderr)
	}
}
