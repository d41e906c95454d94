package main

import (
	"net"
	"os"
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
