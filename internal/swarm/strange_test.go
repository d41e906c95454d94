package swarm

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lonja"
	"lonja/internal/unfinished"
)

// strange runs a holder that answers with a handler of the test.
func (w *town) strange(handler http.HandlerFunc) *peer {
	w.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(tls.NewListener(l, w.authority.Config(w, "ana")))
	}()
	w.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return &peer{Holder: Holder{User: "ana", Dial: func(ctx context.Context) (net.Conn, error) {
		return (&tls.Dialer{Config: w.ours}).DialContext(ctx, "tcp", l.Addr().String())
	}}}
}

// TestStrangeAnswers: whatever else a holder answers is an error of its kind, in
// one line that names it, and nothing counts.
func TestStrangeAnswers(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", code) }
	}
	part := func(contentRange string, body int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if contentRange != "" {
				w.Header().Set("Content-Range", contentRange)
			}
			w.WriteHeader(http.StatusPartialContent)
			for b := make([]byte, 64<<10); body != 0; body-- {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		}
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		kind    lonja.Kind
	}{
		"not found": {status(http.StatusNotFound), lonja.NoSuchFile},
		"forbidden": {status(http.StatusForbidden), lonja.Forbidden},
		"changed":   {status(http.StatusConflict), lonja.Conflict},
		"gone":      {status(http.StatusGone), lonja.Conflict},
		"too many":  {status(http.StatusServiceUnavailable), lonja.Limited},
		"trouble":   {status(http.StatusInternalServerError), lonja.Refused},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://localhost/", http.StatusFound)
		}, lonja.Refused},
		"another range":       {part("bytes 5-9/3145728", 1), lonja.Malformed},
		"no range":            {part("", 1), lonja.Malformed},
		"nonsense for a size": {part("bytes 0-3145727/*", 1), lonja.Malformed},
		"an endless body":     {part("bytes 0-3145727/3145728", -1), lonja.Malformed},
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
			t.Parallel()
			w, c := newTown(t), newCorpus(t, 3*mib)
			s, finish := w.swarm(c, impatient, w.strange(tc.handler))
			err := finish()
			if !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), "ana") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line of kind %v that names ana", err, tc.kind)
			}
			if s.Received() != 0 {
				t.Errorf("%d bytes count", s.Received())
			}
		})
	}
}

// TestStalledHolder: a holder that says nothing, or no more, is let go.
func TestStalledHolder(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	for name, sent := range map[string]int{"from the start": 0, "in the middle": 100 << 10} {
		t.Run(name, func(t *testing.T) {
			w, c := newTown(t), newCorpus(t, 3*mib)
			_, finish := w.swarm(c, impatient, w.strange(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "3145728")
				_, _ = w.Write(make([]byte, sent))
				_ = http.NewResponseController(w).Flush()
				<-release
			}))
			if err := finish(); !errors.Is(err, lonja.Unavailable) {
				t.Errorf("got %v, want Unavailable", err)
			}
		})
	}
}

// TestWrongContent: a holder that has something else under that id is named, and
// the target that was there stays as it was.
func TestWrongContent(t *testing.T) {
	for name, tc := range map[string]struct {
		change func([]byte) []byte
		kind   lonja.Kind
	}{
		"a bit":   {func(b []byte) []byte { b[15*mib] ^= 4; return b }, lonja.Untrusted},
		"shorter": {func(b []byte) []byte { return b[:len(b)-1] }, lonja.Untrusted},
		"longer":  {func(b []byte) []byte { return append(b, 0) }, lonja.Refused}, // its hashes do not fit it either
		"nothing": {func([]byte) []byte { return nil }, lonja.NoHolder},
	} {
		t.Run(name, func(t *testing.T) {
			w, c := newTown(t), newCorpus(t, 20*mib)
			changed := *c
			changed.bytes = tc.change(bytes.Clone(c.bytes))
			changed.Content.Size = int64(len(changed.bytes))
			liar := w.peer(&changed, "ana", func(p *peer) { p.sent = make([]atomic.Int64, 21) })
			target := filepath.Join(t.TempDir(), "film.mkv")
			if err := os.WriteFile(target, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			dst, err := unfinished.Open(target, unfinished.Options{ID: c.ID, Size: c.Size, Force: true})
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(c.Content, dst, impatient)
			if err != nil {
				t.Fatal(err)
			}
			s.Join(liar.Holder)
			if err := s.Run(t.Context()); !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), "ana") {
				t.Errorf("got %v, want an error of kind %v that names ana", err, tc.kind)
			}
			if err := errors.Join(dst.Discard(), dst.Close()); err != nil {
				t.Error(err)
			}
			left, err := os.ReadDir(filepath.Dir(target))
			if got, _ := os.ReadFile(target); string(got) != "mine" || len(left) != 1 || err != nil {
				t.Errorf("the target is %d bytes now, beside it are %v (%v)", len(got), left, err)
			}
		})
	}
}
