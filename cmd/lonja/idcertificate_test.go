package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lonja"
	"lonja/internal/fileapi"
	"lonja/internal/tree"
)

// TestCertificateForOtherPrograms: what "id certificate" writes is what a program
// that knows HTTPS and nothing else fetches from a node with.
func TestCertificateForOtherPrograms(t *testing.T) {
	f := openFair(t)
	ana, luis := f.join("ana"), f.join("luis")
	ana.file("poem.txt", "a poem")
	ana.console()
	ana.does("publish", "poem.txt")
	luis.does("id", "certificate", "-o", "me.pem")
	luis.fails(1, "me.pem", "id", "certificate", "-o", "me.pem")
	path := filepath.Join(luis.home, "me.pem")
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	certificate, err := tls.LoadX509KeyPair(path, path)
	if err != nil {
		t.Fatal(err)
	}
	var ways []string
	for _, l := range lines[presentLine](t, luis.does("who", "--json")) {
		if l.User == "ana" {
			ways = l.Ways
		}
	}
	if len(ways) == 0 {
		t.Fatal("ana is nowhere")
	}
	fetch := func(part fileapi.Part, certificates ...tls.Certificate) (string, error) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: certificates, InsecureSkipVerify: true}}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport, Timeout: 30 * time.Second}).Get("https://" + ways[0] + part.Path(tree.Sum([]byte("a poem"))))
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return "", lonja.E(fileapi.Kind(resp.StatusCode), "fetch", nil)
		}
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	for part, want := range map[fileapi.Part]string{fileapi.File: "a poem", fileapi.Tree: "\x00\x00\x00\x00\x00\x00\x00\x06", fileapi.Have: "\x01\x00"} {
		if got, err := fetch(part, certificate); err != nil || got != want {
			t.Errorf("part %d: got %q, %v", part, got, err)
		}
		if got, err := fetch(part); err == nil {
			t.Errorf("part %d without a certificate: got %q", part, got)
		}
	}
}
