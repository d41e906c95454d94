package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lonja/internal/authority"
)

// A middleman stands between a client and its directory.
type middleman struct {
	*testing.T
	port string

	mu     sync.Mutex
	does   func(client net.Conn) // with the next connections
	firsts []byte                // the first byte that each client said
	past   []byte                // what the directory has answered on the first one
}

// between opens a port that leads to a directory, as long as it is told nothing
// else.
func between(t *testing.T, directory string) *middleman {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	m := &middleman{T: t, port: port}
	m.does = func(client net.Conn) { m.passOn(client, directory) }
	var serving sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				m.meet(conn)
			})
		}
	})
	t.Cleanup(func() { stop(); _ = ln.Close(); serving.Wait() })
	return m
}

// meet looks at the first byte of a connection and does with it what is to be
// done.
func (m *middleman) meet(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(patience))
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		return
	}
	m.mu.Lock()
	does := m.does
	m.firsts = append(m.firsts, first[0])
	m.mu.Unlock()
	does(&unread{conn, io.MultiReader(strings.NewReader(string(first)), conn)})
}

// An unread connection has some of what was read in it again.
type unread struct {
	net.Conn
	from io.Reader
}

func (u *unread) Read(b []byte) (int, error) { return u.from.Read(b) }

// passOn connects both sides, and keeps what the directory says first.
func (m *middleman) passOn(client net.Conn, at string) {
	server, err := net.Dial("tcp", at)
	if err != nil {
		return
	}
	defer server.Close()
	said := make(chan struct{})
	go func() {
		defer close(said)
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			m.mu.Lock()
			m.past = append(m.past, buf[:n]...)
			m.mu.Unlock()
			if _, failed := client.Write(buf[:n]); err != nil || failed != nil {
				return
			}
		}
	}()
	_, _ = io.Copy(server, client)
	_ = server.Close()
	<-said
}

// turns has the middleman do something else, and forget whom it has met.
func (m *middleman) turns(does func(client net.Conn)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.does, m.firsts = does, nil
}

// met returns the first byte of each connection since then.
func (m *middleman) met() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]byte(nil), m.firsts...)
}

// answers reads the record with which the client begins, and says something to it.
// All of the record: closing on unread bytes would reset the connection.
func answers(with []byte) func(net.Conn) {
	return func(client net.Conn) {
		header := make([]byte, 5)
		if _, err := io.ReadFull(client, header); err != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, client, int64(header[3])<<8|int64(header[4]))
		_, _ = client.Write(with)
	}
}

// TestMiddleman: whatever somebody in between does to its connection, a client
// fails, says so, and never says a byte of the classic protocol.
func TestMiddleman(t *testing.T) {
	server := start(t, nil, "server", "--host", "127.0.0.1", "-p", "0")
	line := server.firstLine()
	m := between(t, line[strings.LastIndexByte(line, ' ')+1:])
	home := t.TempDir()
	client := func(commands string) (status int, out, explained string) {
		p := start(t, func(c *exec.Cmd) { c.Env = append(c.Env, "HOME="+home, "XDG_STATE_HOME="+home, "XDG_CONFIG_HOME=") },
			"client", "-s", "127.0.0.1", "-p", m.port, "--listen", "127.0.0.1:0")
		if _, err := io.WriteString(p.stdin, commands); err != nil {
			t.Fatal(err)
		}
		_ = p.stdin.Close()
		status = p.wait()
		return status, p.output(), p.stderr.String()
	}
	if status, out, explained := client("register ana\nconnect ana\n"); status != 0 || !strings.Contains(out, "CONNECT OK") {
		t.Fatalf("with nobody who interferes: status %d, %s%s", status, out, explained)
	}
	other, _, err := authority.Open(authority.Options{Dir: filepath.Join(t.TempDir(), "other")})
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	past := append([]byte(nil), m.past...)
	m.mu.Unlock()
	for name, tc := range map[string]struct {
		does func(net.Conn)
		says string // among what the client explains
	}{
		"answers in classic":         {answers([]byte("\x00\x002\x00ana\x00")), "does not look like a TLS handshake"},
		"says that it knows no TLS":  {answers([]byte{0x15, 3, 3, 0, 2, 2, 40}), "handshake failure"},
		"says that it knows no 1.3":  {answers([]byte{0x15, 3, 3, 0, 2, 2, 70}), "protocol version"},
		"closes":                     {answers(nil), "EOF"},
		"resets":                     {reset, "reset"},
		"replays an earlier session": {answers(past), "tls: "},
		"answers with its own key": {func(c net.Conn) {
			_ = tls.Server(c, other.ServerConfig([]string{"lonja/1"})).Handshake()
		}, "trust forget"},
		"answers in TLS 1.2": {func(c net.Conn) {
			config := other.ServerConfig([]string{"lonja/1"})
			config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
			_ = tls.Server(c, config).Handshake()
		}, "protocol version"},
	} {
		m.turns(tc.does)
		_, out, explained := client("connect ana\nlist_users\nregister luis\n")
		for _, want := range []string{"CONNECT FAIL", "LIST_USERS FAIL", "REGISTER FAIL"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", name, want, out)
			}
		}
		if !strings.Contains(explained, tc.says) {
			t.Errorf("%s: the client explains %q, want %q in it", name, explained, tc.says)
		}
		met := m.met()
		if len(met) == 0 {
			t.Errorf("%s: nobody came by", name)
		}
		for _, first := range met {
			if first != 0x16 {
				t.Errorf("%s: a connection begins with %#x, want TLS", name, first)
			}
		}
	}
}

func reset(c net.Conn) {
	_, _ = c.Read(make([]byte, 64<<10))
	if tcp, ok := c.(*unread).Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// TestOpenRights: no program works with a private key, or with what it trusts,
// that others on the machine may read or change.
func TestOpenRights(t *testing.T) {
	home := t.TempDir()
	data := filepath.Join(home, "data")
	inHome := func(c *exec.Cmd) { c.Env = append(c.Env, "HOME="+home, "XDG_STATE_HOME="+home, "XDG_CONFIG_HOME=") }
	serve := []string{"server", "--host", "127.0.0.1", "-p", "0", "--data", data}
	server := start(t, inHome, serve...)
	line := server.firstLine()
	_, port, err := net.SplitHostPort(line[strings.LastIndexByte(line, ' ')+1:])
	if err != nil {
		t.Fatal(err)
	}
	ask := []string{"client", "-s", "127.0.0.1", "-p", port, "--listen", "127.0.0.1:0"}
	run := func(args []string) (int, string) {
		p := start(t, inHome, args...)
		_, _ = io.WriteString(p.stdin, "register ana\n") // one that has ended takes nothing
		_ = p.stdin.Close()
		return p.wait(), p.output() + p.stderr.String()
	}
	if status, said := run(ask); status != 0 || !strings.Contains(said, "REGISTER OK") {
		t.Fatalf("status %d, %s", status, said)
	}
	server.stop()
	config := filepath.Join(home, ".config", "lonja")
	for _, tc := range []struct {
		path  string
		open  os.FileMode
		args  []string
		wants string
	}{
		{filepath.Join(config, "identity.key"), 0o604, ask, "chmod 600 "},
		{filepath.Join(config, "identity.key"), 0o640, ask, "chmod 600 "},
		{filepath.Join(config, "trust.json"), 0o622, ask, "chmod 600 "},
		{config, 0o775, ask, "chmod 700 "},
		{filepath.Join(data, authority.FileName), 0o644, serve, "chmod 600 "},
		{data, 0o777, serve, "chmod 700 "},
	} {
		info, err := os.Stat(tc.path)
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s was made with mode %v", tc.path, info.Mode())
		}
		if err := os.Chmod(tc.path, tc.open); err != nil {
			t.Fatal(err)
		}
		if status, said := run(tc.args); status == 0 || !strings.Contains(said, tc.wants+tc.path) {
			t.Errorf("%s with mode %o: status %d, %s", tc.path, tc.open, status, said)
		}
		if err := os.Chmod(tc.path, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}
