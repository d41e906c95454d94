package filefetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	other "lukechampine.com/blake3"

	"lonja"
	"lonja/internal/fileserver"
	"lonja/internal/tlstest"
)

func random(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = rng.Read(b)
	return b
}

// A shelf has one file for everybody.
type shelf struct {
	id   lonja.FileID
	path string
}

func (s shelf) OpenContent(_ context.Context, id lonja.FileID, _ lonja.Member) (fileserver.Content, error) {
	if id != s.id {
		return nil, lonja.E(lonja.NoSuchFile, "open", nil)
	}
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return fileserver.NewWhole(f, info.Size(), nil)
}

// An owner is a peer that runs, and how it is reached.
type owner struct {
	file   File
	dial   func(ctx context.Context) (net.Conn, error)
	dialed atomic.Int32
}

func (o *owner) options() Options {
	return Options{Dial: func(ctx context.Context) (net.Conn, error) {
		o.dialed.Add(1)
		return o.dial(ctx)
	}, Pause: time.Millisecond}
}

// serve runs the real server with one file; as is what the owner says its id is.
func serve(t testing.TB, content []byte, as lonja.FileID) *owner {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	server := fileserver.New(fileserver.Options{Files: shelf{as, path}, Who: tlstest.Who, Grace: 50 * time.Millisecond})
	return listen(t, server.Serve, File{ID: as, Size: int64(len(content)), Owner: "ana", Name: "film.mkv"})
}

// listen runs a peer over TLS until the test ends.
func listen(t testing.TB, serve func(context.Context, net.Listener) error, file File) *owner {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ca := tlstest.New(t)
	ours, theirs := ca.Config(t, "me"), ca.Config(t, "ana")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, tls.NewListener(l, theirs)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the peer: %v", err)
		}
	})
	dialer := &tls.Dialer{Config: ours}
	return &owner{file: file, dial: func(ctx context.Context) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", l.Addr().String())
	}}
}

// handle runs a peer that answers with a handler of the test.
func handle(t testing.TB, handler http.HandlerFunc, file File) *owner {
	return listen(t, func(ctx context.Context, l net.Listener) error {
		server := &http.Server{Handler: handler}
		closed := make(chan struct{})
		context.AfterFunc(ctx, func() {
			defer close(closed)
			_ = server.Close()
		})
		_ = server.Serve(l)
		<-closed
		return nil
	}, file)
}

// wantOnly fails unless the directory of target holds nothing else, and target
// this; nil for no file.
func wantOnly(t testing.TB, target string, want []byte) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(target))
	if err != nil {
		t.Fatal(err)
	}
	if want == nil {
		if len(entries) != 0 {
			t.Errorf("left behind: %v", entries)
		}
		return
	}
	got, err := os.ReadFile(target)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the target has %d bytes (%v), and not the %d wanted", len(got), err, len(want))
	}
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestFetch(t *testing.T) {
	const mib = 1 << 20
	for _, size := range []int{0, 1, 65536, mib - 1, mib, mib + 1, 7*mib + 5, 8 * mib, 40*mib + 123} {
		content := random(size)
		o := serve(t, content, other.Sum256(content))
		for _, unknown := range []bool{false, true} {
			target := filepath.Join(t.TempDir(), "target")
			file, opts := o.file, o.options()
			if unknown {
				file.Size = lonja.UnknownSize
			}
			var told atomic.Int64
			opts.Progress = func(received int64) {
				for old := told.Load(); received > old && !told.CompareAndSwap(old, received); old = told.Load() {
				}
			}
			got, err := Fetch(t.Context(), file, target, opts)
			if err != nil || got != int64(size) || told.Load() != int64(size) {
				t.Fatalf("%d bytes, size unknown %v: %d, told of %d (%v)", size, unknown, got, told.Load(), err)
			}
			wantOnly(t, target, content)
		}
	}
}

// A big file uses several connections, each for more than one range.
func TestConnectionsAreKept(t *testing.T) {
	content := random(100 << 20)
	o := serve(t, content, other.Sum256(content))
	if _, err := Fetch(t.Context(), o.file, filepath.Join(t.TempDir(), "target"), o.options()); err != nil {
		t.Fatal(err)
	}
	if got := o.dialed.Load(); got != 2 {
		t.Errorf("%d connections were made, want 2", got)
	}
}

// An owner that sends something else is named, and its file is not kept.
func TestWrongContent(t *testing.T) {
	content := random(20 << 20)
	id := lonja.FileID(other.Sum256(content))
	for name, change := range map[string]func([]byte) []byte{
		"a bit":   func(b []byte) []byte { b[15<<20] ^= 4; return b },
		"shorter": func(b []byte) []byte { return b[:len(b)-1] },
		"longer":  func(b []byte) []byte { return append(b, 0) },
		"nothing": func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			o := serve(t, change(bytes.Clone(content)), id)
			o.file.Size = int64(len(content))
			target := filepath.Join(t.TempDir(), "target")
			_, err := Fetch(t.Context(), o.file, target, o.options())
			if !errors.Is(err, lonja.Untrusted) || !strings.Contains(err.Error(), "ana") {
				t.Errorf("got %v, want an error of kind Untrusted that names ana", err)
			}
			wantOnly(t, target, nil)
		})
	}
}

func TestTargetIsLeftAlone(t *testing.T) {
	target := filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(target, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := serve(t, random(3<<20), lonja.FileID{1})
	if _, err := Fetch(t.Context(), o.file, target, o.options()); !errors.Is(err, lonja.Untrusted) {
		t.Errorf("got %v, want Untrusted", err)
	}
	wantOnly(t, target, []byte("mine"))

	if _, err := Fetch(t.Context(), o.file, filepath.Dir(target), o.options()); !errors.Is(err, lonja.LocalFile) {
		t.Errorf("onto a directory: %v, want LocalFile", err)
	}
}

// Whatever else an owner answers is an error of its kind, and final.
func TestAnswersThatAreNone(t *testing.T) {
	file := File{ID: lonja.FileID{9}, Size: 3 << 20, Owner: "ana", Name: "film.mkv"}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		kind    lonja.Kind
	}{
		"not found": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusNotFound) }, lonja.NoSuchFile},
		"forbidden": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusForbidden) }, lonja.Forbidden},
		"changed":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusConflict) }, lonja.Conflict},
		"gone":      {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusGone) }, lonja.Conflict},
		"too many":  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusServiceUnavailable) }, lonja.Limited},
		"trouble":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusInternalServerError) }, lonja.Refused},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://localhost/", http.StatusFound)
		}, lonja.Refused},
		"another range": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 5-9/3145728")
			w.WriteHeader(206)
		}, lonja.Malformed},
		"no range": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206) }, lonja.Malformed},
		"nonsense for a size": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-3145727/*")
			w.WriteHeader(206)
		}, lonja.Malformed},
		"an endless body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-3145727/3145728")
			w.WriteHeader(206)
			for b := make([]byte, 64<<10); ; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		}, lonja.Malformed},
		"a huge header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 100<<10))
		}, lonja.Unavailable},
		"cut short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3145728")
			_, _ = w.Write(make([]byte, 100))
			panic(http.ErrAbortHandler)
		}, lonja.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			o := handle(t, tc.handler, file)
			target := filepath.Join(t.TempDir(), "target")
			_, err := Fetch(t.Context(), o.file, target, o.options())
			if !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), "ana") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want kind %v", err, tc.kind)
			}
			wantOnly(t, target, nil)
		})
	}
}

// A cutter lets each connection bring so many bytes, and then breaks it.
type cutter struct {
	net.Conn
	left int
	cut  func()
}

func (c *cutter) Read(p []byte) (int, error) {
	if c.left <= 0 {
		c.cut()
		_ = c.Conn.Close()
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// Connections that break again and again are made anew, and no byte is asked
// for twice but what was under way.
func TestConnectionsThatBreak(t *testing.T) {
	content := random(30 << 20)
	o := serve(t, content, other.Sum256(content))
	opts := o.options()
	dial := opts.Dial
	var cuts atomic.Int32
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, 2))
	opts.Dial = func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		return &cutter{conn, 2000 + rng.IntN(4<<20), func() { cuts.Add(1) }}, nil
	}
	var received atomic.Int64
	opts.Progress = func(n int64) { received.Store(max(n, received.Load())) }
	target := filepath.Join(t.TempDir(), "target")
	if _, err := Fetch(t.Context(), o.file, target, opts); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, target, content)
	if cuts.Load() < 5 || received.Load() > int64(len(content)) {
		t.Errorf("%d connections were cut, %d bytes counted", cuts.Load(), received.Load())
	}
}

// Connections that bring nothing are given up after some tries; one that cannot
// be made leaves the work to the other.
func TestConnectionsThatCannotBeMade(t *testing.T) {
	content := random(30 << 20)
	o := serve(t, content, other.Sum256(content))
	target := filepath.Join(t.TempDir(), "target")
	opts := o.options()
	opts.Tries = 3
	dial := opts.Dial
	var tries atomic.Int32
	opts.Dial = func(ctx context.Context) (net.Conn, error) {
		if tries.Add(1) > 1 {
			return nil, lonja.E(lonja.Unavailable, "dial", errors.New("no route"))
		}
		return dial(ctx)
	}
	if _, err := Fetch(t.Context(), o.file, target, opts); err != nil {
		t.Errorf("over the first connection: %v", err)
	}
	wantOnly(t, target, content)

	for kind, most := range map[lonja.Kind]int32{lonja.Unavailable: 6, lonja.Untrusted: 2} {
		tries.Store(0)
		opts.Dial = func(context.Context) (net.Conn, error) {
			tries.Add(1)
			return nil, lonja.E(kind, "dial", errors.New("no route"))
		}
		if _, err := Fetch(t.Context(), o.file, target, opts); !errors.Is(err, kind) || !strings.Contains(err.Error(), "no route") {
			t.Errorf("got %v, want %v", err, kind)
		}
		if tries.Load() > most {
			t.Errorf("%v: %d tries, want at most %d", kind, tries.Load(), most)
		}
	}
}

// An owner that says nothing, or no more, is let go.
func TestStalledOwner(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, handler := range map[string]http.HandlerFunc{
		"from the start": func(http.ResponseWriter, *http.Request) { <-release },
		"in the middle": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "3145728")
			if r.Header.Get("Range") != "bytes=0-3145727" {
				<-release
			}
			_, _ = w.Write(make([]byte, 100<<10))
			_ = http.NewResponseController(w).Flush()
			<-release
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := handle(t, handler, File{ID: lonja.FileID{9}, Size: 3 << 20, Owner: "ana"})
			opts := o.options()
			opts.StallTimeout, opts.Tries = 100*time.Millisecond, 2
			target := filepath.Join(t.TempDir(), "target")
			if _, err := Fetch(t.Context(), o.file, target, opts); !errors.Is(err, lonja.Unavailable) {
				t.Errorf("got %v, want Unavailable", err)
			}
			wantOnly(t, target, nil)
		})
	}
}

func TestCanceled(t *testing.T) {
	content := random(30 << 20)
	o := serve(t, content, other.Sum256(content))
	ctx, cancel := context.WithCancel(t.Context())
	opts := o.options()
	opts.Progress = func(n int64) {
		if n > 5<<20 {
			cancel()
		}
	}
	target := filepath.Join(t.TempDir(), "target")
	if _, err := Fetch(ctx, o.file, target, opts); !errors.Is(err, lonja.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	wantOnly(t, target, nil)
}
