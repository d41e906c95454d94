package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lonja"
	"lonja/internal/dirclient"
)

// TestSecureFiles: files have names, and may be had by name, by content, from one
// and from anybody; what is taken back is offered no more.
func TestSecureFiles(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	path := ana.write("poem.txt", "a poem")
	v.ok(ana.Publish(t.Context(), path, "by Shelley"))
	luis.gets("ana", "poem.txt", "a poem")
	listings, err := luis.ListContent(t.Context(), "ana")
	v.ok(err)
	if len(listings) != 1 || listings[0].Name != "poem.txt" || listings[0].Size != 6 {
		t.Fatalf("got %v", listings)
	}
	id := lonja.FileName(listings[0].Proof.File.String())
	luis.gets("ana", id, "a poem")
	_, err = luis.fetch("ana", lonja.FileName(path))
	v.is(err, lonja.NoSuchFile) // nobody's path is told, nor taken
	_, err = luis.fetch("eva", "poem.txt")
	v.is(err, lonja.NoSuchOwner)
	for _, name := range []lonja.FileName{"poem.txt", id} {
		target := filepath.Join(t.TempDir(), "got")
		v.ok(luis.FetchMulti(t.Context(), name, target, nil))
		if got, err := os.ReadFile(target); string(got) != "a poem" {
			t.Errorf("GET_MULTIFILE %s: got %q, %v", name, got, err)
		}
	}

	v.is(ana.Publish(t.Context(), path, "by Shelley"), lonja.AlreadyPublished)
	v.ok(ana.Publish(t.Context(), path, "another description"))
	other := filepath.Join(t.TempDir(), "poem.txt")
	v.ok(os.WriteFile(other, []byte("another"), 0o600))
	v.is(ana.Publish(t.Context(), other, ""), lonja.AlreadyPublished)
	luis.gets("ana", "poem.txt", "a poem")

	v.ok(ana.Delete(t.Context(), path))
	v.is(ana.Delete(t.Context(), path), lonja.NotPublished)
	_, err = luis.fetch("ana", "poem.txt")
	v.is(err, lonja.NoSuchFile)
	v.is(luis.FetchMulti(t.Context(), "poem.txt", filepath.Join(t.TempDir(), "got"), nil), lonja.NoHolder)
}

// TestSecureFilesSurviveARestart of the node, which also serves a new account of
// the name nothing.
func TestSecureFilesSurviveARestart(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	v.ok(ana.Publish(t.Context(), ana.write("f", "content"), ""))
	ana.Close()
	_, err := luis.fetch("ana", "f")
	v.is(err, lonja.NoSuchOwner)
	ana.start()
	v.ok(ana.Connect(t.Context(), "ana"))
	luis.gets("ana", "f", "content")
	v.ok(ana.Unregister(t.Context(), "ana"))
	v.ok(ana.Register(t.Context(), "ana"))
	v.ok(ana.Connect(t.Context(), "ana"))
	_, err = luis.fetch("ana", "f")
	v.is(err, lonja.NoSuchFile)
}

// TestChangedFileIsRefused: what was signed is served, or nothing.
func TestChangedFileIsRefused(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	path := ana.write("f", "content")
	v.ok(ana.Publish(t.Context(), path, ""))
	ana.write("f", "another")
	_, err := luis.fetch("ana", "f")
	v.is(err, lonja.Conflict)
	v.until("it is listed no more", func() bool { return ana.listed() == "" })
	v.ok(ana.Publish(t.Context(), path, ""))
	luis.gets("ana", "f", "another")
	v.ok(os.Remove(path))
	_, err = luis.fetch("ana", "f")
	v.is(err, lonja.NoSuchFile)
	if got := ana.listed(); got != "f" { // its disk may come back
		t.Errorf("listed: %q", got)
	}
}

// TestSecureAudience: others do not even learn that there is such a file.
func TestSecureAudience(t *testing.T) {
	v := newTown(t)
	ana, luis, eva := v.resident("ana"), v.resident("luis"), v.resident("eva")
	errand, err := ana.Errand("ana")
	v.ok(err)
	listing, err := errand.Offer(t.Context(), Offer{Path: ana.write("f", "for luis"), Audience: []lonja.UserName{"luis"}})
	v.ok(err)
	luis.gets("ana", "f", "for luis")
	for _, name := range []lonja.FileName{"f", lonja.FileName(listing.Proof.File.String())} {
		_, err = eva.fetch("ana", name)
		v.is(err, lonja.NoSuchFile)
	}
	if listings, err := eva.ListContent(t.Context(), "ana"); err != nil || len(listings) != 0 {
		t.Errorf("got %v, %v", listings, err)
	}
	if page, err := eva.Search(t.Context(), lonja.Query{Base: "f"}); err != nil || len(page.Found) != 0 {
		t.Errorf("got %v, %v", page, err)
	}
}

// TestAnotherKeyStopsTheTransfer: a name that has come to somebody else's key is
// not who was met.
func TestAnotherKeyStopsTheTransfer(t *testing.T) {
	v := newTown(t)
	ana, luis, eva := v.resident("ana"), v.resident("luis"), v.resident("eva")
	v.ok(ana.Publish(t.Context(), ana.write("f", "content"), ""))
	luis.gets("ana", "f", "content")
	v.ok(ana.Unregister(t.Context(), "ana"))
	other := v.resident("ana")
	v.ok(other.Publish(t.Context(), other.write("f", "content"), ""))
	_, err := luis.fetch("ana", "f")
	v.is(err, lonja.Untrusted)
	if err == nil || !strings.Contains(err.Error(), "trust forget") {
		t.Errorf("got %v, which does not say what to do", err)
	}
	eva.gets("ana", "f", "content") // who meets the name only now
}

// TestAcrossTheDialects: who proves nothing is not fetched from, and classic users
// have what is for everybody.
func TestAcrossTheDialects(t *testing.T) {
	v := newTown(t)
	ana := v.resident("ana")
	v.ok(ana.Publish(t.Context(), ana.write("signed", "from ana"), ""))
	silent := v.residentWith("luis", func(o *Options) { o.Secure.ClassicOff = true })
	v.ok(silent.Publish(t.Context(), silent.write("silent", "from luis"), ""))

	old := New(Options{Directory: dirclient.New(dirclient.Options{Address: v.ports[0].at}), DirectoryName: "town:1", Listen: "127.0.0.1:0"})
	t.Cleanup(old.Close)
	v.ok(old.Register(t.Context(), "old"))
	v.ok(old.Connect(t.Context(), "old"))
	path := filepath.Join(t.TempDir(), "open")
	v.ok(os.WriteFile(path, []byte("from old"), 0o600))
	v.ok(old.Publish(t.Context(), path, ""))

	_, err := ana.fetch("old", lonja.FileName(path))
	v.is(err, lonja.Untrusted)
	if err == nil || !strings.Contains(err.Error(), "--classic") {
		t.Errorf("got %v, which does not say how to have it all the same", err)
	}
	target := filepath.Join(t.TempDir(), "got")
	v.ok(old.FetchFile(t.Context(), "ana", "signed", target, nil))
	if got, err := os.ReadFile(target); string(got) != "from ana" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := old.FetchFile(t.Context(), "luis", "silent", filepath.Join(t.TempDir(), "got"), nil); err == nil || errors.Is(err, lonja.NoSuchOwner) {
		t.Errorf("got %v from a node that is closed to the classic protocol", err)
	}
}
