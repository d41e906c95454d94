//go:build interop

package interop_test

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Our own side of the pairings: the real program, built once for all tests of
// this package, and the console of its client, typed to through a pipe.

// buildDir is where the program is built; it goes when all tests have ended.
var buildDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "lonja-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "nowhere to build the program under test:", err)
		os.Exit(1)
	}
	buildDir = dir
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// built builds the program when the first test wants it, and returns its path.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "lonja")
	out, err := exec.Command("go", "build", "-o", path, "lonja/cmd/lonja").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build the program under test: %w\n%s", err, out)
	}
	return path, err
})

// noDateTime is where no date-time service is, so that requests carry the time
// that stands for none.
const noDateTime = "http://127.0.0.1:1"

// lonja returns our program with these arguments. It knows nothing of the
// machine's services and of what its user has published.
func lonja(t *testing.T, args ...string) program {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	return program{
		argv: append([]string{path}, args...),
		env: []string{
			"LOG_RPC_IP=", "LONJA_DATETIME=" + noDateTime, "LONJA_ADMIN=off", "LONJA_PORT_MAPPING=off", "HOME=" + home,
			"XDG_CONFIG_HOME=" + home, "XDG_DATA_HOME=" + home, "XDG_STATE_HOME=" + home, "XDG_CACHE_HOME=" + home,
		},
	}
}

// startServer starts our directory on a free port of 127.0.0.1, unless the
// options say otherwise, and returns where it listens.
func startServer(t *testing.T, options ...string) (*process, netip.AddrPort) {
	t.Helper()
	p := start(t, lonja(t, append([]string{"server", "--host", "127.0.0.1", "-p", "0"}, options...)...))
	where := p.waitLine(`^s> init server (.*)$`)[1]
	at, err := netip.ParseAddrPort(where)
	if err != nil {
		t.Fatalf("the directory listens at %q: %v", where, err)
	}
	return p, at
}

// A directoryKind is a directory to pair with.
type directoryKind struct {
	name  string
	start func(t *testing.T, s sending) netip.AddrPort
}

var directoryKinds = []directoryKind{
	{"our directory", func(t *testing.T, _ sending) netip.AddrPort {
		_, at := startServer(t)
		return at
	}},
	{"Python directory", func(t *testing.T, s sending) netip.AddrPort {
		_, at := startPythonDirectory(t, nil, s.options...)
		return at
	}},
}

// A console is our client, which runs in a folder of its own and is typed to
// through a pipe. The end of the test ends it.
type console struct {
	*process
	keys *os.File
	dir  string // where it runs
}

const prompt = "c> "

// startConsole starts our client at a directory and waits for its prompt. Its
// files are offered on 127.0.0.1, unless the options say otherwise.
func startConsole(t *testing.T, directory netip.AddrPort, options ...string) *console {
	t.Helper()
	in, keys, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	args := append([]string{"client", "--classic", "--listen", "127.0.0.1:0"}, atDirectory(directory)...)
	prog := lonja(t, append(args, options...)...)
	prog.dir, prog.stdin = t.TempDir(), in
	c := &console{start(t, prog), keys, prog.dir}
	in.Close() // the client has its own
	c.waitBytes([]byte(prompt))
	return c
}

// startUser starts our client with a user registered and connected.
func startUser(t *testing.T, directory netip.AddrPort, user string, options ...string) *console {
	t.Helper()
	c := startConsole(t, directory, options...)
	c.must(t, "register "+user, "REGISTER OK")
	c.must(t, "connect "+user, "CONNECT OK")
	return c
}

// typed types a command, waits for the next prompt and returns what was shown
// before it, with the client's folder as PATH and listed ports as PORT.
func (c *console) typed(t *testing.T, command string) string {
	t.Helper()
	before := len(c.stdout.bytes())
	c.press(t, command+"\n")
	var shown string
	if !c.waitUntil(&c.stdout, func() bool {
		shown = string(c.stdout.bytes()[before:])
		return strings.HasSuffix(shown, "\n"+prompt)
	}) {
		t.Fatalf("after %q no prompt comes, only %q and %q", command, shown, c.stderr.bytes())
	}
	return c.normalised(strings.TrimSuffix(shown, prompt))
}

// press presses keys and waits for nothing.
func (c *console) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(c.keys, keys); err != nil {
		t.Fatalf("the client takes no %q: %v", keys, err)
	}
}

// must types a command that must be answered by this text, a result without
// its prompt and its line end.
func (c *console) must(t *testing.T, command, result string) {
	t.Helper()
	if got, want := c.typed(t, command), prompt+result+"\n"; got != want {
		t.Fatalf("%s\nshows %q\nwant  %q\nand explains: %s", command, got, want, c.stderr.bytes())
	}
}

// explained waits until what the client explains has all of these words.
func (c *console) explained(t *testing.T, words ...string) {
	t.Helper()
	for _, w := range words {
		if !c.waitUntil(&c.stderr, func() bool { return strings.Contains(string(c.stderr.bytes()), w) }) {
			t.Errorf("%q is not in what the client explains: %s", w, c.stderr.bytes())
		}
	}
}

// quit types QUIT, waits for the client's end and returns all that it showed,
// normalised as typed does it.
func (c *console) quit(t *testing.T) string {
	t.Helper()
	c.press(t, "quit\n")
	if status := c.wait(); status != 0 {
		t.Errorf("the client ended with status %d", status)
	}
	return c.normalised(string(c.stdout.bytes()))
}

var listedPort = regexp.MustCompile(`(?m)^(\tUSER\d+: .*\t)\d+$`)

func (c *console) normalised(shown string) string {
	return listedPort.ReplaceAllString(strings.ReplaceAll(shown, c.dir, "PATH"), "${1}PORT")
}

// write puts a file into the client's folder and returns its path.
func (c *console) write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// offer writes a file and publishes it. It returns its path.
func (c *console) offer(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := c.write(t, name, content)
	c.must(t, "publish "+path+" a file", "PUBLISH OK")
	return path
}

// mustFetch types a command that fetches a file, with its target behind it,
// and that must succeed, for a target that is not there yet and for one that
// is. want is the file.
func (c *console) mustFetch(t *testing.T, command, result string, want []byte) {
	t.Helper()
	for _, old := range []map[string][]byte{{}, oldTarget} {
		c.fetch(t, command, result, old, map[string][]byte{"target": want})
	}
}

// mustNotFetch is mustFetch for a command that must fail, with this result: a
// target that is there must stay as it is, and one that is not there must not
// come.
func (c *console) mustNotFetch(t *testing.T, command, result string) {
	t.Helper()
	for _, old := range []map[string][]byte{{}, oldTarget} {
		c.fetch(t, command, result, old, old)
	}
}

var oldTarget = map[string][]byte{"target": []byte("what was there")}

// fetch types the command in a folder with the files before, which must have
// the files after when it has ended, and nothing else.
func (c *console) fetch(t *testing.T, command, result string, before, after map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range before {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c.must(t, command+" "+filepath.Join(dir, "target"), result)
	folderMustHave(t, dir, after)
}

// folderMustHave fails the test unless these files, and nothing else, are in
// the folder.
func folderMustHave(t *testing.T, dir string, want map[string][]byte) {
	t.Helper()
	for name, content := range want {
		if got := contentOf(t, filepath.Join(dir, name)); !bytes.Equal(got, content) {
			t.Errorf("%s has %d bytes, %.60q, want %d, %.60q", name, len(got), got, len(content), content)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := want[e.Name()]; !ok {
			t.Errorf("%s is left in the folder", e.Name())
		}
	}
}
