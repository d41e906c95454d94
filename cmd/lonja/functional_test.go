package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/functional/expected anew")

const battery = "../../testdata/functional"

// TestFunctional is the report's battery of tests, grown: see
// testdata/functional/README.md. Each directory keeps what it knows on disk.
func TestFunctional(t *testing.T) { playBattery(t, inClassic, onDisk) }

// TestFunctionalSecure is the same battery in the secure dialect.
func TestFunctionalSecure(t *testing.T) { playBattery(t, inSecure, onDisk) }

func onDisk(t *testing.T) []string { return []string{"--data", t.TempDir() + "/data"} }

// playBattery plays all cases in a dialect. storage returns the flags of a
// directory that knows nothing yet, --data and its value among them.
func playBattery(t *testing.T, spoken dialect, storage func(*testing.T) []string) {
	inputs, err := spoken.inputs()
	if err != nil || len(inputs) < 40 {
		t.Fatalf("found %d cases, %v; want at least 40", len(inputs), err)
	}
	datetime := start(t, nil, "datetime", "--host", "127.0.0.1", "--port", "0")
	url := regexp.MustCompile(`http://[0-9.:]+`).FindString(datetime.waitStderr("http://"))
	for _, input := range inputs {
		name := strings.TrimSuffix(filepath.Base(input), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &scene{
				T: t, spoken: spoken, storage: storage, work: t.TempDir(), state: t.TempDir(),
				datetime: url, clients: map[string]*client{},
			}
			compareWithExpected(t, spoken, name, runCase(s, input))
		})
	}
}

func compareWithExpected(t *testing.T, spoken dialect, name, got string) {
	output := battery + "/output" + spoken.suffix + "/" + name + ".txt"
	expected, want, err := spoken.expected(name)
	switch {
	case err == nil && want == got:
		_ = os.Remove(output) // of an earlier failure
		return
	case *update:
		if err := os.WriteFile(expected, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	case err != nil:
		t.Error(err)
	}
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(output, []byte(got), 0o644); err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.SplitAfter(got, "\n"), strings.SplitAfter(want, "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		g, w := at(gotLines, i), at(wantLines, i)
		if g != w {
			t.Errorf("line %d: got %q, want %q; all of it is in %s", i+1, g, w, output)
			return
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(no line)"
}

// A scene is one case being played.
type scene struct {
	*testing.T
	spoken   dialect
	storage  func(*testing.T) []string
	data     string // the directory's
	work     string // the folder that all clients stand in
	state    string // the folder of the clients' states
	datetime string
	oplog    *process
	oplogAt  string
	server   *process
	port     string
	clients  map[string]*client
	names    []string // of the clients, in the order of their coming
	checks   strings.Builder
}

// A client is one user's program; restarts add to its transcript.
type client struct {
	*process
	before string // the transcript of earlier runs
}

// main is the name of the client on test.
const mainClient = ""

func runCase(s *scene, input string) string {
	script, err := os.ReadFile(input)
	if err != nil {
		s.Fatal(err)
	}
	if err := os.CopyFS(s.work, os.DirFS(battery+"/files")); err != nil {
		s.Fatal(err)
	}
	s.oplog = start(s.T, nil, "logger", "--host", "127.0.0.1", "--port", "0", "--rpcbind=false")
	listens := s.oplog.waitStderr("listening on port ")
	s.oplogAt = "127.0.0.1:" + regexp.MustCompile(`port (\d+)`).FindStringSubmatch(listens)[1]
	s.startServer("0")
	s.startClient(mainClient)
	for line := range strings.Lines(string(script)) {
		s.play(strings.TrimSuffix(line, "\n"))
	}
	return s.close()
}

func (s *scene) play(line string) {
	s.Helper()
	line = strings.ReplaceAll(s.spoken.typed(line), "PATH", s.work)
	switch {
	case strings.HasPrefix(line, "#"):
	case strings.HasPrefix(line, "!"):
		words := strings.SplitN(line[1:], " ", 3)
		s.direct(words[0], append(words[1:], "", "")[:2])
	case strings.HasPrefix(line, "@"):
		name, command, _ := strings.Cut(line[1:], " ")
		if s.clients[name] == nil {
			s.startClient(name)
		}
		s.clients[name].typed(command)
	default:
		s.clients[mainClient].typed(line)
	}
}

// direct follows one line that begins with "!".
func (s *scene) direct(what string, args []string) {
	s.Helper()
	path := filepath.Join(s.work, args[0])
	var err error
	switch what {
	case "server":
		if args[0] == "stop" {
			s.server.stop()
		} else {
			s.startServer(s.port)
		}
	case "restart":
		s.clients[args[0]].typed("quit")
		s.startClient(args[0])
	case "same":
		a, errA := os.ReadFile(path)
		b, errB := os.ReadFile(filepath.Join(s.work, args[1]))
		fmt.Fprintf(&s.checks, "same %s %s: %v\n", args[0], args[1], errA == nil && errB == nil && bytes.Equal(a, b))
	case "absent":
		_, err := os.Lstat(path)
		fmt.Fprintf(&s.checks, "absent %s: %v\n", args[0], os.IsNotExist(err))
	case "write":
		err = os.WriteFile(path, []byte(args[1]), 0o644)
	case "remove":
		err = os.Remove(path)
	case "link":
		err = os.Symlink(args[1], path)
	case "fifo":
		err = syscall.Mkfifo(path, 0o644)
	default:
		s.Fatalf("the case says !%s, which means nothing", what)
	}
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scene) startServer(port string) {
	s.Helper()
	flags := s.storage(s.T)
	s.keepAuthority(flags[slices.Index(flags, "--data")+1])
	s.server = start(s.T, func(c *exec.Cmd) { c.Env = append(c.Env, "LOG_RPC_IP="+s.oplogAt) },
		append([]string{"server", "--host", "127.0.0.1", "-p", port}, flags...)...)
	line := s.server.firstLine()
	s.port = line[strings.LastIndexByte(line, ':')+1:]
}

func (s *scene) startClient(name string) {
	s.Helper()
	before := ""
	if c := s.clients[name]; c != nil {
		before = c.transcript()
	} else {
		s.names = append(s.names, name)
	}
	p := start(s.T, func(c *exec.Cmd) {
		c.Dir = s.work
		c.Env = append(c.Env, "LONJA_DATETIME="+s.datetime,
			"XDG_STATE_HOME="+filepath.Join(s.state, "of-"+name), "XDG_CONFIG_HOME="+s.keyOf(name))
	}, append([]string{"client", "-s", "127.0.0.1", "-p", s.port}, s.spoken.flags...)...)
	s.clients[name] = &client{p, before}
	p.waitOutput("the prompt", func(out []byte) bool { return string(out) == "c> " })
}

func (c *client) transcript() string { return c.before + c.output() }

// typed gives the client a command and waits for its next prompt, or its end.
func (c *client) typed(command string) {
	c.t.Helper()
	seen := len(c.output())
	if _, err := io.WriteString(c.stdin, command+"\n"); err != nil {
		c.t.Fatalf("the client took no %q: %v", command, err)
	}
	if strings.EqualFold(strings.TrimSpace(command), "quit") {
		if status := c.wait(); status != 0 {
			c.t.Errorf("the client ended with status %d", status)
		}
		return
	}
	c.waitOutput("the prompt after "+command, func(out []byte) bool {
		since := string(out[seen:])
		return strings.HasSuffix(since, "\nc> ") || since == "c> " && strings.TrimSpace(command) == ""
	})
}

// close ends everything and returns what came of the case.
func (s *scene) close() string {
	s.Helper()
	var all strings.Builder
	for _, name := range slices.Backward(s.names) { // the client on test last
		c := s.clients[name]
		_ = c.stdin.Close() // the end of input is QUIT
		if status := c.wait(); status != 0 {
			s.Errorf("client %q ended with status %d", name, status)
		}
	}
	for _, name := range s.names {
		if name != mainClient {
			fmt.Fprintf(&all, "\n== %s\n", name)
		}
		all.WriteString(s.clients[name].transcript())
	}
	s.server.end(syscall.SIGTERM)
	s.oplog.stop()
	// Entries are recorded after the answers, so those of two clients that
	// follow each other closely may change places.
	entries := slices.Sorted(strings.Lines(s.normalise(s.oplog.output())))
	fmt.Fprintf(&all, "\n== operation log, sorted\n%s", strings.Join(entries, ""))
	if s.checks.Len() > 0 {
		fmt.Fprintf(&all, "\n== checks\n%s", s.checks.String())
	}
	return s.normalise(all.String())
}

var (
	listedPort = regexp.MustCompile(`(?m)^(\tUSER\d+: .*\t)\d+$`)
	loggedTime = regexp.MustCompile(`(?m)^\[(0[1-9]|[12]\d|3[01])/(0[1-9]|1[0-2])/\d{4} \d\d:\d\d:\d\d\]`)
)

func (s *scene) normalise(out string) string {
	out = strings.ReplaceAll(out, s.work, "PATH")
	out = listedPort.ReplaceAllString(out, "${1}PORT")
	return loggedTime.ReplaceAllString(out, "[TIME]")
}
