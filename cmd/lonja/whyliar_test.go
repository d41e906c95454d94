package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lonja"
	"lonja/internal/fileserver"
	"lonja/internal/tlstest"
	"lonja/internal/tree"
)

// A liar has the hashes of a content and another content.
type liar struct {
	path     string
	size     int64
	outboard []byte
}

func (l *liar) OpenContent(context.Context, lonja.FileID, lonja.Member) (fileserver.Content, error) {
	file, err := os.Open(l.path)
	if err != nil {
		return nil, err
	}
	return fileserver.NewWhole(file, l.size, func(context.Context) (io.ReaderAt, int64, error) {
		return bytes.NewReader(l.outboard), int64(len(l.outboard)), nil
	})
}

// newLiar lies about what is at path.
func newLiar(t *testing.T, path string) *liar {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{path: path, size: int64(len(content))}
	layout, err := tree.LayoutOf(l.size)
	if err != nil {
		t.Fatal(err)
	}
	all := tree.Tree{Size: l.size}
	for piece := range layout.Pieces() {
		var h tree.Hasher
		h.Reset(piece)
		_, _ = h.Write(content[piece*tree.PieceSize:][:layout.PieceLen(piece)])
		all.Pieces = append(all.Pieces, h.Sum())
	}
	if l.outboard, err = all.AppendBinary(nil); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(content); i += 1000 {
		content[i] ^= 1
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return l
}

// serve has the liar answer at an address in the name of whose certificate that is,
// until the test ends.
func (l *liar) serve(t *testing.T, at, certificate string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certificate, certificate)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	server := fileserver.New(fileserver.Options{Files: l, Who: tlstest.Who, Grace: time.Millisecond})
	go func() {
		ended <- server.Serve(ctx, tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
		}))
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestWhy: of who lies and of who is stuck, it is said that they do, and are.
func TestWhy(t *testing.T) {
	t.Parallel() // it waits for a speed to sink
	f := openFair(t)
	ana, eve, luis := f.join("ana"), f.join("eve"), f.join("luis")
	holder := ana.console()
	ana.does("publish", ana.large("film.mkv", 96))
	node := eve.console()
	path := eve.large("film.mkv", 96)
	eve.does("publish", path)
	eve.does("id", "certificate", "-o", "eve.pem")
	ways := ""
	for _, l := range lines[presentLine](t, luis.does("who", "--json")) {
		if l.User == "eve" {
			ways = l.Ways[0]
		}
	}
	node.signal(syscall.SIGKILL) // the directory believes for a while that she is there
	node.wait()
	newLiar(t, path).serve(t, ways, filepath.Join(eve.home, "eve.pem"))

	get, id := luis.begun("film.mkv", holder)
	lied := get.waitEvent("the lie", func(e event) bool { return e.Event == eventLied })
	if lied.Holder.User != "eve" || !lied.Holder.Lied || lied.Holder.Error == "" {
		t.Errorf("got %+v", lied.Holder)
	}
	out := luis.asked("who is stuck", func(out string) bool { return strings.Contains(out, "and sends nothing") }, "why", id)
	rows := make(map[string]string)
	for line := range strings.Lines(out) {
		name, rest, _ := strings.Cut(line, " ")
		rows[name] = rest
	}
	if !strings.Contains(rows["ana"], "and sends nothing") || !strings.Contains(rows["eve"], "lied, and is asked no more: ") || !strings.Contains(rows["eve"], ways) {
		t.Errorf("got %s", out)
	}
	get.signal(syscall.SIGKILL)
	get.wait()
	if out := luis.does("why", id); !strings.Contains(out, "interrupted") || strings.Contains(out, "HOLDER") {
		t.Errorf("got %s", out)
	}
	holder.thaw()
	luis.does("resume", id)
}
