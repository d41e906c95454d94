package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lonja"
)

// A notebook keeps what a node logs.
type notebook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *notebook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// take returns what was logged since it was called last.
func (b *notebook) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.buf.Reset()
	return b.buf.String()
}

// logged returns a node that logs its warnings to the notebook.
func (v *village) logged(name string) (*Node, *notebook) {
	notes := new(notebook)
	n := New(Options{
		Directory: v.dir, DirectoryName: name, StateDir: v.state, Listen: "127.0.0.1:0",
		Log: slog.New(slog.NewTextHandler(notes, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	v.Cleanup(n.Close)
	return n, notes
}

// When the directory does not have the user as connected any more, files are
// served no more and CONNECT is possible again.
func TestDirectoryLosesTheUser(t *testing.T) {
	for name, ask := range map[string]func(*Node) error{
		"users":   func(n *Node) error { _, err := n.ListUsers(t.Context()); return err },
		"content": func(n *Node) error { _, err := n.ListContent(t.Context(), "ana"); return err },
		"search":  func(n *Node) error { _, err := n.Search(t.Context(), lonja.Query{Words: "x"}); return err },
		"publish": func(n *Node) error { return n.Publish(t.Context(), "lost_test.go", "") },
		"delete":  func(n *Node) error { return n.Delete(t.Context(), "lost_test.go") },
		"file": func(n *Node) error {
			return n.FetchFile(t.Context(), "ana", "/f", filepath.Join(t.TempDir(), "f"), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVillage(t)
			n, notes := v.logged("village:1")
			v.ok(v.dir.Register(t.Context(), "ana"))
			v.ok(n.Connect(t.Context(), "ana"))
			at := v.addressOf(n)
			v.ok(v.dir.Disconnect(t.Context(), "ana"))

			for range 2 {
				v.is(ask(n), lonja.NotConnected)
			}
			if conn, err := net.Dial("tcp", at); err == nil {
				_ = conn.Close()
				t.Error("files are still served")
			}
			if got := notes.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "connect again") {
				t.Errorf("logged %q, want one line that says what to do", got)
			}
			v.ok(n.Connect(t.Context(), "ana"))
			v.is(n.Connect(t.Context(), "ana"), lonja.NodeInUse)
			v.ok(v.dir.Unregister(t.Context(), "ana"))
			v.is(ask(n), lonja.NoSuchUser)
			v.is(n.Connect(t.Context(), "ana"), lonja.NoSuchUser)
		})
	}
}

func (v *village) addressOf(n *Node) string {
	v.Helper()
	peers, err := n.ListUsers(v.Context())
	v.ok(err)
	return peers[0].At.String()
}

// A CONNECT whose answer is not known may have happened: it is taken back.
func TestConnectWithoutAnAnswer(t *testing.T) {
	for _, kind := range []lonja.Kind{lonja.Canceled, lonja.Unavailable, lonja.Malformed} {
		v := newVillage(t)
		n := v.node()
		v.ok(v.dir.Register(t.Context(), "ana"))
		ctx, cancel := context.WithCancel(t.Context())
		v.dir.afterConnect = func() error { cancel(); return kind }
		v.is(n.Connect(ctx, "ana"), kind)
		v.dir.afterConnect = nil
		v.ok(n.Connect(t.Context(), "ana"))
	}
}

// One that was never sent is not: another program may have the user connected.
func TestConnectThatWasNotSent(t *testing.T) {
	v := newVillage(t)
	v.connected("ana")
	v.dir.instead = lonja.E(lonja.Unavailable, "", &net.OpError{Op: "dial", Err: errors.New("refused")})
	v.is(v.node().Connect(t.Context(), "ana"), lonja.Unavailable)
	v.dir.instead = nil
	v.is(v.node().Connect(t.Context(), "ana"), lonja.AlreadyConnected)
}

func TestDirectoryByAnotherName(t *testing.T) {
	v := newVillage(t)
	v.ok(v.dir.Register(t.Context(), "ana"))
	path := v.file("f", "content")
	first, notes := v.logged("village:1")
	v.ok(first.Connect(t.Context(), "ana"))
	v.ok(first.Publish(t.Context(), path, "a file"))
	first.Close()
	if got := notes.take(); got != "" {
		t.Errorf("logged %q before there was a reason", got)
	}

	again, notes := v.logged("hamlet:1")
	v.ok(again.Connect(t.Context(), "ana"))
	if got := notes.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "village:1") ||
		!strings.Contains(got, "publish them again") || !strings.Contains(got, "files=1") {
		t.Errorf("logged %q, want one line that says what to do", got)
	}
	v.is(again.Publish(t.Context(), path, "a file"), lonja.AlreadyPublished)
	if got, err := v.fetch(again, "ana", path); got != "content" {
		t.Errorf("after it was published again: got %q, %v", got, err)
	}
	v.ok(again.Disconnect(t.Context(), "ana"))
	v.ok(again.Connect(t.Context(), "ana"))
	if got := notes.take(); got != "" {
		t.Errorf("logged %q when all is served", got)
	}
}

// Without a place for its state a node fetches and serves all the same; what
// cannot be written down later is not published.
func TestNowhereToKeepState(t *testing.T) {
	v := newVillage(t)
	path := v.file("f", "content")
	v.ok(v.dir.Register(t.Context(), "ana"))
	v.state = filepath.Join(path, "below a file")
	n, notes := v.logged("village:1")
	v.ok(n.Connect(t.Context(), "ana"))
	if got := notes.take(); !strings.Contains(got, "not be remembered") {
		t.Errorf("logged %q", got)
	}
	v.ok(n.Publish(t.Context(), path, ""))
	if got, err := v.fetch(n, "ana", path); got != "content" {
		t.Errorf("got %q, %v", got, err)
	}

	v = newVillage(t)
	v.state = filepath.Join(v.state, "state")
	n = v.connected("ana")
	v.ok(os.RemoveAll(v.state))
	v.is(n.Publish(t.Context(), path, ""), lonja.LocalFile)
}
