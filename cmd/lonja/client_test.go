package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestClientPorts: those that the protocol does not know are refused at once.
func TestClientPorts(t *testing.T) {
	for listen, want := range map[string]bool{
		":0": true, "127.0.0.1:1024": true, "[::1]:65535": true,
		":900": false, ":1023": false, ":70000": false, "nowhere": false,
	} {
		if err := checkListen(listen); (err == nil) != want {
			t.Errorf("%s: got %v", listen, err)
		}
	}
	status, out, explained := runToEnd(t, "client", "--classic", "-s", "localhost", "--listen", ":900")
	if status != exitUsage || out != "" || !strings.Contains(explained, "port 900 is not between 1024 and 65535") {
		t.Errorf("got status %d, %q and %q", status, out, explained)
	}
}

// TestClientExplains: what keeps its operations from being what they could be,
// on standard error, and what the protocol says on standard output.
func TestClientExplains(t *testing.T) {
	server := start(t, nil, "server", "--host", "::1", "-p", "0")
	line := server.firstLine()
	_, port, err := net.SplitHostPort(strings.Fields(line)[3])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	notADir := filepath.Join(dir, "file")
	if err := os.WriteFile(notADir, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	commands := filepath.Join(dir, "commands")
	if err := os.WriteFile(commands, []byte("register ana\nconnect ana\nlist_content ana\nquit\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, explained := runToEnd(t, "client", "--classic", "-s", "[::1]", "-p", port, "--datetime", "http://127.0.0.1:1",
		"--state-dir", filepath.Join(notADir, "state"), "--input-file", commands)
	if status != 0 || !strings.Contains(out, "CONNECT OK") || !strings.Contains(out, "LIST_CONTENT OK") {
		t.Errorf("got status %d and %q", status, out)
	}
	for _, want := range []string{"date-time service cannot be used", "will not be remembered"} {
		if strings.Count(explained, want) != 1 {
			t.Errorf("got %q, want %q in it once", explained, want)
		}
	}
}

// TestDialectIsVisible: which dialect is spoken is said on standard error, with
// nobody at a terminal too; standard output has what the protocol says and nothing
// else. Who types --classic has said it.
func TestDialectIsVisible(t *testing.T) {
	server := start(t, nil, "server", "--host", "127.0.0.1", "-p", "0")
	line := server.firstLine()
	port := line[strings.LastIndexByte(line, ':')+1:]
	_, after, _ := strings.Cut(server.waitStderr("fingerprint="), `fingerprint="`)
	fingerprint, _, _ := strings.Cut(after, `"`)
	home, none := t.TempDir(), "127.0.0.1:1"
	for i, c := range []struct {
		name string
		env  string
		args []string
		says string
	}{
		{"for the first time", "", nil, "lonja: TLS, a directory that is met for the first time\n"},
		{"TLS", "", nil, "lonja: TLS, directory " + fingerprint[:shortFingerprint] + "\n"},
		{"TLS, and classic peers", "LONJA_CLASSIC=on", nil, "lonja: TLS, directory " + fingerprint[:shortFingerprint] + "\n"},
		{"classic by a setting", "LONJA_CLASSIC=only", nil, "lonja: classic, not encrypted\n"},
		{"classic by a word", "", []string{"--classic"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, func(cmd *exec.Cmd) {
				cmd.Env = append(cmd.Env, "HOME="+home, "XDG_STATE_HOME="+home, "XDG_CONFIG_HOME=", "LONJA_DATETIME=http://"+none, c.env)
			}, append([]string{"client", "-s", "127.0.0.1", "-p", port, "--listen", "127.0.0.1:0"}, c.args...)...)
			if _, err := io.WriteString(p.stdin, "register ana\n"); err != nil {
				t.Fatal(err)
			}
			_ = p.stdin.Close()
			if status := p.wait(); status != 0 {
				t.Errorf("got status %d", status)
			}
			result := "USERNAME IN USE"
			if i == 0 {
				result = "REGISTER OK"
			}
			if got, want := p.output(), "c> c> "+result+"\nc> \n+++ FINISHED +++\n"; got != want {
				t.Errorf("the console is %q, want %q", got, want)
			}
			said := p.stderr.String()
			if c.says == "" && strings.Contains(said, "lonja: ") || !strings.Contains(said, c.says) {
				t.Errorf("on standard error there is %q, want %q in it", said, c.says)
			}
		})
	}
}
