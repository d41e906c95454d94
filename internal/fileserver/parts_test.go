package fileserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"lonja"
	"lonja/internal/fileapi"
	"lonja/internal/tree"
)

const mib = tree.PieceSize

// The tree is that of the content, whole and in ranges, and package tree believes
// it; of a content of one piece it is the size.
func TestTree(t *testing.T) {
	r := start(t, Options{})
	client := r.client(t, "ana")
	for _, size := range []int{0, 1, mib, mib + 1, 5*mib + 17} {
		whole := content(size)
		id := r.shelf.add(t, whole)
		resp, outboard := r.ask(t, client, "GET", fileapi.Tree.Path(id))
		if resp.StatusCode != 200 || resp.Header.Get("ETag") != fileapi.ETag(id) || resp.ContentLength != int64(len(outboard)) {
			t.Fatalf("%d bytes: %s, %v", size, resp.Status, resp.Header)
		}
		if got, err := tree.ParseTree(outboard, id); err != nil || got.Size != int64(size) {
			t.Errorf("%d bytes: %v", size, err)
		}
		o, err := tree.OpenOutboard(bytes.NewReader(outboard), id)
		if err != nil {
			t.Fatal(err)
		}
		for piece := range o.Layout().Pieces() {
			if err := o.Check(piece, whole[piece*mib:min(int(piece+1)*mib, size)]); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
		resp, part := r.ask(t, client, "GET", fileapi.Tree.Path(id), "Range", "bytes=4-7")
		if resp.StatusCode != 206 || !bytes.Equal(part, outboard[4:8]) || resp.Header.Get("Content-Range") != fmt.Sprintf("bytes 4-7/%d", len(outboard)) {
			t.Errorf("%d bytes, a range: %s, %x, %v", size, resp.Status, part, resp.Header)
		}
		if resp, _ = r.ask(t, client, "GET", fileapi.Tree.Path(id), "If-None-Match", fileapi.ETag(id)); resp.StatusCode != 304 {
			t.Errorf("%d bytes, had already: %s", size, resp.Status)
		}
		if resp, body := r.ask(t, client, "HEAD", fileapi.Tree.Path(id)); resp.StatusCode != 200 || len(body) > 0 || resp.ContentLength != int64(len(outboard)) {
			t.Errorf("%d bytes, HEAD: %s, %d", size, resp.Status, resp.ContentLength)
		}
		for _, method := range []string{"GET", "HEAD"} {
			resp, body := r.ask(t, client, method, fileapi.Have.Path(id))
			if resp.StatusCode != 200 || resp.ContentLength != 2 || resp.Header.Get("ETag") != "" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d bytes, %s have: %s, %v", size, method, resp.Status, resp.Header)
			}
			if have, err := fileapi.ParseHave(body, 6); method == "GET" && (have != nil || err != nil) {
				t.Errorf("%d bytes, have: %v, %v", size, have, err)
			}
		}
	}
}

// When the hashes cannot be had now, that is all that is wrong.
func TestTreeThatIsNotThere(t *testing.T) {
	var changed ids
	r := start(t, Options{Changed: changed.add})
	id := r.shelf.add(t, content(2*mib))
	client := r.client(t, "ana")
	for cause, want := range map[error]struct {
		status int
		after  string
	}{
		lonja.E(lonja.Limited, "hash", errors.New("secret")):   {503, "10"},
		lonja.E(lonja.NoHolder, "hash", errors.New("secret")):  {416, ""},
		lonja.E(lonja.Conflict, "hash", errors.New("secret")):  {409, ""},
		lonja.E(lonja.LocalFile, "hash", errors.New("secret")): {500, ""},
	} {
		r.shelf.mu.Lock()
		r.shelf.hashes[id] = hashes{fail: cause}
		r.shelf.mu.Unlock()
		resp, body := r.ask(t, client, "GET", fileapi.Tree.Path(id))
		if resp.StatusCode != want.status || resp.Header.Get("Retry-After") != want.after || bytes.Contains(body, []byte("secret")) {
			t.Errorf("%v: %s, %v, %q", cause, resp.Status, resp.Header, body)
		}
		if kept := want.status != 500; resp.Close == kept {
			t.Errorf("%v: the connection is kept: %v", cause, !resp.Close)
		}
		if resp, body := r.ask(t, client, "GET", fileapi.Path(id)); resp.StatusCode != 200 || len(body) != 2*mib {
			t.Errorf("%v: the file: %s", cause, resp.Status)
		}
	}
	if got := changed.take(); len(got) != 1 || got[0] != id {
		t.Errorf("changed: %v, want %v once", got, id)
	}
	r.shelf.mu.Lock()
	r.shelf.hashes[id] = hashes{pieces: make([]tree.Hash, 3)}
	r.shelf.sizes[id] = 2 * mib
	r.shelf.mu.Unlock()
	if resp, _ := r.ask(t, client, "GET", fileapi.Tree.Path(id)); resp.StatusCode != 500 {
		t.Errorf("hashes of another size: %s", resp.Status)
	}
}

// ids are those of which a server has told.
type ids struct {
	mu  sync.Mutex
	all []lonja.FileID
}

func (i *ids) add(id lonja.FileID) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.all = append(i.all, id)
}

func (i *ids) take() []lonja.FileID {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := i.all
	i.all = nil
	return all
}

// That a file has changed is told, whenever it is noticed, and nothing else is.
func TestChangedIsTold(t *testing.T) {
	var changed ids
	r := start(t, Options{Changed: changed.add})
	client := r.client(t, "ana")
	id := r.shelf.add(t, content(64*mib))
	r.ask(t, client, "GET", fileapi.Path(lonja.FileID{1}))
	r.ask(t, client, "GET", fileapi.Path(id), "Range", "bytes=900000000-")
	r.ask(t, client, "GET", fileapi.Have.Path(id))
	resp, err := client.Get("https://" + r.addr + fileapi.Path(id))
	if err != nil {
		t.Fatal(err)
	}
	if got := changed.take(); len(got) > 0 {
		t.Errorf("before: %v", got)
	}
	if err := os.Chtimes(r.shelf.paths[id], time.Time{}, time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err == nil {
		t.Error("all came of a file that changed")
	}
	eventually(t, "it is told", func() bool { return len(changed.take()) == 1 })
	r.shelf.mu.Lock()
	r.shelf.sizes[id]++
	r.shelf.mu.Unlock()
	for part := range fileapi.Have + 1 {
		r.ask(t, client, "GET", part.Path(id))
		if got := changed.take(); len(got) != 1 || got[0] != id {
			t.Errorf("%s: %v, want it once", part.Path(id), got)
		}
	}
}

// A growing content has more and more pieces, as a download does. Nothing else is
// in it, and to read that fails the test.
type growing struct {
	t      testing.TB
	whole  []byte
	hashes hashes

	mu   sync.Mutex
	have *roaring.Bitmap
}

func newGrowing(t testing.TB, whole []byte) (*growing, lonja.FileID) {
	hashes, id := hash(whole)
	return &growing{t: t, whole: whole, hashes: hashes, have: roaring.New()}, id
}

func (g *growing) Size() int64 { return int64(len(g.whole)) }

func (g *growing) gain(pieces ...uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.have.AddMany(pieces)
}

func (g *growing) Have() *roaring.Bitmap {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.have.Clone()
}

func (g *growing) ReadAt(p []byte, offset int64) (int, error) {
	if len(p) > 0 && offset < g.Size() {
		end := min(offset+int64(len(p)), g.Size())
		for piece := offset / mib; piece*mib < end; piece++ {
			if !g.Have().Contains(uint32(piece)) {
				g.t.Errorf("piece %d is read, which is not here", piece)
				return 0, io.ErrUnexpectedEOF
			}
		}
	}
	return bytes.NewReader(g.whole).ReadAt(p, offset)
}

func (g *growing) Outboard(context.Context) (io.ReaderAt, int64, error) {
	return g.hashes.outboard(g.Size())
}

// What is here of a content is served, and no more: not by what is asked for, nor
// by the conditions under which.
func TestPartsOfADownload(t *testing.T) {
	downloads := &Downloads{}
	r := start(t, Options{Files: downloads})
	whole := content(5*mib + 100)
	g, id := newGrowing(t, whole)
	forget := downloads.Register(id, g, nil)
	client := r.client(t, "ana")
	ask := func(want int, wantBody []byte, header ...string) {
		t.Helper()
		for _, method := range []string{"GET", "HEAD"} {
			resp, body := r.ask(t, client, method, fileapi.Path(id), header...)
			if resp.StatusCode != want || resp.Close {
				t.Errorf("%s %q: %s (close: %v), want %d", method, header, resp.Status, resp.Close, want)
			}
			switch {
			case method == "HEAD" && len(body) > 0, want/100 == 2 && method == "GET" && !bytes.Equal(body, wantBody):
				t.Errorf("%s %q: got %d bytes, want %d", method, header, len(body), len(wantBody))
			case want == 416 && (len(body) > 100 || resp.Header.Get("Content-Range") != fmt.Sprintf("bytes */%d", len(whole)) || resp.Header.Get("ETag") != ""):
				t.Errorf("%s %q: got %d bytes, %v", method, header, len(body), resp.Header)
			}
		}
	}
	has := func(want *roaring.Bitmap) {
		t.Helper()
		_, body := r.ask(t, client, "GET", fileapi.Have.Path(id))
		if have, err := fileapi.ParseHave(body, 6); err != nil || have == nil || !have.Equals(want) {
			t.Errorf("it has %v (%v), want %v", have, err, want)
		}
	}
	etag := fileapi.ETag(id)
	has(roaring.New())
	ask(416, nil)
	ask(416, nil, "Range", "bytes=0-0")
	g.gain(1, 2, 5)
	has(roaring.BitmapOf(1, 2, 5))
	ask(416, nil)
	ask(206, whole[mib:2*mib], "Range", "bytes=1048576-2097151")
	ask(206, whole[mib:3*mib], "Range", "bytes=1048576-3145727")
	ask(206, whole[3*mib-1:3*mib], "Range", "bytes=3145727-3145727")
	ask(206, whole[5*mib:], "Range", "bytes=5242880-")
	ask(206, whole[5*mib:], "Range", "bytes=5242880-99999999")
	ask(206, whole[5*mib:], "Range", "bytes=-100")
	ask(416, nil, "Range", "bytes=-101")
	ask(416, nil, "Range", "bytes=1048575-1048576") // a byte before
	ask(416, nil, "Range", "bytes=1048576-3145728") // a byte behind
	ask(416, nil, "Range", "bytes=1048576-")
	ask(416, nil, "Range", "bytes=0-")
	ask(416, nil, "Range", "bytes=5242980-") // behind the end
	ask(416, nil, "Range", "bytes=1048576-1048577,2097152-2097153")
	ask(206, whole[mib:2*mib], "Range", "bytes=1048576-2097151", "If-Range", etag)
	ask(416, nil, "Range", "bytes=1048576-2097151", "If-Range", `"another"`)
	ask(304, nil, "If-None-Match", etag)
	if resp, outboard := r.ask(t, client, "GET", fileapi.Tree.Path(id)); resp.StatusCode != 200 {
		t.Errorf("the tree: %s", resp.Status)
	} else if _, err := tree.ParseTree(outboard, id); err != nil {
		t.Error(err)
	}
	g.gain(0, 3, 4)
	ask(200, whole)
	ask(206, whole[100:], "Range", "bytes=100-")
	forget()
	forget()
	for part := range fileapi.Have + 1 {
		if resp, _ := r.ask(t, client, "GET", part.Path(id)); resp.StatusCode != 404 {
			t.Errorf("%s when it is over: %s", part.Path(id), resp.Status)
		}
	}
}

// Who may not have a content learns of no part of it that it is there, whether it
// is a file or on its way.
func TestPartsForOthers(t *testing.T) {
	r := start(t, Options{})
	downloads := &Downloads{}
	r2 := start(t, Options{Files: downloads})
	file := r.shelf.add(t, content(3*mib))
	r.shelf.audience[file] = "luis"
	g, id := newGrowing(t, content(2*mib))
	g.gain(0, 1)
	forget := downloads.Register(id, g, func(_ context.Context, m lonja.Member) bool { return m.User == "luis" })
	defer forget()
	for _, at := range []struct {
		*rig
		id lonja.FileID
	}{{r, file}, {r2, id}} {
		eve, luis := at.client(t, "eve"), at.client(t, "luis")
		for part := range fileapi.Have + 1 {
			for _, header := range [][]string{nil, {"Range", "bytes=0-1"}, {"Range", "bytes=99999999-"}, {"If-None-Match", fileapi.ETag(at.id)}} {
				refused, refusedBody := at.ask(t, eve, "GET", part.Path(at.id), header...)
				missing, missingBody := at.ask(t, eve, "GET", part.Path(lonja.FileID{9}), header...)
				refused.Header.Del("Date")
				missing.Header.Del("Date")
				if refused.StatusCode != 404 || !bytes.Equal(refusedBody, missingBody) || fmt.Sprint(refused.Header) != fmt.Sprint(missing.Header) {
					t.Errorf("%s: %s, %q, %v", part.Path(at.id), refused.Status, refusedBody, refused.Header)
				}
			}
			if resp, _ := at.ask(t, luis, "GET", part.Path(at.id)); resp.StatusCode != 200 {
				t.Errorf("%s for luis: %s", part.Path(at.id), resp.Status)
			}
		}
	}
}

// Ranges that make no sense get an answer that does, of every part.
func TestSenselessRanges(t *testing.T) {
	downloads := &Downloads{}
	r := start(t, Options{Files: downloads})
	g, id := newGrowing(t, content(2*mib))
	defer downloads.Register(id, g, nil)()
	client := r.client(t, "ana")
	for _, header := range []string{
		"bytes=5-4", "bytes=--1", "bytes=-", "bytes=", "bytes", "pieces=0-1", "bytes=99999999999999999999999-", "bytes=-99999999999999999999999",
		"bytes=9223372036854775807-9223372036854775807", "bytes=0-9223372036854775807", "bytes=-9223372036854775808", "bytes= 0 - 1 ", "bytes=0x0-1", "bytes=0-1, 5-6",
	} {
		for part, want := range map[fileapi.Part][]int{fileapi.File: {416}, fileapi.Tree: {200, 206, 416}, fileapi.Have: {200}} {
			resp, body := r.ask(t, client, "GET", part.Path(id), "Range", header)
			good := false
			for _, status := range want {
				good = good || resp.StatusCode == status
			}
			if !good || len(body) > 1000 {
				t.Errorf("%s, %q: %s, %d bytes", part.Path(id), header, resp.Status, len(body))
			}
		}
	}
}

// A download of which pieces go while somebody fetches them ends the answer early;
// who ends it need not wait for slow receivers.
func TestDownloadIsForgottenMeanwhile(t *testing.T) {
	downloads := &Downloads{}
	r := start(t, Options{Files: downloads, StallTimeout: time.Hour, Grace: time.Millisecond})
	g, id := newGrowing(t, content(64*mib))
	for piece := range uint32(64) {
		g.gain(piece)
	}
	forget := downloads.Register(id, g, nil)
	resp, err := r.client(t, "ana").Get("https://" + r.addr + fileapi.Path(id))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, mib)); err != nil {
		t.Fatal(err)
	}
	forget() // nobody reads what is still to come
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("all came, %d bytes", n)
	}
	other, _ := downloads.OpenContent(t.Context(), id, lonja.Member{})
	if other != nil {
		t.Error("it is opened still")
	}
}

// One content that is fetched to two places is served as long as one of them goes
// on, from the one that is for who asks.
func TestDownloadedTwice(t *testing.T) {
	downloads := &Downloads{}
	r := start(t, Options{Files: downloads})
	whole := content(mib)
	first, id := newGrowing(t, whole)
	second, _ := newGrowing(t, whole)
	second.gain(0)
	forgetFirst := downloads.Register(id, first, func(_ context.Context, m lonja.Member) bool { return m.User == "luis" })
	forgetSecond := downloads.Register(id, second, nil)
	status := func(user lonja.UserName) int {
		resp, _ := r.ask(t, r.client(t, user), http.MethodGet, fileapi.Path(id))
		return resp.StatusCode
	}
	if ana, luis := status("ana"), status("luis"); ana != 200 || luis != 416 {
		t.Errorf("ana %d, luis %d; want 200, 416", ana, luis)
	}
	forgetFirst()
	if luis := status("luis"); luis != 200 {
		t.Errorf("luis %d, want 200", luis)
	}
	forgetSecond()
	if luis := status("luis"); luis != 404 {
		t.Errorf("luis %d, want 404", luis)
	}
}

// Pieces that come while others fetch are served at once, and all that is fetched
// is right.
func TestDownloadThatGrows(t *testing.T) {
	downloads := &Downloads{}
	r := start(t, Options{Files: downloads})
	const pieces = 24
	whole := content(pieces*mib - 1)
	g, id := newGrowing(t, whole)
	defer downloads.Register(id, g, nil)()
	var fetching sync.WaitGroup
	for _, user := range []lonja.UserName{"ana", "luis"} {
		client := r.client(t, user)
		fetching.Go(func() {
			got := roaring.New()
			for tries := 0; got.GetCardinality() < pieces && tries < 1000; tries++ {
				_, body := r.ask(t, client, "GET", fileapi.Have.Path(id))
				have, err := fileapi.ParseHave(body, pieces)
				if err != nil {
					t.Error(err)
					return
				}
				have.AndNot(got)
				for _, piece := range have.ToArray() {
					begin, end := int(piece)*mib, min(int(piece+1)*mib, len(whole))
					resp, body := r.ask(t, client, "GET", fileapi.Path(id), "Range", fmt.Sprintf("bytes=%d-%d", begin, end-1))
					if resp.StatusCode != 206 || !bytes.Equal(body, whole[begin:end]) {
						t.Errorf("piece %d: %s", piece, resp.Status)
						return
					}
					got.Add(piece)
					g.gain((piece + 1) % pieces) // the next one has come
				}
			}
			if got.GetCardinality() < pieces {
				t.Errorf("only %v came", got)
			}
		})
	}
	g.gain(0)
	fetching.Wait()
}
