package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/authority"
	"lonja/internal/fileapi"
	"lonja/internal/tree"
)

// asks sends a request to another citizen's node, as its swarm would, and returns
// the status and the body.
func (c *citizen) asks(of *citizen, part fileapi.Part, id lonja.FileID, byteRange string) (int, []byte) {
	v := c.town
	v.Helper()
	expected := authority.Expected{User: of.user, Keys: []lonja.PublicKey{of.key.PublicKey()}}
	transport := &http.Transport{TLSClientConfig: authority.PeerClientConfig(c.current().keeps.peers(), expected), DisableCompression: true}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(v.Context(), http.MethodGet, "https://"+of.status().Ways[0].String()+part.Path(id), nil)
	v.ok(err)
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(req)
	v.ok(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	v.ok(err)
	return resp.StatusCode, body
}

// bigFile writes a file of some pieces and publishes it for these users.
func (c *citizen) bigFile(name string, size int, audience ...lonja.UserName) (path string, content []byte, id lonja.FileID) {
	c.town.Helper()
	content = bytes.Repeat([]byte(name+" "), size/(len(name)+1)+1)[:size]
	path = c.write(name, string(content))
	errand, err := c.Errand(c.user)
	c.town.ok(err)
	listing, err := errand.Offer(c.town.Context(), Offer{Path: path, Audience: audience})
	c.town.ok(err)
	return path, content, listing.Proof.File
}

// TestTreesAreServed: they are there once a file is published, survive a restart,
// and are made when they are missing or damaged; of what is for others nobody
// learns anything.
func TestTreesAreServed(t *testing.T) {
	v := newTown(t)
	ana, luis, eva := v.resident("ana"), v.resident("luis"), v.resident("eva")
	_, content, id := ana.bigFile("film", 5*tree.PieceSize+3, "luis")
	_, small, smallID := ana.bigFile("poem", 100)
	has := func(what string, id lonja.FileID, content []byte) {
		t.Helper()
		status, body := luis.asks(ana, fileapi.Tree, id, "")
		if status != http.StatusOK {
			t.Fatalf("%s: status %d", what, status)
		}
		o, err := tree.OpenOutboard(bytes.NewReader(body), id)
		v.ok(err)
		for piece := range o.Layout().Pieces() {
			v.ok(o.Check(piece, content[piece*tree.PieceSize:min(int(piece+1)*tree.PieceSize, len(content))]))
		}
		if status, body := luis.asks(ana, fileapi.Have, id, ""); status != http.StatusOK || string(body) != "\x01\x00" {
			t.Errorf("%s: have: %d, %x", what, status, body)
		}
	}
	onDisk := filepath.Join(ana.trees(), id.String())
	_, err := os.Stat(onDisk)
	v.ok(err) // made when it was hashed, not when somebody asks
	has("published", id, content)
	has("published, one piece", smallID, small)
	if left, err := os.ReadDir(ana.trees()); err != nil || len(left) != 1 {
		t.Errorf("there are %v, %v", left, err)
	}
	ana.Close()
	ana.start()
	v.ok(ana.Connect(t.Context(), "ana"))
	has("after a restart", id, content)
	v.ok(os.RemoveAll(ana.trees()))
	has("removed", id, content)
	b, err := os.ReadFile(onDisk)
	v.ok(err)
	b[len(b)-1] ^= 1
	v.ok(os.Remove(onDisk))
	v.ok(os.WriteFile(onDisk, b, 0o600))
	has("damaged", id, content)
	for part := range fileapi.Have + 1 {
		for _, r := range []string{"", "bytes=0-9", "bytes=999999999-"} {
			if status, _ := eva.asks(ana, part, id, r); status != http.StatusNotFound {
				t.Errorf("eva asks for %s: status %d", part.Path(id), status)
			}
		}
		if status, _ := eva.asks(ana, part, smallID, ""); status != http.StatusOK {
			t.Errorf("eva asks for %s: status %d", part.Path(smallID), status)
		}
	}
}

// TestChangedFileIsWithdrawn: whichever part of it was asked for, it is refused, and
// published no more, which is said once.
func TestChangedFileIsWithdrawn(t *testing.T) {
	for part := range fileapi.Have + 1 {
		v := newTown(t)
		ana, luis := v.resident("ana"), v.resident("luis")
		path, _, id := ana.bigFile("film", 2*tree.PieceSize)
		_, _, _ = ana.bigFile("poem", 10)
		ana.notes.take()
		ana.write("film", "another")
		if status, _ := luis.asks(ana, part, id, ""); status != http.StatusConflict {
			t.Errorf("%s: status %d", part.Path(id), status)
		}
		v.until("it is listed no more", func() bool { return ana.listed() == "poem" })
		if said := ana.notes.take(); strings.Count(said, "has changed since it was published") != 1 || !strings.Contains(said, "name=film") {
			t.Errorf("it is said: %s", said)
		}
		if status, _ := luis.asks(ana, part, id, ""); status != http.StatusNotFound {
			t.Errorf("afterwards: status %d", status)
		}
		v.ok(ana.Publish(t.Context(), path, ""))
		luis.gets("ana", "film", "another")
	}
}

// TestChangeThatOnlyTheHashTells is noticed when the tree of hashes is made: the
// file has the size and the time that it had. It is not remembered by its old hash
// then.
func TestChangeThatOnlyTheHashTells(t *testing.T) {
	v := newTown(t)
	ana, luis := v.resident("ana"), v.resident("luis")
	content := bytes.Repeat([]byte("film"), tree.PieceSize/2)
	path := ana.write("film", string(content))
	settled := time.Now().Add(-time.Hour)
	v.ok(os.Chtimes(path, time.Time{}, settled))
	v.ok(ana.Publish(t.Context(), path, ""))
	listings, err := luis.ListContent(t.Context(), "ana")
	v.ok(err)
	id := listings[0].Proof.File
	content[0] ^= 1
	v.ok(os.WriteFile(path, content, 0o600))
	v.ok(os.Chtimes(path, time.Time{}, settled))
	v.ok(os.RemoveAll(ana.trees()))
	if status, _ := luis.asks(ana, fileapi.Tree, id, ""); status != http.StatusConflict {
		t.Errorf("got status %d", status)
	}
	v.until("it is listed no more", func() bool { return ana.listed() == "" })
	v.ok(ana.Publish(t.Context(), path, ""))
	luis.gets("ana", "film", string(content))
}

// TestTouchedFile: a file of the same size and time in the place of the one that was
// published is hashed before anything of it is sent. A copy is sent at once.
func TestTouchedFile(t *testing.T) {
	for part := range fileapi.Have + 1 {
		v := newTown(t)
		ana, luis := v.resident("ana"), v.resident("luis")
		path, content, id := ana.bigFile("film", 2*tree.PieceSize)
		info, err := os.Stat(path)
		v.ok(err)
		replace := func() {
			t.Helper()
			v.ok(os.WriteFile(path+".new", content, 0o600))
			v.ok(os.Chtimes(path+".new", info.ModTime(), info.ModTime()))
			v.ok(os.Rename(path+".new", path))
		}
		replace()
		if status, _ := luis.asks(ana, part, id, ""); status != http.StatusOK {
			t.Errorf("%s of a copy: status %d", part.Path(id), status)
		}
		content[0] ^= 1
		replace()
		if status, _ := luis.asks(ana, part, id, ""); status != http.StatusConflict {
			t.Errorf("%s of another: status %d", part.Path(id), status)
		}
		v.until("it is listed no more", func() bool { return ana.listed() == "" })
	}
}

// arriving is a content of two pieces of which the second is here.
type arriving []byte

func (a arriving) Size() int64           { return int64(len(a)) }
func (a arriving) Have() *roaring.Bitmap { return roaring.BitmapOf(1) }
func (a arriving) ReadAt(p []byte, offset int64) (int, error) {
	if offset < tree.PieceSize {
		return 0, errors.New("it is not here")
	}
	return bytes.NewReader(a).ReadAt(p, offset)
}

func (a arriving) Outboard(context.Context) (io.ReaderAt, int64, error) {
	return nil, 0, lonja.E(lonja.NoHolder, "read", errors.New("it is not here"))
}

// TestDownloadsAreServed: to those who may have them, beside what is published.
func TestDownloadsAreServed(t *testing.T) {
	v := newTown(t)
	ana, luis, eva := v.resident("ana"), v.resident("luis"), v.resident("eva")
	_, content, id := ana.bigFile("film", 2*tree.PieceSize)
	downloads := &luis.dialect.(*secureDialect).downloads
	forget := downloads.Register(id, arriving(content), func(_ context.Context, m lonja.Member) bool { return m.User == "ana" })
	wants := func(who *citizen, part fileapi.Part, byteRange string, want int) []byte {
		t.Helper()
		status, body := who.asks(luis, part, id, byteRange)
		if status != want {
			t.Errorf("%s asks for %s %s: status %d, want %d", who.user, part.Path(id), byteRange, status, want)
		}
		return body
	}
	have, err := fileapi.ParseHave(wants(ana, fileapi.Have, "", 200), 2)
	if err != nil || have == nil || !have.Equals(roaring.BitmapOf(1)) {
		t.Errorf("have %v, %v", have, err)
	}
	if body := wants(ana, fileapi.File, "bytes=1048576-2097151", 206); !bytes.Equal(body, content[tree.PieceSize:]) {
		t.Error("another piece came")
	}
	wants(ana, fileapi.File, "bytes=1048575-2097151", 416)
	wants(ana, fileapi.File, "", 416)
	wants(ana, fileapi.Tree, "", 416)
	for part := range fileapi.Have + 1 {
		wants(eva, part, "", 404)
	}
	// What luis had of it himself is another by now: the download is served all the same.
	own := luis.write("film", string(content))
	v.ok(luis.Publish(t.Context(), own, ""))
	wants(eva, fileapi.File, "", 200)
	luis.write("film", "another")
	wants(ana, fileapi.File, "bytes=1048576-2097151", 206)
	v.until("it is listed no more", func() bool { return luis.listed() == "" })
	forget()
	wants(ana, fileapi.Have, "", 404)
}
