package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"lonja"
	"lonja/internal/dirclient"
)

// run runs lonja to its end.
func runToEnd(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	p := start(t, nil, args...)
	_ = p.stdin.Close()
	status = p.wait()
	return status, p.output(), p.stderr.String()
}

// TestWrongUseIsOneClearLine: what is said and which status ends it.
func TestWrongUseIsOneClearLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"server -p 70000", 2, "port 70000 is not between 0 and 65535"},
		{"server -p -1", 2, "port -1 is not between"},
		{"server -p many", 2, "invalid argument"},
		{"server --max-connections 0", 2, "must be above zero"},
		{"server --nonsense", 2, "unknown flag"},
		{"server extra", 2, "unknown command"},
		{"server --host 127.0.0.1 -p " + port, 1, "is in use"},
		{"server --host 192.0.2.1 -p 0", 1, "does not have that address"},
		{"logger --host 127.0.0.1 --port " + port, 1, "in use"},
		{"logger --port 70000", 2, "70000"},
		{"datetime --host 127.0.0.1 --port " + port, 1, "in use"},
		{"datetime --port 70000", 2, "70000"},
		{"client", 2, "-s HOST is missing"},
		{"client -s localhost -p 0", 2, "port 0 is not between 1 and 65535"},
		{"client -s localhost --input-file /nonexistent", 2, "no such file"},
		{"client -s localhost --listen nowhere", 2, "--listen"},
		{"client --classic -s localhost --datetime gopher://x", 2, "--datetime"},
		{"bench directory --clients none", 2, "none"},
		{"fly", 2, "has no command"},
		{"help fly", 2, `lonja has no command "fly"`},
		{"help admin fly", 2, `lonja admin has no command "fly"`},
		{"completion fly", 2, "has no command"},
		{"completion bash fly", 2, "unknown command"},
		{"trust forget localhost --user ana --trust abc", 2, "exclude each other"},
		{`unpublish ""`, 2, "an argument is empty"},
		{`unpublish poem.txt ""`, 2, "an argument is empty"},
		{`publish ""`, 2, "an argument is empty"},
		{`share ""`, 2, "an argument is empty"},
		{`ls ""`, 2, "an argument is empty"},
		{`unregister ""`, 2, "an argument is empty"},
		{`cancel ""`, 2, "an argument is empty"},
		{`get poem.txt -o ""`, 2, "--output is empty"},
		{`get poem.txt --from=""`, 2, "--from is empty"},
		{`find --owner ""`, 2, "--owner is empty"},
		{`publish poem.txt --as ""`, 2, "--as is empty"},
		{`ls --user ""`, 2, "--user is empty"},
		{`admin invite --host ""`, 2, "--host is empty"},
	} {
		t.Run(c.args, func(t *testing.T) {
			args := strings.Fields(c.args)
			for i := range args {
				args[i] = strings.Replace(args[i], `""`, "", 1)
			}
			status, stdout, stderr := runToEnd(t, args...)
			if status != c.status || !strings.Contains(stderr, c.says) {
				t.Errorf("got status %d and %q; want %d and %q", status, stderr, c.status, c.says)
			}
			if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "lonja: ") || stdout != "" {
				t.Errorf("want one line on standard error only; got %q and %q on standard output", stderr, stdout)
			}
		})
	}
}

// TestNoRightToListen takes the right away from the program, if we have it.
func TestNoRightToListen(t *testing.T) {
	public := filepath.Join(t.TempDir(), "lonja")
	if err := exec.Command("install", "-m", "755", binary, public).Run(); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(public); dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(public, "server", "-p", "80")
	cmd.Env = apart(filepath.Dir(public))
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), "no right to listen on port 80") {
		t.Errorf("got %v and %q", err, out)
	}
}

// TestHelpIsComplete: each subcommand has an example and tells exit statuses.
func TestHelpIsComplete(t *testing.T) {
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		if cmd.Short == "" || !cmd.HasSubCommands() && (cmd.Example == "" || !strings.Contains(cmd.Long, "Exit status")) {
			t.Errorf("%s lacks a summary, an example or its exit statuses", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(newRootCommand())
}

func TestExitStatuses(t *testing.T) {
	for _, kind := range lonja.Kinds() {
		want := exitError
		switch kind {
		case lonja.Invalid:
			want = exitUsage
		case lonja.TakenOver:
			want = exitTaken
		}
		if got := exitStatus(fmt.Errorf("x: %w", kind)); got != want {
			t.Errorf("%v: got %d, want %d", kind, got, want)
		}
	}
}

// TestServerEndsCleanly: by either signal, with nothing said on standard error
// but how the directory is known.
func TestServerEndsCleanly(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := start(t, nil, "server", "-p", "0")
		if line := p.firstLine(); !strings.HasPrefix(line, "s> init server ") {
			t.Errorf("got %q first", line)
		}
		status := p.end(signal)
		if said := p.stderr.String(); status != 0 || strings.Count(said, "\n") != 1 || !strings.Contains(said, "fingerprint") {
			t.Errorf("%v: got status %d and %q", signal, status, said)
		}
	}
}

// TestUpOnce is the README's first command.
func TestUpOnce(t *testing.T) {
	status, stdout, stderr := runToEnd(t, "up", "--once")
	for _, want := range []string{"ana", "luis", "eva", "GET_FILE from ana", "GET_MULTIFILE from ana and luis", "identical"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if status != 0 || stderr != "" {
		t.Errorf("got status %d and %q", status, stderr)
	}
}

// TestUpStaysForUse: others can use what is up, until it is told to end.
func TestUpStaysForUse(t *testing.T) {
	up := start(t, nil, "up")
	out := up.waitOutput("the invitation", func(out []byte) bool { return strings.Contains(string(out), "Ctrl-C") })
	var command []string
	for line := range strings.Lines(out) {
		if _, after, ok := strings.Cut(line, "lonja client "); ok {
			command = append([]string{"client"}, strings.Fields(after)...)
		}
	}
	target := filepath.Join(t.TempDir(), "poem.txt")
	client := start(t, nil, command...)
	if _, err := fmt.Fprintf(client.stdin, "register me\nconnect me\nget_multifile ozymandias.txt %s\nquit\n", target); err != nil {
		t.Fatal(err)
	}
	if status := client.wait(); status != 0 || !strings.Contains(client.output(), "GET_MULTIFILE OK") {
		t.Errorf("got status %d and\n%s", status, client.output())
	}
	if status := up.end(syscall.SIGINT); status != 0 {
		t.Errorf("up ended with status %d", status)
	}
}

// TestInputFile: commands are shown as if typed, and without QUIT the client
// goes on serving until it is told to end.
func TestInputFile(t *testing.T) {
	server := start(t, nil, "server", "--host", "127.0.0.1", "-p", "0")
	line := server.firstLine()
	port := line[strings.LastIndexByte(line, ':')+1:]
	dir := t.TempDir()
	commands := filepath.Join(dir, "commands.txt")
	write := func(text string) {
		if err := os.WriteFile(commands, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"client", "--classic", "-s", "127.0.0.1", "-p", port, "--datetime", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--input-file", commands}

	write("register ana\n\nconnect ana\r\npublish " + commands + " words and words")
	stays := start(t, nil, args...)
	want := "c> register ana\nc> REGISTER OK\nc> \nc> connect ana\nc> CONNECT OK\n" +
		"c> publish " + commands + " words and words\nc> PUBLISH OK\nc> "
	stays.waitOutput("all results", func(out []byte) bool { return string(out) == want })

	write("register luis\nconnect luis\nget_file ana " + commands + " " + dir + "/got\nquit\nregister never\n")
	quits := start(t, nil, args...)
	want2 := "c> register luis\nc> REGISTER OK\nc> connect luis\nc> CONNECT OK\nc> get_file ana " + commands + " " + dir +
		"/got\nc> GET_FILE OK\nc> quit\n\n+++ FINISHED +++\n"
	if status := quits.wait(); status != 0 || quits.output() != want2 {
		t.Errorf("got status %d and\n%q\nwant\n%q", status, quits.output(), want2)
	}
	if status := stays.end(syscall.SIGTERM); status != 0 || stays.output() != want+"\n+++ FINISHED +++\n" {
		t.Errorf("got status %d and\n%q", status, stays.output())
	}
	status, out, _ := runToEnd(t, "client", "--classic", "-s", "127.0.0.1", "-p", port, "--datetime", "http://127.0.0.1:1", "--listen", "127.0.0.1:0")
	if status != 0 || out != "c> \n+++ FINISHED +++\n" {
		t.Errorf("no input: got status %d and %q", status, out)
	}
}

// TestSignalDisconnects: who is interrupted leaves no ghost behind.
func TestSignalDisconnects(t *testing.T) {
	server := start(t, nil, "server", "--host", "127.0.0.1", "-p", "0")
	line := server.firstLine()
	port := line[strings.LastIndexByte(line, ':')+1:]
	client := start(t, nil, "client", "--classic", "-s", "127.0.0.1", "-p", port, "--datetime", "http://127.0.0.1:1", "--listen", "127.0.0.1:0")
	if _, err := fmt.Fprint(client.stdin, "register ana\nconnect ana\n"); err != nil {
		t.Fatal(err)
	}
	client.waitOutput("the prompt", func(out []byte) bool { return strings.HasSuffix(string(out), "CONNECT OK\nc> ") })
	if status := client.end(syscall.SIGINT); status != 0 {
		t.Errorf("got status %d", status)
	}
	server.waitOutput("the farewell", func(out []byte) bool { return strings.Contains(string(out), "OPERATION DISCONNECT FROM ana") })
}

// TestReadersMayGo: a directory whose lines nobody reads any more stays, and a
// client whose output nobody reads disconnects its user before it ends.
func TestReadersMayGo(t *testing.T) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(binary, "server", "--host", "127.0.0.1", "-p", "0")
	server.Env, server.Stdout = apart(t.TempDir()), theirs
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill() })
	_ = theirs.Close()
	line, err := bufio.NewReader(ours).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_ = ours.Close() // nobody reads from here on
	port := strings.TrimSpace(line[strings.LastIndexByte(line, ':')+1:])

	client := exec.Command(binary, "client", "--classic", "-s", "127.0.0.1", "-p", port, "--datetime", "http://127.0.0.1:1")
	client.Env = apart(t.TempDir())
	gone, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	client.Stdout = write
	stdin, err := client.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	if _, err := fmt.Fprint(stdin, "register ana\nconnect ana\n"); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(gone)
	for range 2 {
		if line, err := reader.ReadString('\n'); err != nil {
			t.Fatal(line, err)
		}
	}
	_ = gone.Close()
	_, _ = fmt.Fprint(stdin, "list_users\nlist_users\n")
	if err := client.Wait(); err == nil {
		t.Error("the client does not say that its output broke")
	}
	dir := dirclient.New(dirclient.Options{Address: "127.0.0.1:" + port})
	if err := dir.Disconnect(t.Context(), "ana"); !errors.Is(err, lonja.NotConnected) {
		t.Errorf("got %v, want %v: the user stayed connected, or the directory is gone", err, lonja.NotConnected)
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("the directory ended with %v", err)
	}
}
