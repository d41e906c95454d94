package download

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lonja"
	"lonja/internal/classic"
	"lonja/internal/share"
	"lonja/internal/upload"
)

// patience bounds what a test waits for that should come at once.
const patience = 20 * time.Second

// random returns n bytes that do not begin with a digit.
func random(n int) []byte {
	b := make([]byte, n)
	noise := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = noise.Read(b)
	if n > 0 {
		b[0] = 'x'
	}
	return b
}

// serve runs the real listening side, with content published as "/file".
func serve(t testing.TB, content []byte, opts upload.Options) lonja.Holder {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return serveFile(t, path, opts)
}

func serveFile(t testing.TB, path string, opts upload.Options) lonja.Holder {
	t.Helper()
	set := share.New()
	if err := set.Add("/file", path); err != nil {
		t.Fatal(err)
	}
	opts.Files = set
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- upload.New(opts).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return holderAt(l.Addr())
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func holderAt(addr net.Addr) lonja.Holder {
	return lonja.Holder{
		At:   lonja.Endpoint{AddrPort: netip.MustParseAddrPort(addr.String())},
		Name: "/file",
	}
}

// nobody returns a holder where nothing listens.
func nobody(t testing.TB) lonja.Holder {
	t.Helper()
	l := listen(t)
	defer l.Close()
	return holderAt(l.Addr())
}

// An act is how a scripted peer answers a request for part of its content.
type act func(conn *net.TCPConn, part []byte)

func sendAll(conn *net.TCPConn, part []byte) { put(conn, "\x00", string(part)) }

func sendStatus(status string) act {
	return func(conn *net.TCPConn, _ []byte) { put(conn, status) }
}

// sendLess ends a slice early, as if that were its end.
func sendLess(conn *net.TCPConn, part []byte) { put(conn, "\x00", string(part[:len(part)/2])) }

// sendMore sends twice what there is, and more.
func sendMore(conn *net.TCPConn, part []byte) {
	put(conn, "\x00", string(part), string(part), strings.Repeat("more", 100))
}

// breakOff sends half and resets the connection, once the half has arrived.
func breakOff(conn *net.TCPConn, part []byte) {
	put(conn, "\x00", string(part[:len(part)/2]))
	hangUp(conn, part)
}

func hangUp(conn *net.TCPConn, _ []byte) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

func sendNothing(*net.TCPConn, []byte) {}

// waitForEnd sends half and then nothing, until the other side goes.
func waitForEnd(conn *net.TCPConn, part []byte) {
	put(conn, "\x00", string(part[:len(part)/2]))
	_, _ = io.Copy(io.Discard, conn)
}

// put writes strings; a peer that does not want them any more is no matter.
func put(conn net.Conn, parts ...string) {
	for _, s := range parts {
		_, _ = io.WriteString(conn, s)
	}
}

// A script is a peer that does as it is told.
type script struct {
	content []byte
	slices  act // how it answers requests, sendAll if nil
	probes  act // how it answers those with which its size is found out, as slices if nil
	inTurn  bool
	honest  int // how many requests it answers well before it follows slices

	asked  chan struct{} // if set, gets a value for each request
	served atomic.Int64
	last   sync.Mutex
}

// start runs the script on a port of its own until the test ends.
func (s *script) start(t testing.TB) lonja.Holder {
	t.Helper()
	l := listen(t)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { s.answer(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return holderAt(l.Addr())
}

func (s *script) answer(conn *net.TCPConn) {
	defer conn.Close()
	if s.inTurn {
		s.last.Lock()
		defer s.last.Unlock()
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	req, err := classic.ReadPeerRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	if s.asked != nil {
		s.asked <- struct{}{}
	}
	offset, length := req.Slice.Range(int64(len(s.content)))
	do := s.slices
	switch {
	case s.served.Add(1) <= int64(s.honest) || do == nil:
		do = sendAll
	case req.Slice.Total == classic.MaxSlices && s.probes != nil:
		do = s.probes
	}
	do(conn, s.content[offset:offset+length])
}

// A place is where a test downloads to: an empty directory, or one with an old
// file under the target's name.
type place struct {
	target string
	old    bool
}

const oldContent = "what was there before"

// eachPlace runs a test with and without an old file.
func eachPlace(t *testing.T, test func(t *testing.T, at place)) {
	t.Run("new", func(t *testing.T) {
		test(t, place{target: filepath.Join(t.TempDir(), "target")})
	})
	t.Run("old", func(t *testing.T) {
		at := place{target: filepath.Join(t.TempDir(), "target"), old: true}
		if err := os.WriteFile(at.target, []byte(oldContent), 0o600); err != nil {
			t.Fatal(err)
		}
		test(t, at)
	})
}

func newPlace(t testing.TB) place {
	t.Helper()
	return place{target: filepath.Join(t.TempDir(), "target")}
}

// A failer is a *testing.T or *rapid.T.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

// wantFile fails unless the download succeeded and the file is there, alone.
func (at place) wantFile(t failer, size int64, err error, want []byte) {
	t.Helper()
	if err != nil {
		t.Errorf("download: %v", err)
		return
	}
	if size != int64(len(want)) {
		t.Errorf("the size is told as %d, want %d", size, len(want))
	}
	got, err := os.ReadFile(at.target)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file has %d bytes, %.40q (%v), want %d bytes, %.40q", len(got), got, err, len(want), want)
	}
	at.wantOnly(t, filepath.Base(at.target))
}

// wantFailure fails unless the download failed with that kind and left all as
// it was.
func (at place) wantFailure(t failer, err error, kind lonja.Kind) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("download: %v (of kind %v), want an error of kind %v", err, lonja.KindOf(err), kind)
	}
	at.wantUntouched(t)
}

func (at place) wantUntouched(t failer) {
	t.Helper()
	if !at.old {
		at.wantOnly(t)
		return
	}
	if got, err := os.ReadFile(at.target); err != nil || string(got) != oldContent {
		t.Errorf("the old file holds %.60q (%v), want it as it was", got, err)
	}
	at.wantOnly(t, filepath.Base(at.target))
}

func (at place) wantOnly(t failer, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(at.target))
	if err != nil {
		t.Errorf("%v", err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("the directory holds %q, want %q", got, want)
	}
}
