//go:build interop

package interop_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// patternOf returns size bytes in which every place looks different.
func patternOf(size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.Bytes()[:size]
}

// sliceOf returns what slice index of total of a file is.
func sliceOf(content []byte, index, total int) []byte {
	width := len(content) / total
	if index == total-1 {
		return content[index*width:]
	}
	return content[index*width : (index+1)*width]
}

// walkTransfers asks a peer, which must serve a file of this content under
// this path, for all of it, for its slices, and for what it must refuse.
func walkTransfers(t *testing.T, client pythonClient, peer netip.AddrPort, path string, content []byte) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	if got := client.fetchFile(t, peer, path, out); got.Status != 0 || !bytes.Equal(contentOf(t, out), content) {
		t.Errorf("GET_FILE: status %d, %d bytes (%s), want 0 and the file's %d", got.Status, got.Bytes, got.Error, len(content))
	}
	for _, s := range []struct{ index, total int }{{0, 1}, {0, 2}, {1, 2}, {0, 3}, {1, 3}, {2, 3}, {0, 255}, {254, 255}} {
		got := client.fetchSlice(t, peer, path, itoa(s.index), itoa(s.total), out)
		if want := sliceOf(content, s.index, s.total); got.Status != 0 || !bytes.Equal(contentOf(t, out), want) {
			t.Errorf("slice %d of %d: status %d, %d bytes (%s), want 0 and %d", s.index, s.total, got.Status, got.Bytes, got.Error, len(want))
		}
	}
	for _, s := range []struct{ index, total string }{{"3", "3"}, {"0", "0"}, {"0", "256"}, {"-1", "3"}, {"x", "3"}, {"0", ""}} {
		if got := client.fetchSlice(t, peer, path, s.index, s.total, out); got.Status != 2 {
			t.Errorf("slice %q of %q: status %d, want 2", s.index, s.total, got.Status)
		}
	}
	unpublished := filepath.Join(filepath.Dir(path), "other.bin")
	if err := os.WriteFile(unpublished, content, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{unpublished, filepath.Base(path), filepath.Dir(path) + "//" + filepath.Base(path), ""} {
		if got := client.fetchFile(t, peer, p, out); got.Status != 1 {
			t.Errorf("GET_FILE %q, which is not published: status %d, want 1", p, got.Status)
		}
		if got := client.fetchSlice(t, peer, p, "0", "1", out); got.Status != 1 {
			t.Errorf("GET_MULTIFILE %q, which is not published: status %d, want 1", p, got.Status)
		}
	}
	if got := client.request(t, "-s", peer.Addr().String(), "-p", portOf(peer), "PUT_FILE", path); got.Status != 2 {
		t.Errorf("an unknown request: status %d, want 2", got.Status)
	}
}

func TestPythonPeerAndClient(t *testing.T) {
	for _, s := range sendings {
		for _, size := range []int{0, 1, 7, 3000} {
			t.Run(fmt.Sprintf("%s/%d bytes", s.name, size), func(t *testing.T) {
				t.Parallel()
				content := patternOf(size)
				path := fileOf(t, "file.bin", content)
				_, peer := startPythonPeer(t, nil, append([]string{"--file", path}, s.options...)...)
				walkTransfers(t, pythonClient{options: s.options}, peer, path, content)
			})
		}
	}
}

// Peers and clients of the other way to send a whole file understand each
// other, and the size is as announced.
func TestPythonSizeAnnounced(t *testing.T) {
	content := patternOf(100_000)
	path := fileOf(t, "file.bin", content)
	_, peer := startPythonPeer(t, nil, "--file", path, "--send-size")
	out := filepath.Join(t.TempDir(), "out")
	reader := pythonClient{options: []string{"--read-size"}}
	if got := reader.fetchFile(t, peer, path, out); got.Status != 0 || got.Error != "" || !bytes.Equal(contentOf(t, out), content) {
		t.Errorf("a client that expects a size: %+v", got)
	}
	want := append([]byte("100000\x00"), content...)
	if got := (pythonClient{}).fetchFile(t, peer, path, out); got.Status != 0 || !bytes.Equal(contentOf(t, out), want) {
		t.Errorf("a client that expects none: %+v", got)
	}
	if got := reader.fetchSlice(t, peer, path, "1", "4", out); got.Status != 0 || !bytes.Equal(contentOf(t, out), content[25_000:50_000]) {
		t.Errorf("a slice, which has no size before it: %+v", got)
	}
}

// Each fault is what the peer's description says: other tests rely on it.
func TestPythonPeerFaults(t *testing.T) {
	content := patternOf(1000)
	filler := func(n int) []byte { return bytes.Repeat([]byte("?"), n) }
	for _, tc := range []struct {
		name    string
		options []string
		status  int
		whole   []byte // what GET_FILE gives
		last    []byte // what slice 2 of 3 gives
		broken  bool   // whether the transfer ends with a reset
	}{
		{name: "refuse", options: []string{"--fault", "refuse"}, status: 1},
		{name: "status2", options: []string{"--fault", "status2"}, status: 2},
		{name: "die-half", options: []string{"--fault", "die-half"}, whole: content[:500], last: content[666:833]},
		{name: "die-half with a reset", options: []string{"--fault", "die-half", "--rst"}, broken: true},
		{name: "short", options: []string{"--fault", "short", "--fault-bytes", "10"}, whole: content[:990], last: content[666:990]},
		{
			name: "long", options: []string{"--fault", "long", "--fault-bytes", "10"},
			whole: append(patternOf(1000), filler(10)...), last: append(patternOf(1000), filler(10)...)[666:],
		},
		{
			name: "other-size", options: []string{"--fault", "other-size", "--fault-bytes", "500"},
			whole: append(patternOf(1000), filler(500)...), last: filler(500),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := fileOf(t, "file.bin", content)
			_, peer := startPythonPeer(t, nil, append([]string{"--file", path}, tc.options...)...)
			out := filepath.Join(t.TempDir(), "out")
			check := func(what string, got answer, want []byte) {
				t.Helper()
				switch {
				case tc.broken && got.Error == "":
					t.Errorf("%s: %+v, want a reset", what, got)
				case tc.broken:
				case got.Status != tc.status || got.Error != "":
					t.Errorf("%s: %+v, want status %d", what, got, tc.status)
				case tc.status == 0 && !bytes.Equal(contentOf(t, out), want):
					t.Errorf("%s: %q, want %q", what, contentOf(t, out), want)
				}
			}
			check("GET_FILE", pythonClient{}.fetchFile(t, peer, path, out), tc.whole)
			check("slice 2 of 3", pythonClient{}.fetchSlice(t, peer, path, "2", "3", out), tc.last)
		})
	}
}

// A peer that stalls sends half, and then holds the connection.
func TestPythonPeerStalls(t *testing.T) {
	content := patternOf(1000)
	path := fileOf(t, "file.bin", content)
	process, peer := startPythonPeer(t, nil, "--file", path, "--fault", "stall")
	conn, err := net.Dial("tcp", peer.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET_FILE\x00"+path+"\x00"); err != nil {
		t.Fatal(err)
	}
	half := make([]byte, 1+len(content)/2)
	if _, err := io.ReadFull(conn, half); err != nil || !bytes.Equal(half[1:], content[:500]) {
		t.Fatalf("the first half: %q, %v", half, err)
	}
	conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := conn.Read(half); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("behind the first half: %d bytes, %v, want silence", n, err)
	}
	process.kill()
	conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := conn.Read(half); n > 0 || err == nil {
		t.Errorf("after its end: %d bytes, %v, want none and an error", n, err)
	}
}

// The whole download from many, as the original client does it.
func TestPythonFetchesFromManyHolders(t *testing.T) {
	for _, s := range sendings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			_, directory := startPythonDirectory(t, nil, s.options...)
			client := pythonClient{options: s.options}
			content := patternOf(10_001)
			paths := make(map[string]string)
			for _, user := range []string{"ana", "luis", "eva"} {
				paths[user] = fileOf(t, "poem.txt", content)
				_, peer := startPythonPeer(t, nil, append([]string{"--file", paths[user]}, s.options...)...)
				client.ask(t, directory, "REGISTER", user)
				client.ask(t, directory, "CONNECT", user, portOf(peer))
				client.ask(t, directory, "PUBLISH", user, paths[user], "a poem")
			}
			out := filepath.Join(t.TempDir(), "out")
			got := client.fetchMulti(t, directory, "eva", "poem.txt", out)
			if got.Status != 0 || got.Holders != 3 || !bytes.Equal(contentOf(t, out), content) {
				t.Errorf("from three holders: %+v, want the file's %d bytes", got, len(content))
			}
			if rest, _ := filepath.Glob(out + ".*"); len(rest) > 0 {
				t.Errorf("temporary files are left: %q", rest)
			}
			if got := client.fetchMulti(t, directory, "eva", "prose.txt", out+"2"); got.Status != 1 {
				t.Errorf("a file that nobody has: %+v, want status 1", got)
			}
			client.ask(t, directory, "PUBLISH", "ana", "/nowhere/poem.txt", "not served")
			if got := client.fetchMulti(t, directory, "eva", "poem.txt", out+"3"); got.Status != 1 {
				t.Errorf("a holder that refuses: %+v, want its status 1", got)
			}
			if _, err := os.Stat(out + "3"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a failed download left a file (%v)", err)
			}
		})
	}
}
