package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lonja"
	"lonja/internal/share"
)

// patience bounds what a test waits for that should come at once.
const patience = 20 * time.Second

// start runs a Server on a loopback port until the test ends. What it returns
// ends it earlier, and waits for that.
func start(t *testing.T, opts Options) (addr string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- New(opts).Serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("Serve does not end")
		}
	})
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// published returns a Set with content under the name "/file".
func published(t *testing.T, content []byte) *share.Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s := share.New()
	if err := s.Add("/file", path); err != nil {
		t.Fatal(err)
	}
	return s
}

// sparse returns a Set with a file of size zero bytes under the name "/file".
func sparse(t *testing.T, size int64) *share.Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
		t.Fatal(err)
	}
	s := share.New()
	if err := s.Add("/file", path); err != nil {
		t.Fatal(err)
	}
	return s
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func say(t *testing.T, conn net.Conn, request string) {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
}

// ask sends a request and returns all that comes back.
func ask(t *testing.T, addr, request string) string {
	t.Helper()
	conn := dial(t, addr)
	defer conn.Close()
	say(t, conn, request)
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("read the answer to %q: %v", request, err)
	}
	return string(answer)
}

func TestAnswers(t *testing.T) {
	const content = "0123456789"
	addr, _ := start(t, Options{Files: published(t, []byte(content))})
	for request, want := range map[string]string{
		"GET_FILE\x00/file\x00":                                         "\x00" + content,
		"GET_FILE\x00/other\x00":                                        "\x01",
		"GET_FILE\x00/etc/passwd\x00":                                   "\x01",
		"GET_FILE\x00/x/../file\x00":                                    "\x01",
		"GET_FILE\x00file\x00":                                          "\x01",
		"GET_FILE\x00\x00":                                              "\x01",
		"GET_MULTIFILE\x00/file\x000\x001\x00":                          "\x00" + content,
		"GET_MULTIFILE\x00/file\x000\x003\x00":                          "\x00012",
		"GET_MULTIFILE\x00/file\x001\x003\x00":                          "\x00345",
		"GET_MULTIFILE\x00/file\x002\x003\x00":                          "\x006789",
		"GET_MULTIFILE\x00/file\x000\x00255\x00":                        "\x00",
		"GET_MULTIFILE\x00/file\x00254\x00255\x00":                      "\x00" + content,
		"GET_MULTIFILE\x00/other\x000\x001\x00":                         "\x01",
		"GET_MULTIFILE\x00/file\x000\x000\x00":                          "\x02",
		"GET_MULTIFILE\x00/file\x003\x003\x00":                          "\x02",
		"GET_MULTIFILE\x00/file\x000\x00256\x00":                        "\x02",
		"GET_MULTIFILE\x00/file\x00-1\x003\x00":                         "\x02",
		"GET_MULTIFILE\x00/file\x00+1\x003\x00":                         "\x02",
		"GET_MULTIFILE\x00/file\x00x\x003\x00":                          "\x02",
		"GET_MULTIFILE\x00/file\x0018446744073709551616\x003\x00":       "\x02",
		"LIST_USERS\x00":                                                "\x02",
		"get_file\x00/file\x00":                                         "\x02",
		"\x00":                                                          "\x02",
		"GET_FILE\x00" + strings.Repeat("n", 256) + "\x00":              "\x02",
		"GET_FILE\x00" + strings.Repeat("n", 5000) + "\x00":             "\x02",
		strings.Repeat("G", 64<<10):                                     "\x02",
		"GET_FILE\x00/file\x00" + strings.Repeat("leftover", 4000):      "\x00" + content,
		"GET_FILE\x00/other\x00" + strings.Repeat("leftover", 4000):     "\x01",
		"GET_MULTIFILE\x00/file\x009\x003\x00" + "00/00/0000 00:00\x00": "\x02",
	} {
		if got := ask(t, addr, request); got != want {
			t.Errorf("%.60q is answered with %.60q, want %q", request, got, want)
		}
	}
}

func TestRequestCutShort(t *testing.T) {
	addr, _ := start(t, Options{Files: published(t, []byte("content"))})
	for _, request := range []string{"", "GET_FI", "GET_FILE\x00", "GET_FILE\x00/file", "GET_MULTIFILE\x00/file\x000\x00"} {
		conn := dial(t, addr)
		say(t, conn, request)
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || string(got) != "\x02" {
			t.Errorf("%q is answered with %q (%v), want status 2", request, got, err)
		}
	}
}

func TestRequestByteByByte(t *testing.T) {
	addr, _ := start(t, Options{Files: published(t, []byte("content"))})
	conn := dial(t, addr)
	for _, b := range []byte("GET_MULTIFILE\x00/file\x001\x002\x00") {
		say(t, conn, string([]byte{b}))
	}
	if got, err := io.ReadAll(conn); err != nil || string(got) != "\x00tent" {
		t.Errorf("answer is %q (%v), want the second half", got, err)
	}
}

func TestSendSize(t *testing.T) {
	for _, tc := range []struct{ content, request, want string }{
		{"content", "GET_FILE\x00/file\x00", "\x007\x00content"},
		{"", "GET_FILE\x00/file\x00", "\x000\x00"},
		{"content", "GET_FILE\x00/other\x00", "\x01"},
		{"content", "GET_MULTIFILE\x00/file\x000\x001\x00", "\x00content"},
	} {
		addr, _ := start(t, Options{Files: published(t, []byte(tc.content)), SendSize: true})
		if got := ask(t, addr, tc.request); got != tc.want {
			t.Errorf("%q is answered with %q, want %q", tc.request, got, tc.want)
		}
	}
}

// The slices of a file, put together, are the file.
func TestSlicesMakeTheFile(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(rt, "content")
		total := rapid.IntRange(1, 25).Draw(rt, "total")
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			rt.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- New(Options{Files: published(t, content)}).Serve(ctx, l) }()
		var got bytes.Buffer
		for i := range total {
			answer := ask(t, l.Addr().String(), fmt.Sprintf("GET_MULTIFILE\x00/file\x00%d\x00%d\x00", i, total))
			got.WriteString(answer[1:])
		}
		cancel()
		if err := <-ended; err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), content) {
			rt.Fatalf("slices make %q, want %q", got.Bytes(), content)
		}
	})
}

// A file that takes many steps arrives whole, also at many receivers at once.
func TestBigFile(t *testing.T) {
	content := make([]byte, 3*stepSize+12345)
	noise := rand.NewChaCha8([32]byte{1})
	_, _ = noise.Read(content)
	addr, _ := start(t, Options{Files: published(t, content)})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "GET_FILE\x00/file\x00")
			got, err := io.ReadAll(conn)
			if err != nil || len(got) != 1+len(content) || !bytes.Equal(got[1:], content) {
				t.Errorf("%d bytes came (%v), want the %d of the file after a status", len(got), err, len(content))
			}
		})
	}
	wg.Wait()
}

// The end of a file of more than 4 GiB, of which only that end is sent.
func TestSliceBeyond4GiB(t *testing.T) {
	const size, end = 4<<30 + 5, "the end"
	path := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(end), int64(size-len(end))); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	set := share.New()
	if err := set.Add("/file", path); err != nil {
		t.Fatal(err)
	}
	addr, _ := start(t, Options{Files: set})
	got := ask(t, addr, "GET_MULTIFILE\x00/file\x00254\x00255\x00")
	if want := 1 + size - 254*(size/255); len(got) != want || !strings.HasSuffix(got, end) {
		t.Errorf("the last slice came with %d bytes, ending in %q, want %d and %q", len(got), got[max(0, len(got)-10):], want, end)
	}
}

// shrunk offers files as if they had been longer when they were opened.
type shrunk struct {
	Files
	by int64
}

func (s shrunk) Open(name lonja.FileName) (*os.File, int64, error) {
	f, size, err := s.Files.Open(name)
	return f, size + s.by, err
}

// A file that ends early must not look like a whole one.
func TestShrunkFileResets(t *testing.T) {
	for _, size := range []int{0, 1, 2*stepSize + 1} {
		addr, _ := start(t, Options{Files: shrunk{published(t, make([]byte, size)), 1}})
		conn := dial(t, addr)
		say(t, conn, "GET_FILE\x00/file\x00")
		if n, err := io.Copy(io.Discard, conn); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after %d bytes: %v, want %v", n, err, syscall.ECONNRESET)
		}
	}
}

// beyondBuffers is more than the kernel buffers for a connection.
const beyondBuffers = 1 << 30

// begin asks for a file larger than all buffers and reads its first bytes.
func begin(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn := dial(t, addr)
	say(t, conn, "GET_FILE\x00/file\x00")
	if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// logUntil returns a log, and a channel that is closed once it gets message.
func logUntil(message string) (*slog.Logger, <-chan struct{}) {
	seen := make(chan struct{})
	return slog.New(&watcher{message: message, seen: sync.OnceFunc(func() { close(seen) })}), seen
}

type watcher struct {
	message string
	seen    func()
}

func (w *watcher) Enabled(context.Context, slog.Level) bool { return true }
func (w *watcher) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w *watcher) WithGroup(string) slog.Handler            { return w }
func (w *watcher) Handle(_ context.Context, r slog.Record) error {
	if r.Message == w.message {
		w.seen()
	}
	return nil
}

// When the server stops, a transfer under way ends in a reset.
func TestStopCutsTransfers(t *testing.T) {
	log, cut := logUntil("transfer broken off")
	addr, stop := start(t, Options{Files: sparse(t, beyondBuffers), Log: log})
	conn := begin(t, addr)
	stop()
	select {
	case <-cut:
	default:
		t.Error("Serve has returned before its transfer ended")
	}
	if _, err := io.Copy(io.Discard, conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the receiver sees %v, want %v", err, syscall.ECONNRESET)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		_ = conn.Close()
		t.Error("a stopped server still accepts connections")
	}
}

// What was handed over completely before the server stops arrives.
func TestStopKeepsWhatIsDone(t *testing.T) {
	content := bytes.Repeat([]byte("content "), 4096)
	log, done := logUntil("transfer done")
	addr, stop := start(t, Options{Files: published(t, content), LingerTimeout: time.Hour, Log: log})
	conn := dial(t, addr)
	say(t, conn, "GET_FILE\x00/file\x00")
	<-done
	stop()
	got, err := io.ReadAll(conn)
	if err != nil || len(got) != 1+len(content) {
		t.Errorf("%d bytes came (%v), want %d", len(got), err, 1+len(content))
	}
}
