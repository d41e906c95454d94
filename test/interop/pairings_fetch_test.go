//go:build interop

package interop_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// Our client fetches from their peers. What stalls takes it half a minute to
// notice, so peers that stall are left to the tests of package download.

// enrol registers and connects a user whose peer is there, and publishes files
// of it.
func enrol(t *testing.T, client pythonClient, directory netip.AddrPort, user string, peer netip.AddrPort, paths ...string) {
	t.Helper()
	requests := [][]string{{"REGISTER", user}, {"CONNECT", user, portOf(peer)}}
	for _, path := range paths {
		requests = append(requests, []string{"PUBLISH", user, path, "a file"})
	}
	for _, words := range requests {
		if got := client.ask(t, directory, words[0], words[1], words[2:]...); got.Status != 0 {
			t.Fatalf("%q: status %d (%s)", words, got.Status, got.Error)
		}
	}
}

// startPythonHolder starts a Python peer with copies of these files, by their
// base names, in a folder of its own. It returns where the peer listens and
// the files' paths.
func startPythonHolder(t *testing.T, files map[string][]byte, options ...string) (at netip.AddrPort, paths map[string]string) {
	t.Helper()
	dir := t.TempDir()
	paths = make(map[string]string)
	for name, content := range files {
		paths[name] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[name], content, 0o644); err != nil {
			t.Fatal(err)
		}
		options = append(options, "--file", paths[name])
	}
	_, at = startPythonPeer(t, nil, options...)
	return at, paths
}

// Files, and what comes of them with GET_FILE if their size is not sent: for
// one that begins with its own size there is no telling.
var wholeFiles = []struct {
	name, content string
	unsized       string
}{
	{"empty", "", ""},
	{"one byte", "x", "x"},
	{"a NUL", "\x00", "\x00"},
	{"digits", "3000", "3000"},
	{"more digits than a size has", "12345678901234567890123", "12345678901234567890123"},
	{"digits and NUL, and too little", "6\x00hello", "6\x00hello"},
	{"digits and NUL, and too much", "4\x00hello", "4\x00hello"},
	{"digits and NUL, and nothing", "7\x00", "7\x00"},
	{"its own size", "5\x00hello", "hello"},
	{"text", string(patternOf(100_000)), string(patternOf(100_000))},
}

func TestPairingClientFetchesFromPythonPeer(t *testing.T) {
	for _, sized := range []bool{false, true} {
		for _, s := range sendings {
			name, options := s.name, slices.Clone(s.options)
			if sized {
				name, options = name+", size sent", append(options, "--send-size")
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				files := make(map[string][]byte)
				for i, f := range wholeFiles {
					files[itoa(i)] = []byte(f.content)
				}
				_, directory := startServer(t)
				peer, paths := startPythonHolder(t, files, options...)
				enrol(t, pythonClient{options: s.options}, directory, "pedro", peer)
				c := startUser(t, directory, "ana")
				for i, f := range wholeFiles {
					t.Run(f.name, func(t *testing.T) {
						want := f.unsized
						if sized {
							want = f.content
						}
						c.mustFetch(t, "get_file pedro "+paths[itoa(i)], "GET_FILE OK", []byte(want))
					})
				}
				c.mustNotFetch(t, "get_file pedro /not/there", "GET_FILE FAIL, FILE DOES NOT EXIST")
				c.mustNotFetch(t, "get_file paco "+paths["0"], "GET_FILE FAIL, USER paco NOT FOUND")
			})
		}
	}
}

// A peer whose process has died, and nobody has told the directory.
func TestPairingClientFetchesFromDeadPythonPeer(t *testing.T) {
	path := fileOf(t, "file.bin", patternOf(1000))
	_, directory := startServer(t)
	process, peer := startPythonPeer(t, nil, "--file", path)
	enrol(t, pythonClient{}, directory, "pedro", peer, path)
	c := startUser(t, directory, "ana")
	process.kill()
	c.mustNotFetch(t, "get_file pedro "+path, "GET_FILE FAIL")
	c.mustNotFetch(t, "get_multifile file.bin", "GET_MULTIFILE FAIL")
	c.explained(t, "connection refused")
}

// From one holder, then two, and up to five, in slices, of files that are
// smaller than their number as well.
func TestPairingClientFetchesFromPythonHolders(t *testing.T) {
	files := make(map[string][]byte)
	for _, size := range []int{0, 1, 3, 1000, 10_001} {
		files["size"+itoa(size)] = patternOf(size)
	}
	for _, s := range sendings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			_, directory := startServer(t)
			c := startUser(t, directory, "ana")
			for i := range 5 {
				options := slices.Clone(s.options)
				if i%2 == 1 { // which says nothing about slices
					options = append(options, "--send-size")
				}
				peer, paths := startPythonHolder(t, files, options...)
				enrol(t, pythonClient{options: s.options}, directory, "holder"+itoa(i), peer, valuesOf(paths)...)
				for name, content := range files {
					c.mustFetch(t, "get_multifile /any/where/"+name, "GET_MULTIFILE OK", content)
				}
			}
		})
	}
}

func valuesOf(paths map[string]string) []string {
	var values []string
	for _, path := range paths {
		values = append(values, path)
	}
	return values
}

// What goes wrong with GET_FILE. The protocol announces no length, so that a
// peer which sends less or more than its file cannot be noticed.
func TestPairingClientFetchesFromFaultyPythonPeer(t *testing.T) {
	content := patternOf(1000)
	filler := bytes.Repeat([]byte("?"), 10)
	for _, tc := range []struct {
		name    string
		options []string
		result  string
		want    []byte // the file; nil for none
	}{
		{"refuse", []string{"--fault", "refuse"}, "GET_FILE FAIL, FILE DOES NOT EXIST", nil},
		{"status2", []string{"--fault", "status2"}, "GET_FILE FAIL", nil},
		{"die-half with a reset", []string{"--fault", "die-half", "--rst"}, "GET_FILE FAIL", nil},
		{"die-half", []string{"--fault", "die-half"}, "GET_FILE OK", content[:500]},
		{"short", []string{"--fault", "short", "--fault-bytes", "10"}, "GET_FILE OK", content[:990]},
		{"long", []string{"--fault", "long", "--fault-bytes", "10"}, "GET_FILE OK", slices.Concat(content, filler)},
		{"other-size", []string{"--fault", "other-size", "--fault-bytes", "10"}, "GET_FILE OK", slices.Concat(content, filler)},
		{"die-half with a reset, size sent", []string{"--fault", "die-half", "--rst", "--send-size"}, "GET_FILE FAIL", nil},
		{
			// By the protocol's rule: the number is not that of the bytes behind it.
			"die-half, size sent",
			[]string{"--fault", "die-half", "--send-size"},
			"GET_FILE OK", append([]byte("1000\x00"), content[:500]...),
		},
		{
			"other-size, size sent",
			[]string{"--fault", "other-size", "--fault-bytes", "10", "--send-size"},
			"GET_FILE OK", slices.Concat(content, filler),
		},
	} {
		for _, s := range sendings {
			t.Run(tc.name+", "+s.name, func(t *testing.T) {
				t.Parallel()
				_, directory := startServer(t)
				peer, paths := startPythonHolder(t, map[string][]byte{"file.bin": content}, slices.Concat(tc.options, s.options)...)
				enrol(t, pythonClient{options: s.options}, directory, "pedro", peer)
				c := startUser(t, directory, "ana")
				command := "get_file pedro " + paths["file.bin"]
				if tc.want == nil {
					c.mustNotFetch(t, command, tc.result)
				} else {
					c.mustFetch(t, command, tc.result, tc.want)
				}
			})
		}
	}
}

// The faults with which one holder of several is replaced by others.
var holderFaults = map[string][]string{
	"refuse":                {"--fault", "refuse"},
	"status2":               {"--fault", "status2"},
	"die-half":              {"--fault", "die-half"},
	"die-half with a reset": {"--fault", "die-half", "--rst"},
	"short":                 {"--fault", "short", "--fault-bytes", "10"},
	"long":                  {"--fault", "long", "--fault-bytes", "10"},
}

func TestPairingClientReplacesFaultyPythonHolder(t *testing.T) {
	content := patternOf(5000)
	for fault, options := range holderFaults {
		for _, s := range sendings {
			t.Run(fault+", "+s.name, func(t *testing.T) {
				t.Parallel()
				_, directory := startServer(t)
				client := pythonClient{options: s.options}
				// The faulty peer is that of the oldest account for one file
				// and of the newest for the other: the last slice and the first.
				files := map[string][]byte{"last.bin": content, "first.bin": content}
				faulty, theirs := startPythonHolder(t, files, slices.Concat(options, s.options)...)
				enrol(t, client, directory, "old", faulty, theirs["last.bin"])
				for _, user := range []string{"good", "better"} {
					peer, paths := startPythonHolder(t, files, s.options...)
					enrol(t, client, directory, user, peer, valuesOf(paths)...)
				}
				enrol(t, client, directory, "new", faulty, theirs["first.bin"])
				c := startUser(t, directory, "ana")
				c.mustFetch(t, "get_multifile last.bin", "GET_MULTIFILE OK", content)
				c.mustFetch(t, "get_multifile first.bin", "GET_MULTIFILE OK", content)
			})
		}
	}
}

// Where nobody is left to ask there is no file.
func TestPairingClientWithFaultyPythonHoldersOnly(t *testing.T) {
	content := patternOf(5000)
	for name, tc := range map[string]struct {
		options []string
		why     string
	}{
		"refuse":                {[]string{"--fault", "refuse"}, "does not offer the file"},
		"status2":               {[]string{"--fault", "status2"}, "status 2"},
		"die-half with a reset": {[]string{"--fault", "die-half", "--rst"}, "connection reset by peer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, directory := startServer(t)
			for i := range 2 {
				peer, paths := startPythonHolder(t, map[string][]byte{"file.bin": content}, tc.options...)
				enrol(t, pythonClient{}, directory, "pedro"+itoa(i), peer, valuesOf(paths)...)
			}
			c := startUser(t, directory, "ana")
			c.mustNotFetch(t, "get_multifile file.bin", "GET_MULTIFILE FAIL")
			c.explained(t, "nobody is left to ask", tc.why)
		})
	}
}

// Holders with different files of one name are no fault of anybody, and no
// file is made of them. A holder that never sends anything has an empty one.
func TestPairingClientFindsPythonHoldersDisagree(t *testing.T) {
	content := patternOf(1000)
	for fault, told := range map[string]string{"other-size": "1500 bytes at", "short": "0 bytes at"} {
		for _, s := range sendings {
			t.Run(fault+", "+s.name, func(t *testing.T) {
				t.Parallel()
				_, directory := startServer(t)
				for i, options := range [][]string{nil, {"--fault", fault, "--fault-bytes", "500"}, nil} {
					peer, paths := startPythonHolder(t, map[string][]byte{"file.bin": content}, slices.Concat(options, s.options)...)
					enrol(t, pythonClient{options: s.options}, directory, "pedro"+itoa(i), peer, valuesOf(paths)...)
				}
				c := startUser(t, directory, "ana")
				c.mustNotFetch(t, "get_multifile file.bin", "GET_MULTIFILE FAIL")
				c.explained(t, "holders have different files", "1000 bytes at", told)
			})
		}
	}
}

// Slices that are too large to wait beside the file until its size is known.
func TestPairingClientFetchesLargeFileFromPythonHolders(t *testing.T) {
	content := patternOf(30 << 20)
	path := fileOf(t, "large.bin", content) // one file serves for all
	_, directory := startServer(t)
	var client pythonClient
	for i, options := range [][]string{{"--fault", "die-half"}, nil, {"--fault", "die-half", "--rst"}} {
		_, peer := startPythonPeer(t, nil, append(options, "--file", path)...)
		enrol(t, client, directory, "pedro"+itoa(i), peer, path)
	}
	c := startUser(t, directory, "ana")
	c.mustFetch(t, "get_multifile large.bin", "GET_MULTIFILE OK", content)
	c.mustFetch(t, "get_file pedro1 "+path, "GET_FILE OK", content)
	c.mustNotFetch(t, "get_file pedro2 "+path, "GET_FILE FAIL")
}

// A client that is told to end in the middle of a transfer leaves its target
// as it was, and disconnects.
func TestPairingClientInterrupted(t *testing.T) {
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	for _, command := range []string{"get_file silent /silent.bin", "get_multifile silent.bin"} {
		t.Run(command, func(t *testing.T) {
			_, directory := startServer(t)
			var client pythonClient
			enrol(t, client, directory, "silent", peer.Addr().(*net.TCPAddr).AddrPort(), "/silent.bin")
			enrol(t, client, directory, "luis", peer.Addr().(*net.TCPAddr).AddrPort())
			c := startUser(t, directory, "ana")
			c.write(t, "target", []byte("what was there"))
			c.press(t, command+" target\n")
			conn, err := peer.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := bufio.NewReader(conn).ReadString(0); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, "\x00the first half, and then"); err != nil {
				t.Fatal(err)
			}
			c.signal(syscall.SIGTERM)
			if status := c.wait(); status != 0 {
				t.Errorf("the client ended with status %d", status)
			}
			folderMustHave(t, c.dir, map[string][]byte{"target": []byte("what was there")})
			if got := client.ask(t, directory, "LIST_USERS", "luis"); string(got.Count) != `"2"` {
				t.Errorf("these users are connected then: %q, want silent and luis", got.Entries)
			}
		})
	}
}
