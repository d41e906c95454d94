package fileserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lonja"
	"lonja/internal/fileapi"
	"lonja/internal/tlstest"
	"lonja/internal/tree"
)

// A shelf has the files of a test. Those of audience are for these users only.
type shelf struct {
	mu       sync.Mutex
	paths    map[lonja.FileID]string
	sizes    map[lonja.FileID]int64
	hashes   map[lonja.FileID]hashes
	audience map[lonja.FileID]lonja.UserName
	fail     error
}

func (s *shelf) OpenContent(_ context.Context, id lonja.FileID, member lonja.Member) (Content, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	only := s.audience[id]
	if s.paths[id] == "" || only != "" && only != member.User {
		return nil, lonja.E(lonja.NoSuchFile, "open", errors.New("secret reason"))
	}
	f, err := os.Open(s.paths[id])
	if err != nil {
		return nil, err
	}
	return NewWhole(f, s.sizes[id], func(context.Context) (io.ReaderAt, int64, error) {
		return s.hashes[id].outboard(s.sizes[id])
	})
}

// outboard returns what a Content would, or h.fail.
func (h hashes) outboard(size int64) (io.ReaderAt, int64, error) {
	if h.fail != nil {
		return nil, 0, h.fail
	}
	b, err := tree.Tree{Size: size, Pieces: h.pieces}.AppendBinary(nil)
	return bytes.NewReader(b), int64(len(b)), err
}

// hashes are those of the pieces of a content, or why there are none.
type hashes struct {
	pieces []tree.Hash
	fail   error
}

// hash returns the hashes of a content, and its id.
func hash(content []byte) (hashes, lonja.FileID) {
	if len(content) <= tree.PieceSize {
		return hashes{}, tree.Sum(content)
	}
	var h hashes
	var hasher tree.Hasher
	for piece := range slices.Chunk(content, tree.PieceSize) {
		hasher.Reset(int64(len(h.pieces)))
		_, _ = hasher.Write(piece)
		h.pieces = append(h.pieces, hasher.Sum())
	}
	return h, lonja.FileID(tree.Join(h.pieces, true))
}

func (s *shelf) add(t testing.TB, content []byte) lonja.FileID {
	t.Helper()
	hashes, id := hash(content)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paths[id], s.sizes[id], s.hashes[id] = path, int64(len(content)), hashes
	return id
}

// A rig is a Server that runs, and what it takes to ask it.
type rig struct {
	shelf *shelf
	ca    *tlstest.Authority
	addr  string
	end   context.CancelFunc
	wait  func() error // for Serve
}

func start(t testing.TB, opts Options) *rig {
	t.Helper()
	r := &rig{
		shelf: &shelf{
			paths: make(map[lonja.FileID]string), sizes: make(map[lonja.FileID]int64),
			hashes: make(map[lonja.FileID]hashes), audience: make(map[lonja.FileID]lonja.UserName),
		},
		ca: tlstest.New(t),
	}
	if opts.Files == nil {
		opts.Files = r.shelf
	}
	if opts.Who == nil {
		opts.Who = tlstest.Who
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	r.end = cancel
	server := New(opts)
	config := r.ca.Config(t, "owner")
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, tls.NewListener(l, config)) }()
	r.wait = sync.OnceValue(func() error { return <-ended })
	t.Cleanup(func() {
		cancel()
		if err := r.wait(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

func (r *rig) client(t testing.TB, user lonja.UserName) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: r.ca.Config(t, user), DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask sends a request with these header lines, name and value in turn.
func (r *rig) ask(t testing.TB, client *http.Client, method, path string, header ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, "https://"+r.addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, body
}

func content(n int) []byte {
	b := make([]byte, n)
	for i := range min(n, 251) {
		b[i] = byte(i)
	}
	for have := 251; have < n; have *= 2 {
		copy(b[have:], b[:have])
	}
	return b
}

func TestAnswers(t *testing.T) {
	r := start(t, Options{})
	whole := content(700_001)
	id := r.shelf.add(t, whole)
	etag := fileapi.ETag(id)
	client := r.client(t, "ana")
	for name, tc := range map[string]struct {
		header []string
		status int
		body   []byte
		ranged string
	}{
		"whole":                 {nil, 200, whole, ""},
		"first bytes":           {[]string{"Range", "bytes=0-99"}, 206, whole[:100], "bytes 0-99/700001"},
		"from the middle":       {[]string{"Range", "bytes=300000-"}, 206, whole[300000:], "bytes 300000-700000/700001"},
		"last bytes":            {[]string{"Range", "bytes=-5"}, 206, whole[699996:], "bytes 699996-700000/700001"},
		"past the end":          {[]string{"Range", "bytes=700000-800000"}, 206, whole[700000:], "bytes 700000-700000/700001"},
		"behind the end":        {[]string{"Range", "bytes=700001-"}, 416, nil, "bytes */700001"},
		"nonsense":              {[]string{"Range", "bytes=x"}, 416, nil, ""},
		"another unit":          {[]string{"Range", "pieces=1-2"}, 416, nil, ""},
		"several ranges":        {[]string{"Range", "bytes=0-1,5-6"}, 200, whole, ""},
		"if it is this one":     {[]string{"Range", "bytes=0-1", "If-Range", etag}, 206, whole[:2], "bytes 0-1/700001"},
		"if it is another":      {[]string{"Range", "bytes=0-1", "If-Range", `"x"`}, 200, whole, ""},
		"unless I have it":      {[]string{"If-None-Match", etag}, 304, []byte{}, ""},
		"unless I have another": {[]string{"If-None-Match", `"x"`}, 200, whole, ""},
		"only if it matches":    {[]string{"If-Match", `"x"`}, 412, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := r.ask(t, client, "GET", fileapi.Path(id), tc.header...)
			if resp.StatusCode != tc.status || resp.Header.Get("Content-Range") != tc.ranged || resp.ProtoMajor != 1 {
				t.Errorf("got %s %s, Content-Range %q", resp.Proto, resp.Status, resp.Header.Get("Content-Range"))
			}
			if tc.body != nil && !bytes.Equal(body, tc.body) {
				t.Errorf("got %d bytes, want %d", len(body), len(tc.body))
			}
			if tc.status < 400 && resp.Header.Get("ETag") != etag {
				t.Errorf("ETag is %s, want %s", resp.Header.Get("ETag"), etag)
			}
			head, body := r.ask(t, client, "HEAD", fileapi.Path(id), tc.header...)
			if head.StatusCode != tc.status || len(body) != 0 || tc.status == 200 && head.ContentLength != int64(len(whole)) {
				t.Errorf("HEAD: %s, length %d, %d bytes", head.Status, head.ContentLength, len(body))
			}
		})
	}
	empty := r.shelf.add(t, nil)
	if resp, body := r.ask(t, client, "GET", fileapi.Path(empty)); resp.StatusCode != 200 || len(body) != 0 {
		t.Errorf("the empty file: %s, %d bytes", resp.Status, len(body))
	}
}

// Nothing but a file that is for the asking member is anything but refused, and
// what is for others looks like what is not there.
func TestRefusals(t *testing.T) {
	r := start(t, Options{})
	id := r.shelf.add(t, content(10))
	private := r.shelf.add(t, content(11))
	r.shelf.audience[private] = "luis"
	client := r.client(t, "ana")
	missing, missingBody := r.ask(t, client, "GET", fileapi.Path(lonja.FileID{1}))
	refused, refusedBody := r.ask(t, client, "GET", fileapi.Path(private))
	if missing.StatusCode != 404 || refused.StatusCode != 404 || !bytes.Equal(missingBody, refusedBody) {
		t.Errorf("missing: %s %q, for others: %s %q", missing.Status, missingBody, refused.Status, refusedBody)
	}
	missing.Header.Del("Date")
	refused.Header.Del("Date")
	if fmt.Sprint(missing.Header) != fmt.Sprint(refused.Header) || strings.Contains(string(refusedBody), "secret") {
		t.Errorf("what is for others shows: %v, not %v; %q", refused.Header, missing.Header, refusedBody)
	}
	if resp, body := r.ask(t, r.client(t, "luis"), "GET", fileapi.Path(private)); resp.StatusCode != 200 || len(body) != 11 {
		t.Errorf("for luis: %s", resp.Status)
	}
	for path, want := range map[string]int{
		"/": 404, "/v1/files/": 404, "/v1/files": 404, fileapi.Path(id) + "/": 404, fileapi.Path(id) + "?x=1": 404, fileapi.Tree.Path(id) + "/": 404, fileapi.Have.Path(id) + "?": 404,
		"/v1/files/../files/" + id.String(): 404, "/" + fileapi.Path(id): 404, "/v1/files/%61": 404, "*": 404,
		strings.ToUpper(fileapi.Path(id)): 404, "/debug/pprof/": 404, "/metrics": 404,
	} {
		if resp := r.raw(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, resp.Status, want)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "MADEUP"} {
		resp := r.raw(t, method+" "+fileapi.Path(id)+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %s, Allow %q", method, resp.Status, resp.Header.Get("Allow"))
		}
	}
}

// dial returns a connection of user, shaken hands.
func (r *rig) dial(t testing.TB, user lonja.UserName) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", r.addr, r.ca.Config(t, user))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

// raw sends bytes and reads one answer.
func (r *rig) raw(t testing.TB, request string) *http.Response {
	t.Helper()
	conn := r.dial(t, "ana")
	go func() { _, _ = io.WriteString(conn, request) }()
	return readResponse(t, conn)
}
