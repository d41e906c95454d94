//go:build interop

package interop_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The plain Python programs of directory python, which stand for the programs
// that others wrote for this protocol.

// pythonPath is Debian's Python: the one that has Debian's Python packages.
const pythonPath = "/usr/bin/python3"

// python returns the program that runs a script of the directory python.
func python(t *testing.T, script string, args ...string) program {
	t.Helper()
	interpreter := require(t, pythonPath, "python3")
	path, err := filepath.Abs(filepath.Join("python", script))
	if err != nil {
		t.Fatal(err)
	}
	return program{argv: append([]string{interpreter, "-B", path}, args...)}
}

// byteByByte is the option with which each Python program sends every byte by
// itself.
const byteByByte = "--byte-by-byte"

// A sending is a way in which programs send: field by field, or byte by byte.
type sending struct {
	name    string
	options []string
}

var sendings = []sending{
	{"field by field", nil},
	{"byte by byte", []string{byteByByte}},
}

// startPythonDirectory starts classic_directory.py on a free port, unless the
// options name one, and returns where it listens.
func startPythonDirectory(t *testing.T, in *namespace, options ...string) (*process, netip.AddrPort) {
	t.Helper()
	prog := python(t, "classic_directory.py", append([]string{"-p", "0"}, options...)...)
	prog.in = in
	p := start(t, prog)
	where := p.waitLine(`^s> init server (.*)$`)[1]
	at, err := netip.ParseAddrPort(where)
	if err != nil {
		t.Fatalf("the directory listens at %q: %v", where, err)
	}
	return p, at
}

// startPythonPeer starts classic_peer.py on a free port and returns where it
// listens. The options must name the files that it serves.
func startPythonPeer(t *testing.T, in *namespace, options ...string) (*process, netip.AddrPort) {
	t.Helper()
	prog := python(t, "classic_peer.py", options...)
	prog.in = in
	p := start(t, prog)
	port, err := strconv.ParseUint(p.waitLine(`^{"port": (\d+)}$`)[1], 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return p, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
}

// noStatus stands for the status of an answer that has none.
const noStatus = -1

// An answer is what classic_client.py reports of one request.
type answer struct {
	Status   int
	Count    json.RawMessage // as it stands in the answer: a string, or a byte
	Entries  [][]string
	Trailing int   // bytes behind the answer's end
	Bytes    int64 // of a transfer
	Holders  int   // of a download from many
	Error    string
}

// A pythonClient runs classic_client.py, one process for each request.
type pythonClient struct {
	in      *namespace
	options []string
}

// request runs the client and returns the answer that it had.
func (c pythonClient) request(t *testing.T, words ...string) answer {
	t.Helper()
	prog := python(t, "classic_client.py", append(c.options, words...)...)
	prog.in = c.in
	got := run(t, prog)
	report := struct {
		answer
		Status *int
	}{}
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatalf("%q: the client printed %q and %q: %v", words, got.stdout, got.stderr, err)
	}
	report.answer.Status = noStatus
	if report.Status != nil {
		report.answer.Status = *report.Status
	}
	return report.answer
}

// ask performs one operation at a directory.
func (c pythonClient) ask(t *testing.T, directory netip.AddrPort, operation, user string, fields ...string) answer {
	t.Helper()
	words := append(atDirectory(directory), operation, user)
	return c.request(t, append(words, fields...)...)
}

// fetchMulti downloads a file from all its holders at once.
func (c pythonClient) fetchMulti(t *testing.T, directory netip.AddrPort, user, path, out string) answer {
	t.Helper()
	return c.request(t, append(atDirectory(directory), "FETCH_MULTI", user, path, out)...)
}

// fetchFile downloads a whole file from one peer.
func (c pythonClient) fetchFile(t *testing.T, peer netip.AddrPort, path, out string) answer {
	t.Helper()
	return c.request(t, "GET_FILE", peer.Addr().String(), portOf(peer), path, out)
}

// fetchSlice downloads one slice from one peer.
func (c pythonClient) fetchSlice(t *testing.T, peer netip.AddrPort, path, slice, total, out string) answer {
	t.Helper()
	return c.request(t, "GET_MULTIFILE", peer.Addr().String(), portOf(peer), path, slice, total, out)
}

func atDirectory(directory netip.AddrPort) []string {
	return []string{"-s", directory.Addr().String(), "-p", portOf(directory)}
}

func portOf(at netip.AddrPort) string { return strconv.Itoa(int(at.Port())) }

// fileOf writes a file of the given name into a directory of its own and
// returns its path.
func fileOf(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(path, " \t\n") {
		t.Fatalf("%q cannot be published: it has a blank", path)
	}
	return path
}

// contentOf reads a file that must be there.
func contentOf(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
