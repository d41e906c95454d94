//go:build interop

package fileserver

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"lonja/internal/fairshare"
	"lonja/internal/fileapi"
	"lonja/internal/tree"
)

// curl, with a member's certificate, fetches a file and a part of it, goes on
// where it broke off, fetches its tree, and gets nothing without the certificate.
func TestCurl(t *testing.T) {
	r := start(t, Options{})
	whole := content(3_000_001)
	id := r.shelf.add(t, whole)
	cert, key, ca := r.ca.WritePEM(t, "ana", t.TempDir())
	_, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		t.Fatal(err)
	}
	curlPart := func(part fileapi.Part, args ...string) ([]byte, error) {
		args = append(args, "--silent", "--fail", "--cacert", ca, "--connect-to", "node:"+port+":"+r.addr,
			"https://node:"+port+part.Path(id))
		return exec.Command("curl", args...).Output()
	}
	curl := func(args ...string) ([]byte, error) { return curlPart(fileapi.File, args...) }
	member := []string{"--cert", cert, "--key", key}
	for name, tc := range map[string]struct {
		args []string
		want []byte
	}{
		"whole":       {nil, whole},
		"a range":     {[]string{"--range", "1000-1999"}, whole[1000:2000]},
		"the end":     {[]string{"--range", "-10"}, whole[len(whole)-10:]},
		"from a byte": {[]string{"--continue-at", "2999000"}, whole[2_999_000:]},
		"TLS 1.3":     {[]string{"--tlsv1.3"}, whole},
		"if HTTP/2":   {[]string{"--http2"}, whole},
	} {
		got, err := curl(append(tc.args, member...)...)
		if err != nil || !bytes.Equal(got, tc.want) {
			t.Errorf("%s: %d bytes (%v), want %d", name, len(got), err, len(tc.want))
		}
	}
	outboard, err := curlPart(fileapi.Tree, member...)
	if parsed, treeErr := tree.ParseTree(outboard, id); err != nil || treeErr != nil || parsed.Size != int64(len(whole)) {
		t.Errorf("the tree: %v, %v", err, treeErr)
	}
	if got, err := curlPart(fileapi.Tree, append(member, "--range", "0-7")...); err != nil || !bytes.Equal(got, outboard[:8]) {
		t.Errorf("a range of the tree: %x (%v)", got, err)
	}
	if got, err := curlPart(fileapi.Have, member...); err != nil || string(got) != "\x01\x00" {
		t.Errorf("which pieces there are: %x (%v)", got, err)
	}
	if got, err := curl(); err == nil || len(got) > 0 {
		t.Errorf("without a certificate: %d bytes (%v)", len(got), err)
	}
}

// curl waits for its turn, as it is told to.
func TestCurlWaits(t *testing.T) {
	var told atomic.Bool
	log := slog.New(slog.NewTextHandler(writerFunc(func(line []byte) {
		if bytes.Contains(line, []byte("place 1 in the queue")) {
			told.Store(true)
		}
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	r := start(t, Options{Log: log, Uploads: fairshare.Options{Slots: 1, TurnTime: time.Hour, TurnBytes: 1 << 40}})
	whole := content(24 * mib)
	id := r.shelf.add(t, whole)
	ana, err := r.client(t, "ana").Get("https://" + r.addr + fileapi.Path(id))
	if err != nil {
		t.Fatal(err)
	}
	defer ana.Body.Close()
	cert, key, ca := r.ca.WritePEM(t, "luis", t.TempDir())
	_, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "film")
	curl := exec.Command("curl", "--silent", "--show-error", "--retry", "20", "-o", target, "--cacert", ca, "--cert", cert, "--key", key,
		"--connect-to", "node:"+port+":"+r.addr, "https://node:"+port+fileapi.Path(id))
	said := &bytes.Buffer{}
	curl.Stderr = said
	if err := curl.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "curl is told its place", told.Load)
	_ = ana.Body.Close()
	if err := curl.Wait(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("%d bytes (%v), want %d", len(got), err, len(whole))
	}
}

// A writerFunc is told of each line of a log.
type writerFunc func(line []byte)

func (f writerFunc) Write(line []byte) (int, error) {
	f(line)
	return len(line), nil
}
