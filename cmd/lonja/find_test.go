package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lonja"
	"lonja/internal/dirclient"
)

// noClock keeps a program from waiting for a date-time service.
const noClock = "http://127.0.0.1:1"

// A stall is a directory where ana is connected and publishes.
type stall struct {
	*process
	port string
	dir  lonja.Directory
}

func startStall(t *testing.T) *stall {
	t.Helper()
	server := start(t, nil, "server", "--host", "127.0.0.1", "-p", "0", "--data", filepath.Join(t.TempDir(), "data"))
	line := server.firstLine()
	s := &stall{process: server, port: line[strings.LastIndexByte(line, ':')+1:]}
	s.dir = dirclient.New(dirclient.Options{Address: "127.0.0.1:" + s.port})
	s.connect("ana")
	return s
}

func (s *stall) connect(user lonja.UserName) {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // directories may look
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = listener.Close() })
	s.must(s.dir.Register(s.t.Context(), user))
	s.must(s.dir.Connect(s.t.Context(), user, lonja.Endpoint{AddrPort: listener.Addr().(*net.TCPAddr).AddrPort()}))
}

func (s *stall) publish(user lonja.UserName, name lonja.FileName, about lonja.Description) {
	s.t.Helper()
	s.must(s.dir.Publish(s.t.Context(), user, lonja.Listing{Name: name, Description: about}))
}

func (s *stall) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stall) find(args ...string) (status int, stdout, stderr string) {
	s.t.Helper()
	return runToEnd(s.t, append([]string{"find", "--classic", "-s", "127.0.0.1", "-p", s.port, "--datetime", noClock}, args...)...)
}

func TestFind(t *testing.T) {
	s := startStall(t)
	s.connect("luis")
	s.publish("ana", "/ana/poem.txt", "by Shelley")
	s.publish("luis", "/luis/poem.txt", "copied")
	s.publish("luis", "/luis/poema.ogg", "un poema \u202eal revés")
	s.must(s.dir.Disconnect(t.Context(), "luis"))
	for _, c := range []struct{ args, stdout, stderr string }{
		{
			"SHELLEY poe",
			"BASE NAME  HOLDERS        SIZE  OWNER  PUBLISHED AS   DESCRIPTION\n" +
				"poem.txt   1 of 2 online  -     ana    /ana/poem.txt  by Shelley\n", "",
		},
		{"un poema --json", `{"base":"poema.ogg","online":0,"holders":1,"owner":"luis","name":"/luis/poema.ogg",` +
			`"description":"un poema \u202eal revés"}` + "\n", ""},
		{"nothing like it", "", "lonja: nothing found\n"},
		{"poe --online --ext ogg", "", "lonja: nothing found\n"},
		{"--min-size 1 poe", "", "lonja: nothing found\n"}, // nobody tells sizes
		{
			"poe --limit 1 --owner luis",
			"BASE NAME  HOLDERS        SIZE  OWNER  PUBLISHED AS    DESCRIPTION\n" +
				"poem.txt   1 of 2 online  -     luis   /luis/poem.txt  copied\n",
			"lonja: there is more: see --limit and --all\n",
		},
		{
			"--base /anywhere/poema.ogg",
			"BASE NAME  HOLDERS        SIZE  OWNER  PUBLISHED AS     DESCRIPTION\n" +
				"poema.ogg  0 of 1 online  -     luis   /luis/poema.ogg  un poema \ufffdal revés\n", "",
		},
	} {
		for _, as := range []string{"", " --user ana"} {
			status, stdout, stderr := s.find(strings.Fields(c.args + as)...)
			if status != 0 || stdout != c.stdout || stderr != c.stderr {
				t.Errorf("%s%s: got status %d,\n%s\nand %q; want\n%s\nand %q", c.args, as, status, stdout, stderr, c.stdout, c.stderr)
			}
		}
	}
	if guests := strings.Count(s.output(), "OPERATION REGISTER FROM find-"); guests != 7 {
		t.Errorf("%d guests came, want one for each search without --user", guests)
	}
	if left := strings.Count(s.output(), "OPERATION UNREGISTER FROM find-"); left != 7 {
		t.Errorf("%d guests left, want 7", left)
	}
}

// TestFindAll: more than the largest page, none twice.
func TestFindAll(t *testing.T) {
	s := startStall(t)
	want := make([]string, lonja.MaxFound+5)
	for i := range want {
		want[i] = fmt.Sprintf("f%04d", i)
		s.publish("ana", lonja.FileName("/"+want[i]), "")
	}
	status, stdout, stderr := s.find("--all", "--json")
	var got []string
	for line := range strings.Lines(stdout) {
		var found struct{ Base string }
		if err := json.Unmarshal([]byte(line), &found); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got = append(got, found.Base)
	}
	if status != 0 || stderr != "" || !slices.Equal(got, want) {
		t.Errorf("got status %d, %q and %d results, want all %d in order", status, stderr, len(got), len(want))
	}
}

// TestFindWithoutReader: who reads one line and goes leaves no guest behind.
func TestFindWithoutReader(t *testing.T) {
	s := startStall(t)
	for i := range 20 {
		s.publish("ana", lonja.FileName(fmt.Sprintf("/f%d", i)), "")
	}
	find := exec.Command(binary, "find", "--classic", "-s", "127.0.0.1", "-p", s.port, "--datetime", noClock, "--all")
	find.Env = apart(t.TempDir())
	out, err := find.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = out.Close()
	if err := find.Run(); err != nil {
		t.Errorf("find ended with %v", err)
	}
	s.waitOutput("the farewell", func(out []byte) bool { return strings.Contains(string(out), "UNREGISTER FROM find-") })
}

func TestFindFails(t *testing.T) {
	s := startStall(t)
	s.must(s.dir.Register(t.Context(), "eva"))
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"poem --user eva", 1, `lonja: eva: search: user is not connected; connect in a running "lonja client", or leave --user out`},
		{"poem --user nobody", 1, "lonja: nobody: search: user does not exist; connect"},
		{"", 2, "what to look for?"},
		{"poem --server=", 2, "--server is empty"},
		{"poem -p 0", 2, "port 0 is not between 1 and 65535"},
		{"poem --limit 0", 2, "--limit 0 is not between 1 and 1000; --all shows all"},
		{"poem --limit 2000", 2, "--limit 2000 is not between 1 and 1000"},
		{"poem --limit 2 --all", 2, "--all and --limit exclude each other"},
		{"poem --min-size big", 2, "--min-size big: not a size like 500"},
		{"poem --min-size 2kB --max-size 1kB", 2, "the largest size 1000 is below the smallest, 2000"},
		{"poem --base /folder/", 2, "--base /folder/: the name is that of a folder"},
		{"poem --datetime gopher://x", 2, "--datetime"},
		{strings.Repeat("x", 256), 2, "search is too long"},
	} {
		status, stdout, stderr := s.find(strings.Fields(c.args)...)
		if status != c.status || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("%.40s: got status %d, %q and %q; want %d and %q", c.args, status, stdout, stderr, c.status, c.says)
		}
	}
	if strings.Contains(s.output(), "FROM find-") {
		t.Error("a guest came for a search that could not be")
	}
}

// elsewhere starts a directory that is not ours: it answers each operation
// with what answer says, and nothing while that is nil. It tells the
// operations as they come.
func elsewhere(t *testing.T, answer func(op string) []byte) (port string, ops <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard, ended := make(chan string, 16), make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		var held []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			held = append(held, conn)
			_ = conn.SetDeadline(time.Now().Add(patience))
			op, _ := bufio.NewReader(conn).ReadString(0)
			op = strings.TrimSuffix(op, "\x00")
			if bytes := answer(op); bytes != nil {
				_, _ = conn.Write(bytes)
				_ = conn.(*net.TCPConn).CloseWrite()
			}
			heard <- op
		}
		for _, conn := range held {
			_ = conn.Close()
		}
	}()
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, heard
}

func wantOps(t *testing.T, ops <-chan string, want ...string) {
	t.Helper()
	for _, op := range want {
		select {
		case got := <-ops:
			if got != op {
				t.Errorf("the directory was asked for %s, want %s", got, op)
			}
		case <-time.After(patience):
			t.Fatalf("the directory was not asked for %s", op)
		}
	}
}

// TestFindInAnOldDirectory: it is told that searching is not to be had there,
// and no guest stays.
func TestFindInAnOldDirectory(t *testing.T) {
	port, ops := elsewhere(t, func(op string) []byte {
		if op == "SEARCH" {
			return []byte{2}
		}
		return []byte{0}
	})
	status, stdout, stderr := runToEnd(t, "find", "--classic", "-s", "127.0.0.1", "-p", port, "--datetime", noClock, "poem")
	want := "lonja: search: this directory is an older one, which cannot search\n"
	if status != 1 || stdout != "" || stderr != want {
		t.Errorf("got status %d, %q and %q; want 1 and %q", status, stdout, stderr, want)
	}
	wantOps(t, ops, "REGISTER", "CONNECT", "SEARCH", "UNREGISTER")
}

// TestFindInterrupted: the guest of a search that is under way leaves.
func TestFindInterrupted(t *testing.T) {
	port, ops := elsewhere(t, func(op string) []byte {
		if op == "SEARCH" {
			return nil
		}
		return []byte{0}
	})
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		find := start(t, nil, "find", "--classic", "-s", "127.0.0.1", "-p", port, "--datetime", noClock, "poem")
		wantOps(t, ops, "REGISTER", "CONNECT", "SEARCH")
		if status := find.end(signal); status != 1 || strings.Count(find.stderr.String(), "\n") != 1 {
			t.Errorf("%v: got status %d and %q; want 1 and a line", signal, status, find.stderr.String())
		}
		wantOps(t, ops, "UNREGISTER")
	}
}

func TestFindWithoutDirectory(t *testing.T) {
	status, stdout, stderr := runToEnd(t, "find", "--classic", "-s", "127.0.0.1", "-p", "1", "--datetime", noClock, "poem")
	if status != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "refused") {
		t.Errorf("got status %d, %q and %q; want 1 and a line", status, stdout, stderr)
	}
}
