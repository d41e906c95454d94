package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
		{"what one call is to do", "[node]\njson = true\n", "", "id", "has no setting json", 2},
		{"a value that is none", "", "LONJA_PORT=many", "find x -s localhost", "environment LONJA_PORT", 2},
		{"a rate that is none", "", "LONJA_LIMIT_UP=fast", "share . -s localhost", "environment LONJA_LIMIT_UP): invalid argument \"fast\"", 2},
		{"slots that are none", "[node]\nupload-slots = 0\n", "", "share . -s localhost", "--upload-slots 0", 2},
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

// TestOnlyLastingFlagsAreSettings: what one call is to do is no setting, in any
// command: a variable that was left set would do it again. A new flag is marked with
// notSettings, or is added here.
func TestOnlyLastingFlagsAreSettings(t *testing.T) {
	lasting := map[string]string{
		"node": `classic config-dir datetime limit-down limit-down-each limit-lan limit-up limit-up-each listen max-downloads partial passphrase-file port
			port-mapping progress queue-patience rescan send-size server state-dir upload-slots user verbose`,
		"server": `admin allow-unsafe-store classic data host limit-connections-per-address limit-loopback limit-operations-per-address
			limit-operations-per-user limit-publications-per-user max-connections port probe-period registration request-timeout
			store store-ca store-cert store-credentials store-key store-name verbose`,
		"admin":    `admin host`,
		"logger":   `host port rpcbind`,
		"datetime": `host port`,
		"bench": `address asked clients data dir downloaders duration files holders listings-per-user logger-clients names nodes operations
			rate renew renewals rounds seed services shapes size sessions store store-ca store-cert store-credentials store-key throttled timeout users
			warmup writers`,
	}
	seen := make(map[string]bool)
	for section, names := range settingNames(newRootCommand()) {
		for _, name := range names {
			if !slices.Contains(strings.Fields(lasting[section]), name) {
				t.Errorf("%s.%s is a setting, and is none of those that may be", section, name)
			}
			seen[section+"."+name] = true
		}
	}
	for section, names := range lasting {
		for name := range strings.FieldsSeq(names) {
			if !seen[section+"."+name] {
				t.Errorf("%s.%s is no setting any more", section, name)
			}
		}
	}
}

// TestConfigShowTellsWhereFrom: each setting, its value, and where it stands.
func TestConfigShowTellsWhereFrom(t *testing.T) {
	status, stdout, stderr := withSettings(t, "[node]\nlisten = ':4445'\nlimit-up = '10MB/s'\n", []string{"LONJA_PORT=4000", "LONJA_LIMIT_DOWN=500k"}, "config", "show", "node", "--json")
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
	if s := from["limit-up"]; s.Value != "10MB/s" || !strings.Contains(s.From, configName) {
		t.Errorf("limit-up: %+v", s)
	}
	if s := from["limit-down"]; s.Value != "500k" || s.From != "environment LONJA_LIMIT_DOWN" {
		t.Errorf("limit-down: %+v", s)
	}
	if s := from["limit-down-each"]; s.Value != "off" || s.From != "default" {
		t.Errorf("limit-down-each: %+v", s)
	}
	if s := from["server"]; s.From != "default" {
		t.Errorf("server: %+v", s)
	}
	_, stdout, _ = withSettings(t, "", []string{"LONJA_ADMIN=127.0.0.1:1"}, "config", "show", "admin", "server")
	if want := "127.0.0.1:1  environment LONJA_ADMIN\n"; strings.Count(strings.Join(strings.Fields(stdout), " "), strings.Join(strings.Fields(want), " ")) != 2 {
		t.Errorf("no two lines with %q in\n%s", want, stdout)
	}
	if status, _, stderr := withSettings(t, "", nil, "config", "show", "nodes"); status != 2 || !strings.Contains(stderr, `no section "nodes"`) {
		t.Errorf("an unknown section: status %d, %s", status, stderr)
	}
}
